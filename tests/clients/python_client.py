"""Runs `bailiwick serve` under the official Python client, in every way it can negotiate a protocol: on standard streams,
or over HTTP with a key.

    tests/clients/.venv/bin/python tests/clients/python_client.py BAILIWICK CONFIG stdio|http

Prints one line for each check; exits 1 when one failed. The configuration must offer `now` (the built-in `datetime`) and
`approved` (the same with `approval = "always"`); `web_fetch`, and `steps` and `ask` of the guest `polite`, are used where
they are there. See bailiwick.toml.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError
import mcp_types as types

from support import KEY, Checks, Web, environment

BAILIWICK, CONFIG, WAY = sys.argv[1:4]
NEGOTIATED = {"legacy": "2025-11-25", "auto": "2026-07-28", "2026-07-28": "2026-07-28"}
checks = Checks()
web = Web()
arguments = ["--config", CONFIG, "serve"]
if WAY == "http":
    daemon = subprocess.Popen(
        [BAILIWICK, *arguments, "--listen", "127.0.0.1:0"], env=environment(web), stdout=subprocess.PIPE, text=True
    )
    url = daemon.stdout.readline().strip() + "/mcp"


def connect(**options):
    """A client of a server of its own on standard streams, or of the one that listens."""
    if WAY == "http":
        http_client = create_mcp_http_client(headers={"Authorization": f"Bearer {KEY}"})
        return Client(streamable_http_client(url, http_client=http_client), **options)
    return Client(StdioServerParameters(command=BAILIWICK, args=[*arguments, "--stdio"], env=environment(web)), **options)


def text(result):
    return "\n".join(piece.text for piece in result.content if piece.type == "text")


class Person:
    """Answers every question the same way and remembers them."""

    def __init__(self, action, content=None):
        self.action = action
        self.content = content
        self.asked = []

    async def __call__(self, _context, params):
        self.asked.append(params)
        return types.ElicitResult(action=self.action, content=self.content)


async def listing(mode, client):
    tools = (await client.list_tools()).tools
    names = [tool.name for tool in tools]
    checks.line(f"{mode}: tools/list is in name order", names == sorted(names) and len(names) == len(set(names)), names)
    datetime = next((tool for tool in tools if tool.name == "now"), None)
    complete = (
        datetime is not None
        and datetime.title
        and datetime.description
        and datetime.input_schema["type"] == "object"
        and datetime.output_schema is not None
        and datetime.annotations.read_only_hint is True
        and datetime.annotations.open_world_hint is False
    )
    checks.line(f"{mode}: a tool is described in full", bool(complete), datetime)
    return names


async def calling(mode, client):
    result = await client.call_tool("now", {"timezone": "Europe/Berlin"})
    good = not result.is_error and  isinstance(result.structured_content, dict)
    checks.line(f"{mode}: a call gives text and structured content", good, result)
    result = await client.call_tool("now")
    checks.line(f"{mode}: absent arguments are none", not result.is_error, result)
    result = await client.call_tool("now", {"timezone": {"not": "a text"}})
    good = result.is_error and "timezone" in text(result) and "[arguments.invalid]" in text(result)
    checks.line(f"{mode}: a wrong argument is told to the model", good, result)
    try:
        checks.line(f"{mode}: an unknown tool is a protocol error", False, await client.call_tool("no_such_tool", {}))
    except MCPError as error:
        checks.line(f"{mode}: an unknown tool is a protocol error", error.code == -32602, error)
    results = []
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(lambda: collect(results, client.call_tool("now", {})))
    good = len(results) == 20 and not any(result.is_error for result in results)
    checks.line(f"{mode}: twenty calls at once", good, [text(result) for result in results])


async def collect(results, call):
    results.append(await call)


async def progress(mode, client, names):
    if "steps" not in names:
        return checks.skip(f"{mode}: progress", "no tool `steps`")
    seen = []

    async def heard(done, total, message):
        seen.append((done, total, message))

    result = await client.call_tool("steps", {"steps": 5}, progress_callback=heard)
    expected = [(float(step), 5.0, f"step {step}") for step in range(1, 6)]
    checks.line(f"{mode}: progress comes in order, before the result", seen == expected and not result.is_error, (seen, result))


async def cancelling(mode, client, names):
    if "web_fetch" not in names:
        return checks.skip(f"{mode}: cancellation", "no tool `web_fetch`")
    async with anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "web_fetch", {"url": web.url("/never")})
        reached = await anyio.to_thread.run_sync(lambda: web.asked.acquire(timeout=10))
        group.cancel_scope.cancel()
    gone = await anyio.to_thread.run_sync(lambda: web.gone.acquire(timeout=5))
    checks.line(f"{mode}: cancelling a call ends what it does", reached and gone, (reached, gone))
    result = await client.call_tool("now", {})
    checks.line(f"{mode}: the connection lives on after that", not result.is_error, result)


async def artifacts(mode, client, names):
    if "web_fetch" not in names:
        return checks.skip(f"{mode}: artifacts", "no tool `web_fetch`")
    result = await client.call_tool("web_fetch", {"url": web.url("/big")})
    links = [piece for piece in result.content if piece.type == "resource_link"]
    checks.line(f"{mode}: what is too long is linked", not result.is_error and links, result)
    if links:
        uri = str(links[0].uri)
        whole = (await client.read_resource(uri)).contents[0].text
        checks.line(f"{mode}: the link can be read", "line 00300" in whole, whole[:200])
        listed = [str(resource.uri) for resource in (await client.list_resources()).resources]
        checks.line(f"{mode}: resources/list names it", uri in listed, listed)
    try:
        checks.line(f"{mode}: nothing else can be read", False, await client.read_resource("artifact://x-0/result.txt"))
    except MCPError as error:
        checks.line(f"{mode}: nothing else can be read", error.code in (-32002, -32602), error)


async def approval(mode):
    person = Person("accept", {})
    async with connect(mode=mode, elicitation_callback=person) as client:
        result = await client.call_tool("approved", {"timezone": "UTC"})
        asked = [params.message for params in person.asked]
        good = not result.is_error and len(asked) == 1 and asked[0].startswith("Bailiwick asks: ")
        checks.line(f"{mode}: a call that needs approval runs when the person accepts", good, (asked, result))
        person.action, person.content = "decline", None
        result = await client.call_tool("approved", {})
        good = result.is_error and "[denied.approval]" in text(result) and len(person.asked) == 2
        checks.line(f"{mode}: it does not when the person declines", good, result)
    async with connect(mode=mode) as client:
        result = await client.call_tool("approved", {})
        good = result.is_error and "[denied.approval]" in text(result)
        checks.line(f"{mode}: nor when nobody can be asked", good, result)


async def questions(mode):
    person = Person("accept", {"answer": "forty-two"})
    async with connect(mode=mode, elicitation_callback=person) as client:
        if "ask" not in [tool.name for tool in (await client.list_tools()).tools]:
            return checks.skip(f"{mode}: a plugin's question", "no tool `ask`")
        result = await client.call_tool("ask", {"question": "What is it?", "times": 2})
        asked = [params.message for params in person.asked]
        good = asked == ["Plugin `polite` asks: What is it?"] * 2 and "forty-two" in text(result)
        checks.line(f"{mode}: a plugin's questions reach the person, and the answers the plugin", good, (asked, result))


def children():
    return [int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]


async def changes(mode):
    """A reload is told: to a session by a notification, to a stateless client in the subscription it holds."""
    told = anyio.Event()

    async def heard(message):
        if isinstance(message, types.ToolListChangedNotification):
            told.set()

    async def reload():
        for pid in [daemon.pid] if WAY == "http" else children():
            os.kill(pid, signal.SIGHUP)
        with anyio.move_on_after(10):
            await told.wait()

    async with connect(mode=mode, message_handler=heard) as client:
        if client.protocol_version == "2025-11-25":
            await client.list_tools()
            await reload()
        else:
            async with client.listen(tools_list_changed=True) as subscription, anyio.create_task_group() as group:

                async def watch():
                    async for _ in subscription:
                        told.set()

                group.start_soon(watch)
                await reload()
                group.cancel_scope.cancel()
    checks.line(f"{mode}: a reload is told", told.is_set())


async def everything(mode):
    async with connect(mode=mode) as client:
        version = client.protocol_version
        checks.line(f"{mode}: negotiates {NEGOTIATED[mode]}", version == NEGOTIATED[mode], version)
        names = await listing(mode, client)
        await calling(mode, client)
        await progress(mode, client, names)
        await cancelling(mode, client, names)
        await artifacts(mode, client, names)
    await approval(mode)
    await questions(mode)
    await changes(mode)


for mode in NEGOTIATED:
    try:
        anyio.run(everything, mode)
    except BaseException:
        checks.crashed(mode)
if WAY == "http":
    daemon.terminate()
    code = daemon.wait(timeout=30)
    checks.line("the server ends in good order", code == 0, code)
checks.done()
