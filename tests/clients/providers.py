"""What the libraries of model providers make of the tools as this host describes them, and of its answers.

Their own types take every definition and every answer; their own code that makes a schema strict finds nothing to change;
and one conversation goes all the way through OpenAI's client.
"""

import asyncio
import copy
import json
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import anthropic
from agents.mcp import MCPServerStreamableHttp, MCPUtil
from agents.strict_schema import ensure_strict_json_schema
from anthropic.types import ToolParam, ToolResultBlockParam
from google.genai import types as gemini
from mcp import types as mcp
from openai import OpenAI
from openai.lib._pydantic import _ensure_strict_json_schema
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionToolMessageParam
from openai.types.responses import FunctionToolParam
from openai.types.responses.response_input_param import FunctionCallOutput
from pydantic import TypeAdapter

program, config = sys.argv[1:3]
server = subprocess.Popen(
    [program, "serve", "--config", config, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
)
url = server.stdout.readline().strip()


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def tools(query):
    return ask(f"/api/v1/tools?{query}")["tools"]


def takes(kind, value):
    TypeAdapter(kind).validate_python(value, strict=False)


def openai_takes_them():
    strict = 0
    for tool in tools("format=openai"):
        takes(ChatCompletionFunctionToolParam, tool)
        function = tool["function"]
        if function["strict"]:
            strict += 1
            schema = function["parameters"]
            made = copy.deepcopy(schema)
            assert _ensure_strict_json_schema(made, path=(), root=made) == schema, schema
            assert ensure_strict_json_schema(copy.deepcopy(schema)) == schema, schema
    assert strict > 5, strict
    assert not any(tool["function"]["strict"] for tool in tools("format=openai&strict=false"))
    for tool in tools("format=openai-responses"):
        takes(FunctionToolParam, tool)


def anthropic_takes_them():
    for tool in tools("format=anthropic"):
        takes(ToolParam, tool)
        assert "strict" not in tool
    held = [tool for tool in tools("format=anthropic&strict=true") if tool.get("strict")]
    assert len(held) > 5, held
    for tool in held:
        schema = tool["input_schema"]
        assert anthropic.transform_schema(copy.deepcopy(schema)) == schema, schema


def gemini_takes_them():
    (tool,) = tools("format=gemini")
    declared = gemini.Tool.model_validate(tool).function_declarations
    assert len(declared) == ask("/api/v1/tools")["count"]
    assert sum(declaration.parameters is not None for declaration in declared) > 5


def mcp_takes_them():
    for tool in tools("format=mcp"):
        mcp.Tool.model_validate(tool)


async def agents_take_them():
    async with MCPServerStreamableHttp(params={"url": url + "/mcp"}) as connection:
        made = await MCPUtil.get_function_tools(connection, True, None, None)
        assert {tool.name for tool in made} == {tool["name"] for tool in tools("")}


def answers_are_theirs():
    chat = {"id": "a", "type": "function", "function": {"name": "counted", "arguments": '{"count": 3}'}}
    for message in ask("/api/v1/tool-calls", {"tool_calls": [chat, chat]})["messages"]:
        takes(ChatCompletionToolMessageParam, message)
    item = {"type": "function_call", "call_id": "a", "name": "counted", "arguments": '{"count": 3}'}
    for message in ask("/api/v1/tool-calls", {"output": [item]})["messages"]:
        takes(FunctionCallOutput, message)
    used = {"type": "tool_use", "id": "a", "name": "counted", "input": {"count": 3}}
    (message,) = ask("/api/v1/tool-calls", {"content": [used, {**used, "name": "nobody"}]})["messages"]
    for block in message["content"]:
        takes(ToolResultBlockParam, block)
    assert [block.get("is_error", False) for block in message["content"]] == [False, True]
    call = {"functionCall": {"name": "counted", "args": {"count": 3}}}
    (message,) = ask("/api/v1/tool-calls", {"parts": [call]})["messages"]
    content = gemini.Content.model_validate(message)
    assert content.parts[0].function_response.response == {"output": {"count": 3}}


class Model(BaseHTTPRequestHandler):
    """Wants a tool once, and says what it was told."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last = body["messages"][-1]
        if last["role"] == "tool":
            message = {"role": "assistant", "content": f"It is {last['content']}"}
        else:
            assert any(tool["function"]["name"] == "counted" for tool in body["tools"])
            function = {"name": "counted", "arguments": '{"count": 42}'}
            calls = [{"id": "call_1", "type": "function", "function": function}]
            message = {"role": "assistant", "content": None, "tool_calls": calls}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        text = json.dumps(
            {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def a_conversation_goes_through():
    model = HTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    client = OpenAI(base_url=f"http://127.0.0.1:{model.server_port}/v1", api_key="none")
    messages = [{"role": "user", "content": "How many?"}]
    offered = tools("format=openai")
    for _ in range(3):
        said = client.chat.completions.create(model="m", messages=messages, tools=offered).choices[0].message
        messages.append(said.model_dump(exclude_none=True))
        if not said.tool_calls:
            break
        messages += ask("/api/v1/tool-calls", messages[-1])["messages"]
    assert messages[-1]["content"] == 'It is {"count":42}', messages


try:
    for check in [
        openai_takes_them,
        anthropic_takes_them,
        gemini_takes_them,
        mcp_takes_them,
        answers_are_theirs,
        a_conversation_goes_through,
    ]:
        check()
        print(f"ok     {check.__name__}")
    asyncio.run(agents_take_them())
    print("ok     agents_take_them")
finally:
    server.terminate()
    server.wait()
