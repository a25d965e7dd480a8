"""How much time a program has left.

Nothing can interrupt a loop from within. So whoever waits or prints asks here, and a program that is over its time ends
there, with all that it had printed; any other is ended by the host, without.
"""

import time

_real_sleep = time.sleep
_until = None


class OutOfTime(BaseException):
    """The time is over. No `Exception`, so that a program does not catch it unawares."""


def start(milliseconds):
    """The time begins; `None`: there is no limit in here."""
    global _until
    _until = None if milliseconds is None else time.monotonic() + milliseconds / 1000


def left():
    """Seconds, at least 0; `None` without a limit."""
    return None if _until is None else max(0.0, _until - time.monotonic())


def check():
    """Raises `OutOfTime` when the time is over."""
    if _until is not None and time.monotonic() >= _until:
        raise OutOfTime


def give_back(seconds):
    """Time that does not count: the host knows how long tools really took, without a person's thinking."""
    global _until
    if _until is not None:
        _until += seconds


def stop():
    """No limit from here on: the answer is being made."""
    start(None)


def sleep(secs, /):
    """Delay execution for a given number of seconds."""
    rest = left()
    if rest is not None and isinstance(secs, (int, float)) and secs >= rest:
        _real_sleep(rest)
        raise OutOfTime
    _real_sleep(secs)
