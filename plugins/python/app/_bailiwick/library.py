"""The standard library, imported while the component is built: it is there afterwards as memory, not as files."""

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

MODULES = """
    __future__ _thread abc argparse array ast asyncio atexit base64 bdb binascii bisect builtins calendar cmath cmd code
    codecs codeop collections collections.abc colorsys compileall concurrent.futures concurrent.futures.thread
    configparser contextlib contextvars copy copyreg csv dataclasses datetime decimal difflib dis doctest email
    email.charset email.contentmanager email.encoders email.errors email.generator email.header email.headerregistry
    email.iterators email.message email.mime.application email.mime.audio email.mime.base email.mime.image
    email.mime.message email.mime.multipart email.mime.nonmultipart email.mime.text email.parser email.policy
    email.quoprimime email.utils encodings enum errno faulthandler fileinput filecmp fnmatch fractions ftplib
    functools gc genericpath getopt getpass gettext glob graphlib gzip hashlib heapq hmac html html.entities html.parser
    http http.client http.cookiejar http.cookies importlib importlib.abc importlib.machinery importlib.metadata
    importlib.resources importlib.util inspect io ipaddress itertools json json.decoder json.encoder json.scanner
    json.tool keyword linecache locale logging logging.config logging.handlers marshal math mimetypes modulefinder
    netrc ntpath nturl2path numbers opcode operator optparse os os.path pathlib pdb pickle pickletools pkgutil platform
    plistlib posixpath pprint profile pstats pyclbr py_compile pydoc queue quopri random re reprlib rlcompleter runpy
    sched secrets select selectors shelve shlex shutil signal site socket sqlite3 sqlite3.dbapi2 sre_compile
    sre_constants sre_parse stat statistics string string.templatelib stringprep struct subprocess symtable sys
    sysconfig tabnanny tarfile tempfile textwrap threading time timeit token tokenize tomllib trace traceback
    tracemalloc types typing unicodedata unittest unittest.async_case unittest.mock urllib urllib.error urllib.parse
    urllib.request urllib.response urllib.robotparser uuid warnings wave weakref xml xml.dom xml.dom.minidom
    xml.dom.pulldom xml.etree xml.etree.ElementInclude xml.etree.ElementPath xml.etree.ElementTree
    xml.etree.cElementTree xml.parsers.expat xml.sax xml.sax.expatreader xml.sax.handler xml.sax.saxutils
    xml.sax.xmlreader xmlrpc.client zipapp zipfile zipimport zlib zoneinfo annotationlib compression.gzip
    compression.zlib compression._common _pydecimal _pydatetime _strptime _pylong _colorize _pyio _weakrefset
    _py_warnings _ast_unparse _json _struct _csv _random _datetime _decimal _bisect _heapq _statistics _queue _opcode
    _zoneinfo _elementtree _pickle _asyncio _contextvars _md5 _sha1 _sha2 _sha3 _blake2 _hmac _lsprof cProfile
    _multibytecodec _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw
    curses.ascii dbm dbm.dumb dbm.sqlite3 mailbox smtplib poplib imaplib
    socketserver http.server xmlrpc.server
""".split()
_NOT_THESE = {"mbcs", "oem", "cp65001"}
# The library looks for these and does without them; so does whatever a program tries first.
_QUIET = {"_lzma", "_bz2", "_zstd", "_ssl", "_ctypes", "readline", "_posixsubprocess", "usercustomize", "sitecustomize"}
missing = []


class Library(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last one asked for a module. It has the code of the library's modules, for a program that imports one anew,
    and says of any other that it is not part of this Python."""

    def __init__(self):
        self._code = {}

    def keep(self):
        """Keeps the code of all modules that were imported from files so far."""
        for name, module in sys.modules.items():
            spec = getattr(module, "__spec__", None)
            if spec and spec.origin and spec.origin.startswith("/python/") and hasattr(spec.loader, "get_code"):
                code = zlib.compress(marshal.dumps(spec.loader.get_code(spec.name)))
                self._code[name] = (code, spec.origin, spec.submodule_search_locations is not None)

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


def load():
    """Imports all of it. What this CPython was built without is left out."""
    for name in MODULES:
        _try(name)
    import encodings

    for _, name, _ in pkgutil.iter_modules(encodings.__path__):
        if name not in _NOT_THESE:
            _try(f"encodings.{name}")
    from . import walls, zones

    walls.build()
    zones.load()


def _try(name):
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing.append(f"{name} ({error})")


def settle():
    """The last word before the component is written: nothing of the machine that built it stays."""
    import atexit
    import linecache

    library = Library()
    library.keep()
    os.environ.clear()
    sys.path[:] = []
    sys.orig_argv[:] = []
    sys.dont_write_bytecode = True
    sys.path_importer_cache.clear()
    sys.meta_path.append(library)
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
