"""Counts words: the contract by way of componentize-py."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.tool import (
    Annotations,
    Content_Text,
    Definition,
    Failure_Failed,
    Failure_NotFound,
    Output,
    Risk,
)

INPUT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": False}
OUTPUT = {"type": "object", "properties": {"words": {"type": "integer"}}, "required": ["words"]}


class Tool(exports.Tool):
    def describe(self):
        return [
            Definition(
                name="count_words_python",
                title="Count words",
                description="Counts the words of a text.",
                input_schema=json.dumps(INPUT),
                output_schema=json.dumps(OUTPUT),
                annotations=Annotations(read_only=True, destructive=None, idempotent=True, open_world=False),
                risk=Risk.LOW,
            )
        ]

    def check(self):
        return None

    def call(self, name, arguments):
        if name != "count_words_python":
            raise Err(Failure_NotFound(name))
        words = len(json.loads(arguments)["text"].split())
        if words == 0:
            raise Err(Failure_Failed("the text has no words"))
        return Output(content=[Content_Text(f"{words} words")], structured=json.dumps({"words": words}))
