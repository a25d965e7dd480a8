"""The standard library, which is there as memory, not as files: imported while the component is built, or as code."""

import sys
import time

from . import clock

# Before anything takes hold of it.
time.sleep = clock.sleep

import gc
import importlib
import importlib.abc
import importlib.machinery
import marshal
import os
import pkgutil
import zlib

# What most programs need.
AHEAD = """
    __future__ _thread abc annotationlib array ast asyncio atexit base64 binascii bisect builtins calendar cmath codecs
    collections collections.abc concurrent.futures concurrent.futures.thread contextlib contextvars copy copyreg csv
    dataclasses datetime decimal encodings enum errno fnmatch fractions functools gc genericpath glob graphlib hashlib
    heapq hmac html importlib importlib.abc importlib.machinery importlib.util inspect io itertools json json.decoder
    json.encoder json.scanner keyword linecache logging marshal math numbers opcode operator os os.path pathlib pkgutil
    posixpath pprint queue random re reprlib secrets shlex signal socket stat statistics string string.templatelib
    struct subprocess sys tempfile textwrap threading time token tokenize traceback types typing unicodedata urllib
    urllib.parse uuid warnings weakref zlib zoneinfo encodings.aliases encodings.ascii encodings.latin_1
    encodings.utf_8 encodings.utf_8_sig _asyncio _bisect _blake2 _colorize _contextvars _csv _datetime _decimal _heapq
    _hmac _json _md5 _opcode _py_warnings _pylong _queue _random _sha1 _sha2 _sha3 _statistics _strptime _struct
    _weakrefset _zoneinfo
""".split()
# Without what this CPython was built without, and what is of no use here.
WITHOUT = """
    antigravity bz2 ctypes curses ensurepip idlelib lib2to3 lzma mbcs multiprocessing oem pty pydoc_data ssl test tkinter
    tty turtle turtledemo venv webbrowser windows_events windows_utils
""".split()
_FILES = "/python"
# The library looks for these and does without them; so does whatever a program tries first.
_QUIET = {"_lzma", "_bz2", "_zstd", "_ssl", "_ctypes", "readline", "_posixsubprocess", "usercustomize", "sitecustomize"}


class Library(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last one asked for a module. It has the code of all modules of the library, for a program that imports one first
    or anew, and says of any other that it is not part of this Python."""

    def __init__(self):
        self._code = {}
        for spec in _specs([_FILES]):
            code = zlib.compress(marshal.dumps(spec.loader.get_code(spec.name)))
            self._code[spec.name] = (code, spec.origin, spec.submodule_search_locations is not None)

    def find_spec(self, fullname, path, target=None):
        if fullname in self._code:
            _, origin, package = self._code[fullname]
            return importlib.machinery.ModuleSpec(fullname, self, origin=origin, is_package=package)
        if path is not None or fullname in _QUIET:
            return None
        known = fullname in sys.stdlib_module_names
        why = "it was built without it" if known else "it has the standard library, and nothing can be installed"
        raise ModuleNotFoundError(f"`{fullname}` is not part of this Python: {why}", name=fullname)

    def exec_module(self, module):
        code, module.__file__, _ = self._code[module.__name__]
        exec(marshal.loads(zlib.decompress(code)), vars(module))


def _specs(path, package=""):
    """Where the modules of a package are, and of what is in it, without importing any."""
    for _, name, is_package in pkgutil.iter_modules(path):
        if name in WITHOUT or name == "__main__":
            continue
        spec = importlib.machinery.PathFinder.find_spec(f"{package}{name}", path)
        yield spec
        if is_package:
            yield from _specs(spec.submodule_search_locations, f"{package}{name}.")


def load():
    """Imports what most programs need, and keeps the code of the rest: in this order, so that what reading it took is free
    for what is imported."""
    global _library
    _library = Library()
    for name in AHEAD:
        importlib.import_module(name)
    from . import walls, zones

    walls.build()
    zones.load()


def settle():
    """The last word before the component is written: nothing of the machine that built it stays."""
    import atexit
    import linecache

    os.environ.clear()
    sys.path[:] = []
    sys.orig_argv[:] = []
    sys.dont_write_bytecode = True
    sys.path_importer_cache.clear()
    sys.meta_path.append(_library)
    linecache.clearcache()
    atexit._clear()
    warm()
    importlib.invalidate_caches()
    gc.collect()
    gc.freeze()


def warm():
    """Runs what every call needs once, so that no call does it for the first time."""
    from . import run

    run.answer(run.Asked.of({"language": "python", "form": "script", "source": "print(1)\n1 + 1"}))
    sys.modules.pop("__main__", None)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
