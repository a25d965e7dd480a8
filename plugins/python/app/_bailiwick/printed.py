"""What a program prints: both streams in the order of their lines, and no more than an answer holds."""

import io

from . import clock

# What an answer shows, half of it from the beginning and half from the end.
SHOWN = 96 * 1024
# What is kept for an artifact. More would take the memory that the program was given for itself.
KEPT = 4 * 1024 * 1024
_HALF = SHOWN // 2
_MARK = b"[stderr] "


class Printed:
    """Takes what is written to `stdout` and `stderr`."""

    def __init__(self):
        self._first = bytearray()
        self._last = bytearray()
        self._total = 0
        self._line_of = None
        self.stdout = io.TextIOWrapper(_Sink(self, "<stdout>"), "utf-8", "backslashreplace", newline="\n")
        self.stderr = io.TextIOWrapper(
            _Sink(self, "<stderr>"), "utf-8", "backslashreplace", newline="\n", write_through=True
        )

    def take(self, name, data):
        """Takes bytes of a stream. Then raises `OutOfTime` if so: a program that prints in a loop ends here."""
        error = name == "<stderr>"
        if error:
            flush(self.stdout)
        if self._line_of not in (None, name):
            self._keep(b"\n")
            self._line_of = None
        if error:
            begun = self._line_of is not None
            lines = data.splitlines(keepends=True)
            self._line_of = None if data.endswith(b"\n") else name
            data = b"".join(line if begun and not at else _MARK + line for at, line in enumerate(lines))
        else:
            self._line_of = None if data.endswith(b"\n") else name
        self._keep(data)
        clock.check()

    def _keep(self, data):
        self._total += len(data)
        room = KEPT - len(self._first)
        if room > 0:
            self._first += data[:room]
            data = data[room:]
        if data:
            self._last += data
            if len(self._last) > 2 * _HALF:
                del self._last[:-_HALF]

    def end(self):
        """All that was printed: what an answer shows of it, and the bytes for an artifact if that is not all."""
        flush(self.stdout)
        flush(self.stderr)
        if self._total <= SHOWN:
            return _text(self._first), None
        head, tail = self._first[:_HALF], (self._first[-_HALF:] + self._last)[-_HALF:]
        whole = bytes(self._first)
        if self._total > KEPT:
            last = self._last[-_HALF:]
            whole += _gap(self._total - KEPT - len(last)) + bytes(last)
        return _text(head + _gap(self._total - 2 * _HALF) + tail), whole


class _Sink(io.RawIOBase):
    def __init__(self, printed, name):
        self._printed, self.name, self.mode = printed, name, "wb"

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        if data:
            self._printed.take(self.name, data)
        return len(data)


def _gap(count):
    return f"\n[{count:,} bytes left out]\n".encode() if count else b""


def _text(data):
    # A cut may go through a character.
    return bytes(data).decode("utf-8", "replace")


def flush(stream):
    """Flushes a stream that the program may have closed or taken apart."""
    try:
        stream.flush()
    except (ValueError, AttributeError):
        pass
