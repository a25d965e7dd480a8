"""Has other people's MCP servers twice, directly and behind `bailiwick serve --stdio`, and prints every difference.

    tests/clients/.venv/bin/python tests/clients/compare.py BAILIWICK CONFIG SERVERS.json

SERVERS.json says of each server of CONFIG, by the plugin's name: `command` or `url`, `env`, what it is (`kind`), and its
`folder`: what it works on. The folder of the direct one is `FOLDER-direct`, a copy. Prints one line for each comparison;
exits 1 when one failed. What may differ is in `without_what_may_differ`, and nowhere else.
"""

import base64
import json
import re
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import mcp_types as types
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from support import Checks

BAILIWICK, CONFIG, SERVERS = sys.argv[1:4]
SPOKEN = json.loads(Path(SERVERS).read_text())
checks = Checks()


class Person:
    """Answers what servers ask, always the same, and remembers it."""

    def __init__(self):
        self.asked = []

    async def fill(self, _context, params):
        self.asked.append(["form", re.sub(r"^Plugin `[^`]*` asks: ", "", params.message), params.requested_schema])
        return types.ElicitResult(action="accept", content={"name": "Ada", "check": True, "integer": 7})

    async def sample(self, _context, params):
        said = [dump(message)["content"] for message in params.messages]
        self.asked.append(["sample", said, params.max_tokens])
        return types.CreateMessageResult(role="assistant", model="m", content=types.TextContent(text="Sampled."))

    async def roots(self, _context):
        self.asked.append(["roots"])
        return types.ListRootsResult(roots=[types.Root(uri="file:///here", name="Here")])


