"""A small server in nothing but Python's own library: `repeat` says again what it is told, after a moment.

    python3 repeat.py [MARK]

MARK is for whoever looks for its process.
"""

import json
import random
import sys
import threading
import time

SCHEMA = {"type": "object", "properties": {"token": {"type": "string"}}, "required": ["token"]}
TOOLS = [{"name": "repeat", "description": "Says it again.", "inputSchema": SCHEMA}]
one_at_a_time = threading.Lock()


def say(message):
    with one_at_a_time:
        print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def repeat(number, params):
    time.sleep(random.uniform(0, 0.02))
    text = params["arguments"]["token"]
    say({"id": number, "result": {"content": [{"type": "text", "text": text}]}})


print("repeat is there", file=sys.stderr, flush=True)
for line in sys.stdin:
    message = json.loads(line)
    method, number, params = message.get("method"), message.get("id"), message.get("params", {})
    if method == "initialize":
        about = {"name": "repeat", "version": "1"}
        say({"id": number, "result": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": about}})
    elif method == "tools/list":
        say({"id": number, "result": {"tools": TOOLS}})
    elif method == "tools/call":
        threading.Thread(target=repeat, args=(number, params), daemon=True).start()
    elif method == "ping":
        say({"id": number, "result": {}})
    elif number is not None:
        say({"id": number, "error": {"code": -32601, "message": "Method not found"}})
