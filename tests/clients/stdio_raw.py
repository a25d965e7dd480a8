"""Speaks to `bailiwick serve --stdio` line by line, for what well-behaved clients do not show: what is not answered, what
is refused, and how it ends. Needs nothing but Python.

    python3 tests/clients/stdio_raw.py BAILIWICK CONFIG

Prints one line for each check; exits 1 when one failed. The configuration must offer `now`, `approved` and
`web_fetch`; see bailiwick.toml.
"""

import json
import queue
import subprocess
import sys
import threading
import time

from support import Checks, Web, environment

BAILIWICK, CONFIG = sys.argv[1:3]
# The longest line that is read.
MAX_LINE = 16 << 20
checks = Checks()
web = Web()
variables = environment(web)
NEVER = {"name": "web_fetch", "arguments": {"url": web.url("/never")}}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
}


class Server:
    """One server process; every line it writes must be JSON."""

    def __init__(self, modern=False):
        self.modern = modern
        command = [BAILIWICK, "--config", CONFIG, "serve", "--stdio"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables)
        self.answers = queue.Queue()
        self.id = 0
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            try:
                self.answers.put(json.loads(line))
            except ValueError:
                self.answers.put({"not JSON": line.decode(errors="replace")})
        self.answers.put("end")

    def write(self, **message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def request(self, method, **params):
        self.id += 1
        if self.modern:
            params["_meta"] = MODERN
        self.write(id=self.id, method=method, params=params)
        return self.id

    def answer(self, patience=30):
        try:
            return self.answers.get(timeout=patience)
        except queue.Empty:
            return None

    def ask(self, method, **params):
        self.request(method, **params)
        return self.answer()

    def initialize(self):
        answer = self.ask("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "raw", "version": "0"})
        self.write(method="notifications/initialized")
        return answer

    def end(self, how):
        began = time.monotonic()
        how()
        code = self.process.wait(timeout=20)
        return code, time.monotonic() - began


def code(answer):
    return (answer or {}).get("error", {}).get("code")


def shapes():
    server = Server()
    server.write(method="notifications/cancelled", params={"requestId": 7})
    answer = server.initialize()
    checks.line("a notification before anything else is no reason to hang up", "result" in (answer or {}), answer)
    for arguments in ({}, {"arguments": None}, {"arguments": {}}):
        answer = server.ask("tools/call", name="now", **arguments)
        checks.line(f"tools/call with {arguments} is a call without arguments", answer["result"]["isError"] is False, answer)
    answer = server.ask("tools/call", name="now", arguments="{}")
    checks.line("arguments that are no object are refused", code(answer) == -32602, answer)
    answer = server.ask("tools/list", cursor="!")
    checks.line("a cursor of one's own is refused", code(answer) == -32602, answer)
    answer = server.ask("tools/none")
    checks.line("a method there is not is refused", code(answer) == -32601, answer)
    server.process.stdin.write(b'{"x":"' + b"x" * MAX_LINE + b'"}\n')
    answer = server.ask("ping")
    checks.line("a line that is too long is dropped and nothing else", answer == {"jsonrpc": "2.0", "id": server.id, "result": {}}, answer)
    ended = server.end(server.process.stdin.close)
    checks.line("the end of input ends the server at once, exit code 0", ended[0] == 0 and ended[1] < 1, ended)


def cancelled(modern):
    era = "modern" if modern else "legacy"
    server = Server(modern)
    if not modern:
        server.initialize()
    call = server.request("tools/call", **NEVER)
    reached = web.asked.acquire(timeout=30)
    server.write(method="notifications/cancelled", params={"requestId": call})
    gone = web.gone.acquire(timeout=5)
    answer = server.answer(1)
    checks.line(f"{era}: a cancelled call ends and is not answered", reached and gone and answer is None, (reached, gone, answer))
    server.end(server.process.stdin.close)


def endings():
    for name, how in (("the end of input", lambda server: server.process.stdin.close()), ("SIGTERM", lambda server: server.process.terminate())):
        server = Server()
        server.initialize()
        server.request("tools/call", **NEVER)
        reached = web.asked.acquire(timeout=30)
        exit_code, took = server.end(lambda: how(server))
        gone = web.gone.acquire(timeout=5)
        good = reached and exit_code == 0 and 1.5 < took < 4 and gone
        checks.line(f"{name} leaves a call two seconds, then ends it, exit code 0", good, (reached, exit_code, took, gone))
    server = Server()
    server.initialize()
    server.request("tools/call", name="now")
    server.process.stdin.close()
    answer = server.answer()
    checks.line("a call that is under way at the end of input is answered", "result" in (answer or {}), answer)


def questions():
    server = Server(modern=True)

    def call(**more):
        return server.ask("tools/call", name=more.pop("name", "approved"), **more)

    accept = {"question": {"action": "accept", "content": {}}}
    answer = call()
    state = answer["result"].get("requestState", "")
    question = answer["result"].get("inputRequests", {}).get("question", {})
    good = answer["result"]["resultType"] == "input_required" and question["params"]["message"].startswith("Bailiwick asks: ")
    checks.line("a question comes as a result", good and len(state) >= 32, answer)
    checks.line("its state is good for no other tool", code(call(name="now", requestState=state, inputResponses=accept)) == -32602)
    checks.line("nor for other arguments", code(call(arguments={"timezone": "UTC"}, requestState=state, inputResponses=accept)) == -32602)
    tampered = ("0" if state[0] != "0" else "1") + state[1:]
    checks.line("a state of one's own is refused", code(call(requestState=tampered, inputResponses=accept)) == -32602)
    again = call(requestState=state)
    checks.line("without an answer the question is asked anew", again["result"]["resultType"] == "input_required", again)
    answer = call(requestState=again["result"]["requestState"], inputResponses=accept)
    checks.line("with it the call runs", answer["result"].get("isError") is False, answer)
    answer = call(requestState=again["result"]["requestState"], inputResponses=accept)
    checks.line("but only once", code(answer) == -32602, answer)
    call()
    ended = server.end(server.process.stdin.close)
    checks.line("a call that waits for an answer does not hold up the end", ended[0] == 0 and ended[1] < 1, ended)


for group in (shapes, lambda: cancelled(False), lambda: cancelled(True), endings, questions):
    try:
        group()
    except Exception:
        checks.crashed("a group of checks")
checks.done()
