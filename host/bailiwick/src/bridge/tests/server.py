"""An MCP server for tests, written without any library: it does what its first argument says, and its tools what they
are called."""
import json, os, sys, threading, time

MODE = sys.argv[1] if len(sys.argv) > 1 else "legacy"
ERA = "modern" if MODE.startswith("modern") else "legacy"
out = threading.Lock()
waiting, answers, cancelled = {}, {}, []
opened = 0


def send(message):
    with out:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def raw(data):
    with out:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def reply(id, result):
    if ERA == "modern":
        result.setdefault("resultType", "complete")
    send({"id": id, "result": result})


def refuse(id, code, message, data=None):
    send({"id": id, "error": {"code": code, "message": message, **({"data": data} if data else {})}})


def ask(method, params):
    global opened
    opened += 1
    key = "q%d" % opened
    waiting[key] = threading.Event()
    send({"id": key, "method": method, "params": params})
    waiting[key].wait(20)
    return answers.get(key, {"error": "nobody"})


FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
QUESTIONS = {
    "ask": ("elicitation/create", {"message": "who?", "requestedSchema": FORM}),
    "sample": ("sampling/createMessage",
               {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 5}),
    "roots": ("roots/list", {}),
}


def text(it):
    return {"content": [{"type": "text", "text": it if isinstance(it, str) else json.dumps(it, sort_keys=True)}]}


