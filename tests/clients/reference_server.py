"""A reference server: what the public MCP conformance suite wants of one, on the official Python library, in both eras.

    tests/clients/.venv/bin/python tests/clients/reference_server.py stdio
    tests/clients/.venv/bin/python tests/clients/reference_server.py http [PORT]

Over HTTP it says its address in its first line. It knows nothing of Bailiwick: the suite passes against it as it stands,
so that whatever the suite misses behind Bailiwick was lost on the way.
"""

import json
import socket
import sys
import warnings

import anyio
import mcp_types as types
import uvicorn
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.subscriptions import PromptsListChanged, ToolsListChanged
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

# Sampling, roots and logging are deprecated, and what the suite looks at all the same.
warnings.simplefilter("ignore", MCPDeprecationWarning)

# A PNG of one red pixel.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
# A WAV of no sound at all.
SILENCE = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
NO_ARGUMENTS = {"type": "object", "properties": {}}

tools, prompts = {}, {}
events = InMemorySubscriptionBus()


class Asked(Exception):
    """The call cannot go on before the client has answered this."""

    def __init__(self, result):
        super().__init__()
        self.result = result


class Caller:
    """Who called, whatever version of the protocol it speaks."""

    def __init__(self, context, params):
        self.context, self.params = context, params
        self.modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        # What was answered in rounds before comes back in the state, which the library seals.
        self.known = json.loads(getattr(params, "request_state", None) or "{}")
        for key, answer in (getattr(params, "input_responses", None) or {}).items():
            self.known[key] = answer.model_dump(by_alias=True, mode="json", exclude_none=True)

    def able(self, request):
        """Whether the client said that it can be asked this."""
        declared = self.context.session.client_capabilities or types.ClientCapabilities()
        return getattr(declared, request.method.partition("/")[0]) is not None

    async def ask(self, questions):
        """The client's answers to these requests, by their keys."""
        for request in questions.values():
            if not self.able(request):
                what = request.method.partition("/")[0]
                raise MCPError(
                    types.MISSING_REQUIRED_CLIENT_CAPABILITY,
                    f"This needs the client's capability {what}",
                    {"requiredCapabilities": {what: {}}},
                )
        if self.modern:
            if not all(answers(request, self.known.get(key)) for key, request in questions.items()):
                kept = {key: answer for key, answer in self.known.items() if key not in questions}
                raise Asked(types.InputRequiredResult(input_requests=questions, request_state=json.dumps(kept)))
            return {key: self.known[key] for key in questions}
        kinds = {
            "elicitation/create": types.ElicitResult,
            "sampling/createMessage": types.CreateMessageResult,
            "roots/list": types.ListRootsResult,
        }
        metadata = ServerMessageMetadata(related_request_id=self.context.request_id)
        answered = {}
        for key, request in questions.items():
            result = await self.context.session.send_request(request, kinds[request.method], metadata=metadata)
            answered[key] = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        return answered

    async def log(self, text):
        await self.context.session.send_log_message("info", text, related_request_id=self.context.request_id)

    async def progress(self, done, total):
        await self.context.session.report_progress(done, total)


def answers(request, answer):
    """Whether this can be an answer to the request at all."""
    if answer is None:
        return False
    if request.method == "elicitation/create":
        wanted = request.params.requested_schema.get("required", [])
        given = answer.get("content") or {}
        return answer.get("action") in ("decline", "cancel") or (
            answer.get("action") == "accept" and all(name in given for name in wanted)
        )
    return ("content" if request.method == "sampling/createMessage" else "roots") in answer


def form(message, properties, required=()):
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def field(message, name, kind):
    """A form with one field that has to be filled in."""
    return form(message, {name: {"type": kind}}, [name])


def sample(text, max_tokens):
    message = types.SamplingMessage(role="user", content=types.TextContent(text=text))
    return types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    )


def document(uri, mime_type, text):
    return types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def picture():
    return types.ImageContent(data=PIXEL, mime_type="image/png")


def named(table, schema=None):
    """Puts a function into a table under its name; its comment is the description."""

    def put(function):
        table[function.__name__] = (function, schema or NO_ARGUMENTS)
        return function

    return put


