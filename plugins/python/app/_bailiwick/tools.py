"""`api`: other tools, called by a program (code mode).

`api.name({...})` and `api.name(key=...)` call a tool and wait; the answer is `{"success": True, "output": ...}` or
`{"success": False, "output": "what happened", "error": {"code": ..., "message": ...}}`. In names, `-`, `.` and blanks
become `_`; `api["exact-name"]` takes the name as it is. Several at once: `api.all([("name", {...}), ...])`,
`api.all([api.later.name({...}), ...])`, or `await asyncio.gather(api.aio.name({...}), ...)`. The words `all`, `later`,
`aio` and `names` are ours: a tool of that name is called with brackets.
"""

import asyncio
import difflib
import json
import re

from . import values, waiting
from wit_world.imports import call


class Answer(dict):
    """What became of a call; its keys can be read as attributes too."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"an answer has no `{name}`; it has {', '.join(self)}") from None

    @classmethod
    def of(cls, answer):
        """The host's answer."""
        output = json.loads(answer.output)
        if answer.success:
            return cls(success=True, output=output)
        message = output if isinstance(output, str) else answer.output
        return cls(success=False, output=output, error={"code": answer.code or "tool.failed", "message": message})


class Later:
    """A call that is not begun; for `api.all`."""

    def __init__(self, name, arguments):
        self.name, self.arguments = name, arguments

    def __repr__(self):
        return f"<a call of {self.name}>"


class _Names:
    """The tools, each as a function."""

    def __init__(self, names, call):
        self._exact = {name: _function(name, call) for name in names}
        self._named = {}
        for name, function in self._exact.items():
            self._named.setdefault(re.sub("[-. ]", "_", name), function)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._named[name]
        except KeyError:
            raise AttributeError(self._missing(name, self._named), name=name) from None

    def __getitem__(self, name):
        try:
            return self._exact[name]
        except KeyError:
            raise KeyError(self._missing(name, self._exact)) from None

    def _missing(self, name, names):
        near = difflib.get_close_matches(str(name), names, 3, 0.5)
        if near:
            return f"there is no tool `{name}`; near it: {', '.join(near)}"
        return f"there is no tool `{name}`; there are {', '.join(list(names)[:20]) or 'none'}"

    def __contains__(self, name):
        return name in self._exact

    def __iter__(self):
        return iter(self._exact)

    def __len__(self):
        return len(self._exact)

    def __dir__(self):
        return [*self._named, *super().__dir__()]

    def __repr__(self):
        return f"<tools: {', '.join(self._exact)}>"


class Api(_Names):
    """What a program finds as `api`."""

    def __init__(self):
        names = call.tools()
        super().__init__(names, lambda later: self.all([later])[0])
        self.names = list(names)
        self.later = _Names(names, lambda later: later)
        self.aio = _Names(names, _awaited)

    def all(self, calls):
        """Begins all calls at once and gives their answers, in the same order."""
        begun = [_start(self._later(one)) for one in calls]
        try:
            return _answers(begun)
        finally:
            for pending in begun:
                pending.__exit__(None, None, None)

    def _later(self, one):
        if isinstance(one, Later):
            return one
        if isinstance(one, (tuple, list)) and len(one) in (1, 2) and isinstance(one[0], str):
            name, arguments = one[0], one[1] if len(one) == 2 else {}
            return self.later[name](arguments) if name in self.later else getattr(self.later, name)(arguments)
        raise TypeError("`api.all` takes a list of (name, arguments) or of `api.later.name(arguments)`")


def _function(name, call):
    def function(arguments=None, /, **named):
        if arguments is not None and not isinstance(arguments, dict):
            raise TypeError(f"`{name}` takes one dict of arguments, or arguments by name")
        return call(Later(name, {**(arguments or {}), **named}))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Calls the tool `{name}`."
    return function


def _start(later):
    return call.start(later.name, json.dumps(values.plain(later.arguments), ensure_ascii=False))


def _answers(begun):
    answers = [None] * len(begun)
    open_ = list(range(len(begun)))
    while open_:
        pollables = [begun[at].subscribe() for at in open_]
        try:
            ready = waiting.until_any(pollables)
        finally:
            for pollable in pollables:
                pollable.__exit__(None, None, None)
        for at in [open_[place] for place in ready]:
            answer = begun[at].take()
            if answer is not None:
                answers[at] = Answer.of(answer)
                open_.remove(at)
    return answers


async def _waited(pending):
    # Within `with`: a task that is cancelled ends its call.
    with pending:
        while True:
            with pending.subscribe() as pollable:
                await asyncio.get_running_loop().answered(pollable)
            answer = pending.take()
            if answer is not None:
                return Answer.of(answer)


def _awaited(later):
    """Begins the call; what it gives is awaited."""
    return _waited(_start(later))
