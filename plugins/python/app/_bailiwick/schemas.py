"""What `run` takes and gives, as JSON Schema."""

DESCRIPTION = (
    "Runs a Python program on a fresh interpreter (CPython 3.14, standard library) with nothing to reach but what is "
    "granted. What goes wrong in the program is part of the result."
)

INPUT = {
    "type": "object",
    "properties": {
        "language": {"const": "python", "description": "Always `python`."},
        "form": {
            "enum": ["script", "body", "main", "check"],
            "description": (
                "`script`: run as `__main__`; a last expression is the value. `body`: the body of a function; what it "
                "returns is the value. `main`: defines `main(input)`; its result is the value. `check`: only compiled."
            ),
        },
        "source": {"type": "string", "description": "The program."},
        "input": {"description": "What `main` is called with; any JSON."},
        "time_ms": {
            "type": "integer",
            "minimum": 1,
            "description": "How long the program may take. Held where it prints, sleeps or waits; else by the host.",
        },
        "tools": {"type": "boolean", "default": False, "description": "Whether the program finds `api`."},
    },
    "required": ["language", "form", "source"],
    "additionalProperties": False,
}

_PLACE = {
    "line": {"type": "integer", "minimum": 1},
    "column": {"type": "integer", "minimum": 1, "description": "Of the first character, which is 1."},
}

_ERROR = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["syntax", "runtime", "timeout", "memory", "stack"]},
        "message": {"type": "string"},
        **_PLACE,
        "stack": {"type": "string", "description": "The traceback, without frames that are not the program's."},
    },
    "required": ["kind", "message"],
    "additionalProperties": False,
}

OUTPUT = {
    "type": "object",
    "properties": {
        "output": {
            "type": "string",
            "description": "What was printed; lines to standard error begin with `[stderr] `.",
        },
        "artifact": {"type": "string", "description": "All that was printed, where `output` leaves out its middle."},
        "value": {"description": "What the program gave; absent when it gave nothing."},
        "value_artifact": {"type": "string", "description": "The value, where it is too large for an answer."},
        "main": {"const": False, "description": "There is no `main` to call."},
        "error": _ERROR,
        "errors": {"type": "array", "items": _ERROR, "description": "What `check` found; empty: it compiles."},
        "duration_ms": {"type": "number"},
    },
    "required": ["output", "duration_ms"],
    "additionalProperties": False,
}
