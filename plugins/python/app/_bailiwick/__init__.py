"""The Python interpreter as a plugin: one tool, `run`, that the host calls for programs callers wrote.

It is not for callers: the host checks what they ask, and makes a fresh instance of this component for each program,
so nothing here is undone after a run. Read in this order: `run` is what a program is and what comes of it; `printed`,
`values` and `failures` are the parts of an answer; `tools` and `waiting` are code mode; `library` and `walls` are what
a program finds.
"""

import json

from . import library

library.load()

from . import run, schemas  # noqa: E402  (the library comes first: it is what they import)
from componentize_py_types import Err  # noqa: E402
from wit_world.exports import Tool as Exported  # noqa: E402
from wit_world.exports.tool import Annotations, Definition, Failure_InvalidArguments, Output, Risk  # noqa: E402


class Tool(Exported):
    """What the component exports."""

    def describe(self):
        """The one tool."""
        hints = Annotations(read_only=None, destructive=None, idempotent=None, open_world=None)
        return [
            Definition(
                name="run",
                title="Run Python",
                description=schemas.DESCRIPTION,
                input_schema=json.dumps(schemas.INPUT),
                output_schema=json.dumps(schemas.OUTPUT),
                annotations=hints,
                risk=Risk.MEDIUM,
            )
        ]

    def check(self):
        """Nothing has to be configured."""
        return None

    def call(self, name, arguments):
        """Runs a program. Fails only for arguments that make none; what goes wrong in it is part of the result."""
        try:
            asked = run.Asked.of(json.loads(arguments))
        except ValueError as error:
            raise Err(Failure_InvalidArguments(str(error))) from None
        return Output(content=[], structured=run.answer(asked))


library.settle()