def call(id, params):
    name, args, meta = params["name"], params.get("arguments") or {}, params.get("_meta") or {}
    if name in QUESTIONS:
        method, question = QUESTIONS[name]
        if ERA == "legacy":
            return reply(id, text(ask(method, question)))
        if "inputResponses" not in params:
            return reply(id, {"resultType": "input_required", "requestState": "state/%s" % name,
                              "inputRequests": {"the_key": {"method": method, "params": question}}})
        return reply(id, text({"state": params.get("requestState"), "given": params["inputResponses"]}))
    if name == "again":
        return reply(id, {"resultType": "input_required", "requestState": "x"})
    if name == "echo":
        reply(id, text(args.get("text", "")))
    elif name == "given":
        reply(id, text(params.get("arguments")))
    elif name == "able":
        reply(id, text(sorted(meta.get("io.modelcontextprotocol/clientCapabilities", {}))))
    elif name == "slow":
        time.sleep(args.get("ms", 100) / 1000)
        reply(id, text(args.get("text", "done")))
    elif name == "progress":
        for step in (1, 2, 3):
            send({"method": "notifications/progress",
                  "params": {"progressToken": meta.get("progressToken"), "progress": step, "total": 3, "message": "at %d" % step}})
        reply(id, text("done"))
    elif name == "log":
        send({"method": "notifications/message", "params": {"level": "warning", "data": "careful"}})
        reply(id, text("done"))
    elif name == "fail":
        reply(id, {"content": [{"type": "text", "text": "no"}, {"type": "text", "text": "such thing"}], "isError": True})
    elif name == "error":
        refuse(id, args.get("code", -32603), "it broke", args.get("data"))
    elif name == "pid":
        reply(id, text(str(os.getpid())))
    elif name == "die":
        sys.stderr.write("about to die\n")
        sys.stderr.flush()
        os._exit(3)
    elif name == "hang":
        pass
    elif name == "freeze":
        out.acquire()
    elif name == "both":
        send({"id": id, "result": text("x"), "error": {"code": 1, "message": "y"}})
    elif name == "neither":
        send({"id": id})
    elif name == "twice":
        send({"id": 999, "result": text("nobody asked")})
        send({"id": str(id), "result": text("first")})
        send({"id": id, "result": text("second")})
    elif name == "cancelled":
        reply(id, text(len(cancelled)))
    elif name == "noise":
        raw(b"\x00\xff\xfe\n{\"half\": \n\nplain words\n" + b"[]\n" + b"\xef\xbb\xbf\n")
        reply(id, text("through"))
    elif name == "garbage":
        raw(b"no message\n" * 1001)
    elif name == "long":
        try:
            for _ in range(1024):
                raw(b"x" * (1 << 20))
        except OSError:
            os._exit(0)
    elif name == "flood":
        raw(b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n' * 20000)
        reply(id, text("flooded"))
    elif name == "big":
        reply(id, text("x" * (5 << 20)))
    elif name == "unknown_result":
        reply(id, {"resultType": "task", "taskId": "t"})
    elif name == "odd":
        send({"id": id, "result": args["result"]})
    elif name == "child":
        # What it leaves behind holds its output open.
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        os._exit(4)
    else:
        refuse(id, -32602, "Unknown tool: %s" % name)


TOOLS = ["echo", "given", "able", "slow", "progress", "log", "fail", "error", "pid", "die", "hang", "freeze", "both", "neither",
         "twice", "cancelled", "noise", "garbage", "long", "flood", "big", "odd", "unknown_result", "child", "ask", "sample",
         "roots", "again"]


def tools():
    listed = [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]
    if "odd" in MODE:
        listed += [
            {"name": "files.read", "title": "Read", "description": "Reads.", "inputSchema": {"type": "object"},
             "annotations": {"readOnlyHint": True, "openWorldHint": False}},
            {"name": "files read", "inputSchema": {"type": "object"}, "annotations": {"title": "T", "destructiveHint": True}},
            {"name": "echo", "inputSchema": {"type": "object"}}, {"nameless": 1},
        ]
    if "changing" in MODE and os.path.exists(sys.argv[2]):
        listed.append({"name": "new", "inputSchema": {"type": "object"}})
    return listed


def handle(message):
    method, id, params = message.get("method"), message.get("id"), message.get("params") or {}
    if method is None:
        if id in waiting:
            answers[id] = message.get("result", {"error": message.get("error", {}).get("message")})
            waiting[id].set()
        return
    if method == "notifications/cancelled":
        return cancelled.append(params.get("requestId"))
    if id is None:
        return
    if method == "server/discover":
        if "exit-on-discover" in MODE:
            os._exit(1)
        if "mute" in MODE:
            return
        if ERA == "legacy":
            return refuse(id, -32601, "Method not found")
        return reply(id, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}, "prompts": {}, "resources": {}, "completions": {}},
                          "ttlMs": 0, "cacheScope": "private"})
    if method == "initialize":
        if "hang-init" in MODE:
            return
        if "exit-init" in MODE:
            sys.stderr.write("\x1b[31mno database\n")
            sys.stderr.flush()
            os._exit(7)
        if ERA == "modern":
            return refuse(id, -32601, "Method not found")
        version = "1999-01-01" if "old" in MODE else params["protocolVersion"]
        return reply(id, {"protocolVersion": version, "serverInfo": {"name": "t", "version": "1"},
                          "capabilities": {"tools": {}, "prompts": {}, "resources": {}, "completions": {}, "logging": {}}})
    if method == "ping":
        return reply(id, {})
    if method == "logging/setLevel":
        return reply(id, {})
    if method == "tools/list":
        if "hang-list" in MODE:
            return
        if "loop" in MODE:
            return reply(id, {"tools": [], "nextCursor": "again"})
        if "endless" in MODE:
            return reply(id, {"tools": [], "nextCursor": (params.get("cursor") or "") + "x"})
        if "many" in MODE:
            return reply(id, {"tools": [{"name": "t%d" % n, "inputSchema": {}} for n in range(257)]})
        if "paged" in MODE:
            cursor = int(params.get("cursor") or 0)
            page = {"tools": [{"name": "t%d" % (cursor * 10 + n), "inputSchema": {"type": "object"}} for n in range(10)]}
            return reply(id, {**page, **({"nextCursor": str(cursor + 1)} if cursor < 3 else {})})
        return reply(id, {"tools": tools()})
    if method == "prompts/list":
        return reply(id, {"prompts": [
            {"name": "greet.once", "title": "Greet", "arguments": [{"name": "who", "required": True}]},
            {"name": "bad", "arguments": [{"name": "not legal"}]},
        ]})
    if method == "resources/list":
        return reply(id, {"resources": [{"uri": "test://a", "name": "a", "mimeType": "text/plain"}, {"uri": "no uri", "name": "b"}]})
    if method == "resources/templates/list":
        return reply(id, {"resourceTemplates": [{"uriTemplate": "test://{id}/b", "name": "t"}]})
    if method == "prompts/get":
        return reply(id, {"description": "d", "messages": [
            {"role": "user", "content": {"type": "text", "text": "hello %s" % params["arguments"]["who"]}},
            {"role": "assistant", "content": {"type": "text", "text": "from %s" % params["name"]}}]})
    if method == "resources/read":
        if params["uri"] != "test://a":
            return refuse(id, -32002, "Resource not found")
        return reply(id, {"contents": [{"uri": "test://a", "text": "A"}, {"uri": "test://a", "blob": "AAE="}]})
    if method == "completion/complete":
        return reply(id, {"completion": {"values": [params["ref"].get("name", params["ref"].get("uri")), params["argument"]["value"]], "hasMore": True}})
    if method == "tools/call":
        return threading.Thread(target=call, args=(id, params), daemon=True).start()
    refuse(id, -32601, "Method not found")


if "exit-at-once" in MODE:
    sys.stderr.write("cannot find my module\n")
    sys.exit(2)
if "banner" in MODE:
    raw(b"*** Welcome to the server ***\nlistening\n")
if "silent" in MODE:
    time.sleep(60)
for line in sys.stdin:
    handle(json.loads(line))
