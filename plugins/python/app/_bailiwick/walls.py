"""What is not there, said so that a reader knows why: sockets, processes, threads.

None of this protects anything: the host grants no socket, and the engine has neither processes nor threads. It replaces
errors that would be hard to understand.
"""

import errno
import os
import socket
import subprocess
import threading
import time

from . import clock, waiting

_NO_NETWORK = "there is no network in this Python; a tool that may use it has to be called instead"
_NO_PROCESSES = "there are no processes in this Python"
_NO_THREADS = "there are no threads in this Python; `asyncio` works, also `asyncio.to_thread`, one after the other"


def build():
    """Puts the words in place."""
    time.sleep = clock.sleep
    waiting.install()
    socket.socket.__init__ = _no_network
    for name in ("create_connection", "create_server", "socketpair", "getaddrinfo", "gethostbyname", "gethostname"):
        if hasattr(socket, name):
            setattr(socket, name, _no_network)
    subprocess.Popen.__init__ = os.system = _no_processes
    threading.Thread.start = _no_threads


def _no_network(*_arguments, **_named):
    raise OSError(errno.ENOTSUP, _NO_NETWORK)


def _no_processes(*_arguments, **_named):
    raise OSError(errno.ENOTSUP, _NO_PROCESSES)


def _no_threads(*_arguments, **_named):
    raise RuntimeError(_NO_THREADS)
