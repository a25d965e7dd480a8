"""Waiting without threads and sockets: for time and for answers of tools.

`asyncio` gets an event loop that knows nothing else. What it would give to a thread it does at once.
"""

import asyncio
import time
import warnings

from . import clock
from wit_world.imports import monotonic_clock, poll


def until_any(pollables, seconds=None):
    """Waits until one of the pollables is ready or the seconds are over; gives the places of those that are ready."""
    if not pollables:
        clock.sleep(seconds)
        return []
    begun = time.monotonic()
    if seconds is None:
        ready = poll.poll(pollables)
    else:
        with monotonic_clock.subscribe_duration(max(0, int(seconds * 1e9))) as timer:
            ready = [at for at in poll.poll([*pollables, timer]) if at < len(pollables)]
    # The host counts the time of tools itself.
    clock.give_back(time.monotonic() - begun)
    return ready


class Loop(asyncio.BaseEventLoop):
    """An event loop for a program that is alone."""

    def __init__(self):
        super().__init__()
        self._waited = {}
        self._selector = self

    def answered(self, pollable):
        """A future that is done once the pollable is ready. The caller lets the pollable go after that."""
        future = self.create_future()
        self._waited[future] = pollable
        future.add_done_callback(lambda future: self._waited.pop(future, None))
        return future

    def select(self, timeout):
        """What a selector does: waits, at most so many seconds."""
        waited = list(self._waited.items())
        if not waited and timeout is None:
            raise RuntimeError("the program waits for something that cannot happen: no timer and no call is under way")
        if not waited and not timeout:
            return []
        ready = until_any([pollable for _, pollable in waited], timeout)
        return [waited[at][0] for at in ready]

    def _process_events(self, event_list):
        for future in event_list:
            if not future.done():
                future.set_result(None)

    def _write_to_self(self):
        """There is nobody else who could wake it."""

    def run_in_executor(self, executor, func, *args):
        """Runs it at once: there are no threads."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class Policy(asyncio.events._BaseDefaultEventLoopPolicy):
    """`asyncio.run` takes our loop."""

    _loop_factory = Loop


def install():
    """Makes it the loop of `asyncio`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.events._set_event_loop_policy(Policy())
    asyncio.SelectorEventLoop = asyncio.DefaultEventLoopPolicy = None
    asyncio.EventLoop = asyncio.SelectorEventLoop = Loop
