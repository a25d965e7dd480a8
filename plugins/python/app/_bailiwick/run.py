"""One program, from its text to the answer.

- `script` runs as `__main__`, like a cell of a notebook: a last expression is the value, and `await` is allowed.
- `body` is the body of a function: `return` gives the value, and `await` is allowed.
- `main` is a module that defines `main(input)`, plain or `async`; its result is the value, `null` included.
- `check` is compiled as a script and not run.
"""

import ast
import asyncio
import atexit
import builtins
import dataclasses
import inspect
import json
import logging
import random
import sys
import time
import types

from . import clock, failures, printed, tools, values
from componentize_py_types import Err
from wit_world.imports import artifact

# A value whose JSON is larger goes to an artifact.
LARGEST = 1024 * 1024
_VALUE = "__bailiwick_value__"
# Text of JSON. Parts of an answer are made one by one: a value may be large, and is not written twice.
_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
# What is left when a program has used up its memory, to say so.
_spare = [bytearray(256 * 1024)]
_NOTHING = object()
_FORMS = ("script", "body", "main", "check")
_KEYS = {"language", "form", "source", "input", "time_ms", "tools"}


@dataclasses.dataclass
class Asked:
    """What the host asks for."""

    form: str
    source: str
    input: object
    time_ms: int | None
    tools: bool

    @classmethod
    def of(cls, arguments):
        """Reads the arguments. Raises `ValueError` with a sentence that names the one that is wrong."""
        if not isinstance(arguments, dict) or not arguments.keys() <= _KEYS:
            raise ValueError(f"the arguments are an object with some of {', '.join(sorted(_KEYS))}")
        language, form, source = (arguments.get(key) for key in ("language", "form", "source"))
        if language != "python":
            raise ValueError("`language` is `python`")
        if form not in _FORMS:
            raise ValueError(f"`form` is one of {', '.join(_FORMS)}")
        if not isinstance(source, str):
            raise ValueError("`source` is a string")
        time_ms, with_tools = arguments.get("time_ms"), arguments.get("tools", False)
        if time_ms is not None and (type(time_ms) is not int or time_ms < 1):
            raise ValueError("`time_ms` is a whole number from 1")
        if not isinstance(with_tools, bool):
            raise ValueError("`tools` is true or false")
        return cls(form, source, arguments.get("input"), time_ms, with_tools)


def answer(asked):
    """Runs the program and gives the answer as JSON text."""
    begun = time.perf_counter()
    out = printed.Printed()
    sys.stdout, sys.stderr = out.stdout, out.stderr
    failures.remember(asked.source)
    if asked.form == "check":
        told = {"errors": _json(_errors(asked.source))}
    else:
        told = _run(asked)
    shown, whole = out.end()
    told = {"output": _json(shown), **told}
    if whole is not None:
        _put(told, "artifact", "output.txt", "text/plain; charset=utf-8", whole)
    told["duration_ms"] = str(round((time.perf_counter() - begun) * 1000, 3))
    return "{" + ", ".join(f'"{name}": {text}' for name, text in told.items()) + "}"


def _errors(source):
    try:
        _compiled("script", source)
    except _COMPILER as error:
        return [failures.of_compiler(error)]
    return []


_COMPILER = (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError)


def _run(asked):
    """Runs it: what it gave or what ended it, each part as JSON text."""
    try:
        code = _compiled(asked.form, asked.source)
    except _COMPILER as error:
        return {"error": _json(failures.of_compiler(error))}
    program = _prepared(asked)
    try:
        clock.start(asked.time_ms)
        value = _FOLLOW[asked.form](code, program, asked)
        told = _given(value, asked.form)
        _end()
        return told
    except SystemExit as error:
        return _left(error, asked)
    except BaseException as error:
        return _failed(error, asked)
    finally:
        clock.stop()


def _failed(error, asked):
    _spare.clear()
    clock.stop()
    return {"error": _json(failures.of_program(error, asked.time_ms))}


