"""What ended a program, as the host tells it: a kind, one sentence, a place, a traceback."""

import linecache
import traceback

from . import clock, values

PROGRAM = "<program>"
# A traceback is for reading. What is beyond helps nobody.
_MESSAGE = 4 * 1024
_FRAMES = 20
_STACK = 16 * 1024


def remember(source):
    """Tracebacks of the program can show its lines."""
    linecache.cache[PROGRAM] = (len(source), None, source.splitlines(keepends=True), PROGRAM)


def of_compiler(error):
    """An error of the compiler."""
    if isinstance(error, MemoryError) and str(error):
        # The parser has a stack of its own, and this is how it says that it is full.
        return {"kind": "stack", "message": f"MemoryError: {error}"}
    if isinstance(error, MemoryError):
        return {"kind": "memory", "message": "MemoryError: the program is too large to compile"}
    if isinstance(error, RecursionError):
        return {"kind": "stack", "message": "RecursionError: the program is nested too deeply to compile"}
    if not isinstance(error, SyntaxError):
        return {"kind": "syntax", "message": f"SyntaxError: {_cut(str(error), _MESSAGE)}"}
    told = {"kind": "syntax", "message": f"{type(error).__name__}: {_cut(error.msg, _MESSAGE)}"}
    if error.lineno:
        told["line"] = error.lineno
        told["column"] = max(1, error.offset or 1)
        told["stack"] = _cut("".join(traceback.format_exception_only(error)), _STACK)
    return told


def of_program(error, milliseconds):
    """What a running program raised."""
    if isinstance(error, clock.OutOfTime):
        return {"kind": "timeout", "message": f"execution timed out after {milliseconds}ms", **_place(error)}
    kind = "memory" if isinstance(error, MemoryError) else "stack" if isinstance(error, RecursionError) else "runtime"
    told = traceback.TracebackException.from_exception(error, max_group_width=10, max_group_depth=5)
    _own(told, set())
    message = "".join(told.format_exception_only()).strip()
    if isinstance(error, SyntaxError):
        message = f"{type(error).__name__}: {error.msg}"
    if isinstance(error, MemoryError) and not str(error):
        message = "MemoryError: the program used more memory than it may"
    stack = "".join(told.format())
    return {"kind": kind, "message": _cut(message, _MESSAGE), **_place(error), "stack": _cut(stack, _STACK)}


def _own(told, seen):
    """Leaves out the frames that are not the program's, in an exception and in those it came of."""
    if told is None or id(told) in seen:
        return
    seen.add(id(told))
    own = [frame for frame in told.stack if not _ours(frame.filename)]
    told.stack[:] = own if _runs(own) <= 2 * _FRAMES else [*own[:_FRAMES], _gap(own), *own[-_FRAMES:]]
    for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
        _own(other, seen)


def _runs(frames):
    """How many there are, where those that repeat count once: a traceback tells them in one line."""
    places = [(frame.lineno, frame.name) for frame in frames]
    return sum(place != before for place, before in zip(places, [None, *places]))


def _gap(frames):
    left_out = frames[_FRAMES:-_FRAMES]
    return traceback.FrameSummary(PROGRAM, left_out[0].lineno, f"[{len(left_out)} frames left out]", lookup_line=False)


def _ours(filename):
    return filename.startswith(LIBRARY) or filename.startswith("<frozen ")


def _place(error):
    """Where in the program: the innermost frame of it."""
    found = {}
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code.co_filename == PROGRAM:
            found = _position(code, step)
        step = step.tb_next
    return found


def _position(code, step):
    place = {"line": step.tb_lineno}
    positions = list(code.co_positions())
    at = step.tb_lasti // 2
    if 0 <= at < len(positions) and positions[at][2] is not None:
        line = linecache.getline(PROGRAM, step.tb_lineno).encode()
        place["column"] = len(line[: positions[at][2]].decode("utf-8", "replace")) + 1
    return place


def _cut(told, most):
    told = values.text(told)
    if len(told) <= most:
        return told
    return f"{told[: most // 2]}\n[{len(told) - most:,} characters left out]\n{told[-most // 2 :]}"


def _library():
    """The folders of the standard library and of this package, as their code was compiled."""
    return tuple(place.__code__.co_filename.rpartition("/" + tail)[0] + "/" for place, tail in _PLACES)


_PLACES = ((linecache.getline, "linecache.py"), (remember, "_bailiwick/failures.py"))
LIBRARY = _library()