def arguments(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


TEXT = {"type": "string"}


@named(tools)
async def test_simple_text(_caller, _given):
    """Gives a text."""
    return "This is a simple text response for testing."


@named(tools)
async def test_image_content(_caller, _given):
    """Gives an image."""
    return picture()


@named(tools)
async def test_audio_content(_caller, _given):
    """Gives a sound."""
    return types.AudioContent(data=SILENCE, mime_type="audio/wav")


@named(tools)
async def test_embedded_resource(_caller, _given):
    """Gives a document."""
    return document("test://embedded-resource", "text/plain", "This is an embedded resource content.")


@named(tools)
async def test_multiple_content_types(_caller, _given):
    """Gives a text, an image and a document."""
    mixed = document("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    return [types.TextContent(text="Multiple content types test:"), picture(), mixed]


@named(tools)
async def test_tool_with_logging(caller, _given):
    """Logs three lines."""
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await caller.log(text)
        await anyio.sleep(0.05)
    return "Logged three lines."


@named(tools)
async def test_logging_tool(caller, _given):
    """Logs, for whoever asked for it."""
    await caller.log("This is for whoever asked for it.")
    return "Logged a line."


@named(tools)
async def test_tool_with_progress(caller, _given):
    """Says three times how far it is."""
    for done in (0, 50, 100):
        await caller.progress(done, 100)
        await anyio.sleep(0.05)
    return "Went all the way."


@named(tools)
async def test_error_handling(_caller, _given):
    """Fails."""
    raise ValueError("This tool intentionally returns an error for testing")


@named(tools, arguments(prompt=TEXT))
async def test_sampling(caller, given):
    """Asks the client's model."""
    said = await caller.ask({"model": sample(given["prompt"], 100)})
    return f"LLM response: {said['model']['content'].get('text')}"


@named(tools)
async def test_missing_capability(caller, _given):
    """Needs the client's model."""
    said = await caller.ask({"model": sample("Are you there?", 10)})
    return said["model"]["content"].get("text")


async def elicit(caller, question):
    said = (await caller.ask({"form": question}))["form"]
    return f"action={said['action']}, content={json.dumps(said.get('content') or {})}"


@named(tools, arguments(message=TEXT))
async def test_elicitation(caller, given):
    """Asks a person."""
    fields = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    return f"User response: {await elicit(caller, form(given['message'], fields, fields))}"


@named(tools)
async def test_elicitation_sep1034_defaults(caller, _given):
    """Asks a person with values filled in."""
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return f"Elicitation completed: {await elicit(caller, form('Please look at these values.', fields))}"


def titled(what):
    return [{"const": f"value{n}", "title": f"{name} {what}"} for n, name in enumerate(("First", "Second", "Third"), 1)]


@named(tools)
async def test_elicitation_sep1330_enums(caller, _given):
    """Asks a person to choose."""
    options = ["option1", "option2", "option3"]
    fields = {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": titled("Option")},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}},
    }
    return f"Elicitation completed: {await elicit(caller, form('Please choose.', fields))}"


@named(tools)
async def test_reconnection(caller, _given):
    """Hangs up in the middle of an answer, where the transport lets it."""
    if caller.context.close_sse_stream is not None:
        await caller.context.close_sse_stream()
    await anyio.sleep(0.1)
    return "Reconnection test completed successfully."


@named(tools)
async def test_input_required_result_elicitation(caller, _given):
    """Asks for a name."""
    said = await caller.ask({"user_name": field("What is your name?", "name", "string")})
    return f"Hello, {(said['user_name'].get('content') or {}).get('name')}!"


@named(tools)
async def test_input_required_result_sampling(caller, _given):
    """Asks the client's model for a capital."""
    said = await caller.ask({"capital_question": sample("What is the capital of France?", 100)})
    return said["capital_question"]["content"].get("text")


@named(tools)
async def test_input_required_result_list_roots(caller, _given):
    """Asks where the client works."""
    said = await caller.ask({"client_roots": types.ListRootsRequest()})
    return "\n".join(root["uri"] for root in said["client_roots"]["roots"])


@named(tools)
async def test_input_required_result_request_state(caller, _given):
    """Asks for a yes, which comes back with the state of the call."""
    said = await caller.ask({"confirm": field("Please confirm", "ok", "boolean")})
    return f"state-ok: {said['confirm'].get('content')}"


@named(tools)
async def test_input_required_result_multiple_inputs(caller, _given):
    """Asks three things at once."""
    said = await caller.ask(
        {
            "user_name": field("What is your name?", "name", "string"),
            "greeting": sample("Generate a greeting", 50),
            "client_roots": types.ListRootsRequest(),
        }
    )
    return f"{len(said)} answers"


@named(tools)
async def test_input_required_result_multi_round(caller, _given):
    """Asks twice."""
    name = await caller.ask({"step1": field("Step 1: What is your name?", "name", "string")})
    color = await caller.ask({"step2": field("Step 2: What is your favorite color?", "color", "string")})
    return f"{name['step1'].get('content')} likes {color['step2'].get('content')}"


@named(tools)
async def test_input_required_result_tampered_state(caller, _given):
    """Asks for a yes; who comes back with a state nobody gave out is refused by the library."""
    said = await caller.ask({"confirm": field("Please confirm", "ok", "boolean")})
    return f"confirmed: {said['confirm'].get('content')}"


@named(tools)
async def test_input_required_result_capabilities(caller, _given):
    """Asks what this client can be asked, and no more."""
    questions = {
        "user_name": field("What is your name?", "name", "string"),
        "greeting": sample("Generate a greeting", 50),
    }
    able = {key: request for key, request in questions.items() if caller.able(request)}
    return f"{len(await caller.ask(able)) if able else 0} answers"


@named(tools)
async def test_streaming_elicitation(caller, _given):
    """Asks in the middle of an answer."""
    await caller.progress(1, 2)
    said = await caller.ask({"confirm": field("Go on?", "ok", "boolean")})
    return f"confirmed: {said['confirm'].get('content')}"


@named(tools)
async def test_trigger_tool_change(caller, _given):
    """Says that tools may have changed."""
    await events.publish(ToolsListChanged())
    if not caller.modern:
        await caller.context.session.send_tool_list_changed()
    return "changed"


@named(tools)
async def test_trigger_prompt_change(caller, _given):
    """Says that prompts may have changed."""
    await events.publish(PromptsListChanged())
    if not caller.modern:
        await caller.context.session.send_prompt_list_changed()
    return "changed"


# Arguments that only JSON Schema 2020-12 can describe.
SCHEMA_2020_12 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


@named(tools, SCHEMA_2020_12)
async def json_schema_2020_12_tool(_caller, given):
    """Takes arguments that only JSON Schema 2020-12 can describe."""
    return json.dumps(given)


@named(tools, arguments(region={"type": "string", "description": "Where.", "x-mcp-header": "Region"}))
async def test_custom_header(_caller, given):
    """Takes an argument that is repeated in a header."""
    return f"region: {given['region']}"


@named(prompts)
async def test_simple_prompt(_caller, _given):
    """A simple prompt."""
    return "This is a simple prompt for testing."


@named(prompts, {"arg1": "First test argument", "arg2": "Second test argument"})
async def test_prompt_with_arguments(_caller, given):
    """A prompt with two arguments."""
    return f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"


@named(prompts, {"resourceUri": "URI of the resource to embed"})
async def test_prompt_with_embedded_resource(_caller, given):
    """A prompt with a document."""
    embedded = document(given["resourceUri"], "text/plain", "Embedded resource content for testing.")
    return [embedded, types.TextContent(text="Please process the embedded resource above.")]


@named(prompts)
async def test_prompt_with_image(_caller, _given):
    """A prompt with an image."""
    return [picture(), types.TextContent(text="Please analyze the image above.")]


@named(prompts)
async def test_input_required_result_prompt(caller, _given):
    """A prompt that asks for what it is about."""
    said = await caller.ask({"user_context": field("What context should the prompt use?", "context", "string")})
    return f"Consider this: {(said['user_context'].get('content') or {}).get('context')}"


RESOURCES = {
    "test://static-text": ("Static text", "text/plain", {"text": "This is the content of the static text resource."}),
    "test://static-binary": ("Static binary", "image/png", {"blob": PIXEL}),
    "test://watched-resource": ("Watched", "text/plain", {"text": "Watched resource content."}),
}


def content(uri, mime_type, body):
    kind = types.BlobResourceContents if "blob" in body else types.TextResourceContents
    return types.ReadResourceResult(contents=[kind(uri=uri, mime_type=mime_type, **body)])


def pieces(given):
    if isinstance(given, str):
        given = types.TextContent(text=given)
    return given if isinstance(given, list) else [given]


async def list_tools(_context, _params):
    return types.ListToolsResult(
        tools=[types.Tool(name=name, description=tool.__doc__, input_schema=schema) for name, (tool, schema) in tools.items()]
    )


async def call_tool(context, params):
    if params.name not in tools:
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
    try:
        given = await tools[params.name][0](Caller(context, params), params.arguments or {})
    except Asked as asked:
        return asked.result
    except (ValueError, KeyError) as error:
        return types.CallToolResult(content=pieces(str(error)), is_error=True)
    return types.CallToolResult(content=pieces(given))


async def list_prompts(_context, _params):
    def prompt(name, function, described):
        described = {} if described is NO_ARGUMENTS else described
        wanted = [types.PromptArgument(name=key, description=text, required=True) for key, text in described.items()]
        return types.Prompt(name=name, description=function.__doc__, arguments=wanted or None)

    return types.ListPromptsResult(prompts=[prompt(name, *entry) for name, entry in prompts.items()])


async def get_prompt(context, params):
    if params.name not in prompts:
        raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
    function, _ = prompts[params.name]
    try:
        given = await function(Caller(context, params), params.arguments or {})
    except Asked as asked:
        return asked.result
    except KeyError as error:
        raise MCPError(types.INVALID_PARAMS, f"The argument {error} is missing") from error
    messages = [types.PromptMessage(role="user", content=piece) for piece in pieces(given)]
    return types.GetPromptResult(description=function.__doc__, messages=messages)


async def list_resources(_context, _params):
    listed = [types.Resource(uri=uri, name=name, mime_type=mime) for uri, (name, mime, _) in RESOURCES.items()]
    return types.ListResourcesResult(resources=listed)


async def list_templates(_context, _params):
    data = types.ResourceTemplate(
        uri_template="test://template/{id}/data", name="Data", description="Data by id", mime_type="application/json"
    )
    return types.ListResourceTemplatesResult(resource_templates=[data])


async def read_resource(context, params):
    uri = str(params.uri)
    if uri in RESOURCES:
        _, mime_type, body = RESOURCES[uri]
        return content(uri, mime_type, body)
    if uri.startswith("test://template/") and uri.endswith("/data"):
        number = uri.removeprefix("test://template/").removesuffix("/data")
        text = json.dumps({"id": number, "templateTest": True, "data": f"Data for ID: {number}"})
        return content(uri, "application/json", {"text": text})
    modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
    raise MCPError(types.INVALID_PARAMS if modern else -32002, f"Resource not found: {uri}", {"uri": uri})


async def complete(_context, params):
    known = ["paris", "park", "party"] if params.argument.name == "arg1" else ["test", "testing"]
    values = [value for value in known if value.startswith(params.argument.value)]
    return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))


async def nothing(_context, _params):
    return types.EmptyResult()


def server():
    made = Server(
        "reference",
        version="1",
        get_tool_input_schema=lambda name: tools[name][1] if name in tools else None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=nothing,
        on_unsubscribe_resource=nothing,
        on_completion=complete,
        on_set_logging_level=nothing,
        on_subscriptions_listen=ListenHandler(events),
    )
    made.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience="reference"))
    return made


async def on_standard_streams():
    made = server()
    changes = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
    async with stdio_server() as (read, write):
        await made.run(read, write, made.create_initialization_options(changes))


def over_http(port):
    listener = socket.create_server(("127.0.0.1", port))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(server().streamable_http_app(), log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


if sys.argv[1:2] == ["http"]:
    over_http(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
elif sys.argv[1:] == ["stdio"]:
    anyio.run(on_standard_streams)
else:
    sys.exit(__doc__)