def dump(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


def connect(way, person, mode):
    return Client(
        way, mode=mode, elicitation_callback=person.fill, sampling_callback=person.sample, list_roots_callback=person.roots
    )


def directly(server):
    if "url" in server:
        return streamable_http_client(server["url"])
    command, *arguments = [word.replace(server["folder"], server["folder"] + "-direct") for word in server["command"]]
    env = {key: word.replace(server["folder"], server["folder"] + "-direct") for key, word in server.get("env", {}).items()}
    return StdioServerParameters(command=command, args=arguments, env=env)


def behind():
    return StdioServerParameters(command=BAILIWICK, args=["--config", CONFIG, "serve", "--stdio"])


LISTS = {
    "tools": ("list_tools", "name"),
    "prompts": ("list_prompts", "name"),
    "resources": ("list_resources", "uri"),
    "resourceTemplates": ("list_resource_templates", "uriTemplate"),
}


async def listed(client, what):
    """All pages of a list, by name; none where the server has no such list."""
    method, key = LISTS[what]
    found, cursor = {}, None
    while True:
        try:
            page = dump(await getattr(client, method)(cursor=cursor))
        except MCPError as error:
            if error.code == types.METHOD_NOT_FOUND:
                return {}
            raise
        found.update({item[key]: item for item in page[what]})
        cursor = page.get("nextCursor")
        if cursor is None:
            return found


def without_what_may_differ(value, names):
    """The value without what Bailiwick says itself, and without what no two runs have in common."""
    if isinstance(value, dict):
        gone = ("_meta", "ttlMs", "cacheScope", "resultType")
        # Hints are the host's own, from the grants. Tasks of 2025-11-25 are in no version since.
        gone += ("annotations", "execution") if "inputSchema" in value else ()
        return {key: without_what_may_differ(field, names) for key, field in value.items() if key not in gone}
    if isinstance(value, list):
        return [without_what_may_differ(item, names) for item in value]
    if isinstance(value, str):
        for there, here in names:
            value = value.replace(there, here)
        # The code of a failure, at its end.
        value = re.sub(r" \[(tool|arguments)\.[a-z-]+\]$", "", value)
        # Times, the hashes of commits, and ids that are drawn.
        value = re.sub(r"\d\d:\d\d(:\d\d)?(\.\d+)?( [AP]M)?", "TIME", value)
        value = re.sub(r"accessed: .*", "accessed: …", value)
        value = re.sub(r"(created|modified): .*", r"\1: …", value)
        return re.sub(r"\b[0-9a-f]{7,40}\b", "HASH", value)
    return value


def same(what, direct, bridged, names):
    direct, bridged = without_what_may_differ(direct, names), without_what_may_differ(bridged, names)
    if direct == bridged:
        checks.line(what, True)
        return
    for path, one, other in differences(direct, bridged):
        checks.line(f"{what}: {path}", False, f"directly {one!r:.400}, behind {other!r:.400}")


def differences(direct, bridged, path="result"):
    if isinstance(direct, dict) and isinstance(bridged, dict):
        for key in sorted(direct.keys() | bridged.keys()):
            if direct.get(key) != bridged.get(key):
                yield from differences(direct.get(key, "nothing"), bridged.get(key, "nothing"), f"{path}.{key}")
    elif isinstance(direct, list) and isinstance(bridged, list) and len(direct) == len(bridged):
        for number, (one, other) in enumerate(zip(direct, bridged)):
            if one != other:
                yield from differences(one, other, f"{path}[{number}]")
    else:
        yield path, direct, bridged


def calls(kind, folder, page):
    """What is called of each kind of server: tools, prompts and resources, in an order that makes sense."""
    if kind == "time":
        return [
            ("tool", "get_current_time", {"timezone": "Etc/UTC"}),
            ("tool", "convert_time", {"source_timezone": "Etc/UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
            ("tool", "convert_time", {"source_timezone": "Etc/Nowhere", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
        ]
    if kind == "filesystem":
        return [
            ("tool", "list_allowed_directories", {}),
            ("tool", "list_directory", {"path": folder}),
            ("tool", "read_text_file", {"path": f"{folder}/plan.txt"}),
            ("tool", "read_text_file", {"path": f"{folder}/plan.txt", "head": 1}),
            ("tool", "read_media_file", {"path": f"{folder}/pixel.png"}),
            ("tool", "read_multiple_files", {"paths": [f"{folder}/plan.txt", f"{folder}/missing.txt"]}),
            ("tool", "directory_tree", {"path": folder}),
            ("tool", "get_file_info", {"path": f"{folder}/plan.txt"}),
            ("tool", "read_text_file", {"path": f"{folder}/missing.txt"}),
            ("tool", "read_text_file", {"path": "/etc/hostname"}),
            ("tool", "create_directory", {"path": f"{folder}/new"}),
            ("tool", "write_file", {"path": f"{folder}/new/file.txt", "content": "one\ntwo\n"}),
            ("tool", "edit_file", {"path": f"{folder}/new/file.txt", "edits": [{"oldText": "two", "newText": "2"}]}),
            ("tool", "move_file", {"source": f"{folder}/new/file.txt", "destination": f"{folder}/new/moved.txt"}),
            ("tool", "search_files", {"path": folder, "pattern": "**/*.txt"}),
        ]
    if kind == "memory":
        ada = {"name": "Ada", "entityType": "person", "observations": ["writes programs"]}
        return [
            ("tool", "create_entities", {"entities": [ada]}),
            ("tool", "add_observations", {"observations": [{"entityName": "Ada", "contents": ["has an engine"]}]}),
            ("tool", "add_observations", {"observations": [{"entityName": "Nobody", "contents": ["is not there"]}]}),
            ("tool", "read_graph", {}),
            ("tool", "search_nodes", {"query": "engine"}),
            ("resource", "memory://knowledge-graph", None),
        ]
    if kind == "git":
        return [
            ("tool", "git_status", {"repo_path": folder}),
            ("tool", "git_log", {"repo_path": folder}),
            ("tool", "git_diff_unstaged", {"repo_path": folder}),
            ("tool", "git_add", {"repo_path": folder, "files": ["plan.txt"]}),
            ("tool", "git_diff_staged", {"repo_path": folder}),
            ("tool", "git_commit", {"repo_path": folder, "message": "A change"}),
            ("tool", "git_show", {"repo_path": folder, "revision": "HEAD~1"}),
            ("tool", "git_branch", {"repo_path": folder, "branch_type": "local"}),
            ("tool", "git_status", {"repo_path": "/"}),
        ]
    if kind == "fetch":
        return [
            ("tool", "fetch", {"url": f"{page}/page"}),
            ("tool", "fetch", {"url": f"{page}/page", "raw": True, "max_length": 20}),
            ("tool", "fetch", {"url": f"{page}/missing"}),
            ("prompt", "fetch", {"url": f"{page}/page"}),
        ]
    return [
        ("tool", "echo", {"message": "Hello, world"}),
        ("tool", "get-sum", {"a": 2, "b": 40}),
        ("tool", "get-annotated-message", {"messageType": "success", "includeImage": True}),
        ("tool", "get-resource-links", {"count": 4}),
        ("tool", "get-resource-reference", {"resourceType": "Text", "resourceId": 1}),
        ("tool", "get-resource-reference", {"resourceType": "Blob", "resourceId": 2}),
        ("tool", "get-structured-content", {"location": "Chicago"}),
        ("tool", "get-tiny-image", {}),
        ("tool", "trigger-long-running-operation", {"duration": 0.2, "steps": 4}),
        ("tool", "trigger-elicitation-request", {}),
        ("tool", "trigger-sampling-request", {"prompt": "Say something.", "maxTokens": 10}),
        ("tool", "get-roots-list", {}),
        ("prompt", "simple-prompt", None),
        ("prompt", "args-prompt", {"city": "Paris", "state": "Texas"}),
        ("prompt", "resource-prompt", {"resourceType": "Text", "resourceId": "3"}),
        ("completion", "completable-prompt", ("department", "E")),
        ("resource", "demo://resource/static/document/features.md", None),
        ("resource", "demo://resource/dynamic/text/5", None),
        ("resource", "demo://resource/dynamic/blob/5", None),
    ]


class Side:
    """One of the two: a client, its person, and how far the calls said they were."""

    def __init__(self, client, person):
        self.client, self.person, self.heard = client, person, []

    async def progress(self, done, total, message):
        self.heard.append([done, total, message])

    async def ask(self, kind, name, given):
        """The result, what was asked on the way, and what was told."""
        self.person.asked.clear()
        self.heard.clear()
        try:
            if kind == "tool":
                result = dump(await self.client.call_tool(name, given, progress_callback=self.progress))
            elif kind == "prompt":
                result = dump(await self.client.get_prompt(name, given))
            elif kind == "completion":
                reference = types.PromptReference(name=name)
                result = dump(await self.client.complete(reference, {"name": given[0], "value": given[1]}))
            else:
                result = dump(await self.client.read_resource(name))
                for document in result["contents"]:
                    if "blob" in document:
                        document["blob"] = base64.b64decode(document["blob"]).decode(errors="replace")
        except MCPError as error:
            result = {"error": error.code, "message": error.message}
        # A server that asks for roots as soon as it is there asks nobody's client through Bailiwick, and again in a call.
        asked = [question for question in self.person.asked if question != ["roots"]]
        return {"result": result, "asked": asked, "heard": list(self.heard)}


def own_name(plugin, name, known):
    """What Bailiwick calls a thing of this plugin: its own name, or that behind the plugin's where others want it too."""
    prefixed = f"{plugin}__{name}"
    return prefixed if prefixed in known else name


# Offered only to clients that can be sent to a page (URL elicitation), which Bailiwick does not pass on.
NOT_OFFERED = ["trigger-url-elicitation"]


async def lists(plugin, direct, bridged, mode, names):
    """Whatever the server lists is there behind Bailiwick, as it is; gives the names of the tools and prompts."""
    known = {}
    for what in LISTS:
        expected = {name: item for name, item in (await listed(direct.client, what)).items() if name not in NOT_OFFERED}
        found = await listed(bridged.client, what)
        theirs = {name: own_name(plugin, name, found) for name in expected}
        if what in ("tools", "prompts"):
            known.update({(what[:-1], name): there for name, there in theirs.items()})
        for name, there in theirs.items():
            item = dict(found.get(there, {"missing": there}))
            if "name" in item and what in ("tools", "prompts"):
                item["name"] = name
            same(f"{mode}: {plugin}: {what} {name}", expected[name], item, names)
        # What is there in excess has the plugin's name, or would be another server's.
        strangers = [name for name in found if name.startswith(f"{plugin}__") and name not in theirs.values()]
        checks.line(f"{mode}: {plugin}: no more {what}", not strangers, strangers)
    return known


async def settled(client):
    """Some servers have their tools together only a moment after they were greeted."""
    before = None
    for _ in range(20):
        now = sorted(await listed(client, "tools"))
        if now == before:
            return
        before = now
        await anyio.sleep(0.4)


async def everything(mode):
    person = Person()
    async with connect(behind(), person, mode) as client:
        bridged = Side(client, person)
        for plugin, server in SPOKEN["servers"].items():
            person = Person()
            async with AsyncExitStack() as stack:
                # What speaks the old version only is asked in it.
                direct = Side(await stack.enter_async_context(connect(directly(server), person, mode)), person)
                await settled(direct.client)
                folder = server.get("folder", "/nowhere")
                names = [(f"{folder}-direct", folder)]
                known = await lists(plugin, direct, bridged, mode, names)
                for kind, name, given in calls(server["kind"], folder, SPOKEN.get("page")):
                    there = known.get(("prompt" if kind == "completion" else kind, name), name)
                    moved = json.loads(json.dumps(given).replace(folder, f"{folder}-direct"))
                    expected = await direct.ask(kind, name, moved)
                    found = await bridged.ask(kind, there, given)
                    same(f"{mode}: {plugin}: {kind} {name} {json.dumps(given)}", expected, found, names)


for mode in SPOKEN.get("modes", ["legacy", "auto"]):
    try:
        anyio.run(everything, mode)
    except BaseException:
        checks.crashed(mode)
checks.done()