def _prepared(asked):
    """The module the program runs in, and what has to be new for each program in an interpreter that is a copy."""
    random.seed()
    logging._startTime = time.time_ns()
    sys.argv = ["program"]
    name = "program" if asked.form == "main" else "__main__"
    program = types.ModuleType(name)
    program.__builtins__ = builtins
    program.__file__ = failures.PROGRAM
    # There is a `__main__` in every Python, also where the program is another module.
    sys.modules["__main__"] = sys.modules[name] = program
    if asked.tools:
        program.api = tools.Api()
    return vars(program)


def _compiled(form, source):
    """Raises what the compiler raises."""
    tree = ast.parse(source, failures.PROGRAM)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    if form == "script":
        _keep_last(tree)
    elif form == "body":
        _wrap(tree)
        flags = 0
    return compile(tree, failures.PROGRAM, "exec", flags=flags, dont_inherit=True)


def _keep_last(tree):
    """A last expression becomes the value of the script."""
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        kept = ast.Assign([ast.Name(_VALUE, ast.Store())], last.value)
        tree.body[-1] = ast.fix_missing_locations(ast.copy_location(kept, last))


def _wrap(tree):
    """The statements become the body of a function; imports from the future stay outside of it, where they belong."""
    future = [one for one in tree.body if isinstance(one, ast.ImportFrom) and one.module == "__future__"]
    body = [one for one in tree.body if one not in future] or [ast.Pass()]
    kind = ast.AsyncFunctionDef if any(_awaits(one) for one in body) else ast.FunctionDef
    none = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    function = kind(name="program", args=none, body=body, decorator_list=[], type_params=[])
    place = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
    for node in (function, body[0] if isinstance(body[0], ast.Pass) and not hasattr(body[0], "lineno") else function):
        for key, at in place.items():
            setattr(node, key, at)
    tree.body = [*future, function]


def _awaits(node):
    """Whether a statement waits, itself and not in a function of its own."""
    if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)) or getattr(node, "is_async", 0):
        return True
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return False
    return any(_awaits(part) for part in ast.iter_child_nodes(node))


def _as_script(code, program, _asked):
    _execute(code, program)
    value = program.pop(_VALUE, None)
    return _NOTHING if value is None else value


def _as_body(code, program, _asked):
    exec(code, program)
    value = _awaited(program.pop("program")())
    return _NOTHING if value is None else value


def _as_main(code, program, asked):
    _execute(code, program)
    main = program.get("main")
    if not callable(main):
        return _NOTHING
    return _awaited(main() if _takes_nothing(main) else main(asked.input))


_FOLLOW = {"script": _as_script, "body": _as_body, "main": _as_main}


def _execute(code, program):
    if code.co_flags & inspect.CO_COROUTINE:
        _awaited(eval(code, program))
    else:
        exec(code, program)


def _awaited(value):
    if inspect.iscoroutine(value):
        return asyncio.run(value)
    return value


def _takes_nothing(main):
    try:
        inspect.signature(main).bind()
    except (TypeError, ValueError):
        return False
    try:
        inspect.signature(main).bind(None)
    except TypeError:
        return True
    return False


def _given(value, form):
    if value is _NOTHING:
        return {"main": "false"} if form == "main" else {}
    text = _json(values.plain(value))
    if len(text) <= LARGEST and len(text.encode()) <= LARGEST:
        return {"value": text}
    note = f"<{type(value).__name__}: its JSON has {len(text):,} characters, more than an answer holds>"
    return _put({"value": _json(note)}, "value_artifact", "value.json", "application/json", text.encode())


def _put(told, key, name, kind, data):
    """Keeps what is too large; where it cannot be kept, the answer goes without."""
    try:
        told[key] = _json(artifact.put(name, kind, data))
    except Err:
        pass
    return told


def _end():
    """What a program wanted done at its end."""
    atexit._run_exitfuncs()


def _left(error, asked):
    """A program that ended itself: no error if it says so."""
    if error.code is not None and not (type(error.code) is int and error.code == 0):
        return _failed(error, asked)
    try:
        _end()
    except BaseException as other:
        return _failed(other, asked)
    return {}
