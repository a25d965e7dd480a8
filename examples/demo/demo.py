"""Calls real tools through the host: a page served on this machine, a folder of notes, the time, a refusal, the audit.

    python3 examples/demo/demo.py target/debug/bailiwick

Everything it writes goes to a temporary folder. Ends with status 0 when every step did what it should.
"""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).parent.resolve()


class Site(http.server.SimpleHTTPRequestHandler):
    """The local page; quiet, so that the demo's own output stands alone."""

    def __init__(self, *args):
        super().__init__(*args, directory=str(HERE / "site"))

    def log_message(self, *args):
        pass


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def configuration(folder, port):
    text = (HERE / "bailiwick.toml").read_text()
    path = folder / "bailiwick.toml"
    path.write_text(text)
    os.environ.update(DEMO_PORT=str(port), DEMO_NOTES=str(HERE / "notes"), DEMO_STATE=str(folder / "state"))
    return path


def step(title, command, status, *expected):
    """Runs one command as a reader would and shows what it says."""
    print(f"\n\033[1m# {title}\033[0m" if sys.stdout.isatty() else f"\n# {title}")
    print("$ bailiwick " + " ".join(a if a.isalnum() else repr(a) if " " in a or "{" in a else a for a in command[3:]))
    sys.stdout.flush()
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    shown = (done.stdout + done.stderr).strip()
    print(shown)
    missing = [text for text in expected if text not in shown]
    if done.returncode != status or missing:
        sys.exit(f"\nthe demo went wrong: status {done.returncode} (expected {status}), not in the output: {missing}")


def main():
    bailiwick = [str(pathlib.Path(sys.argv[1]).resolve()), "--config"]
    with tempfile.TemporaryDirectory(prefix="bailiwick-demo-") as folder:
        folder = pathlib.Path(folder)
        port = serve()
        page = f"http://127.0.0.1:{port}/"
        bailiwick.append(str(configuration(folder, port)))

        step("which tools are there?", [*bailiwick, "list"], 0, "web_fetch", "grep", "datetime")
        step("fetch a page, as Markdown", [*bailiwick, "call", "web_fetch", "--arg", f"url={page}"], 0, "granted")
        step("search a folder", [*bailiwick, "call", "grep", json.dumps({"pattern": "TODO|budget"})], 0, "budget")
        step("what time is it?", [*bailiwick, "call", "datetime", "--arg", "timezone=Europe/Lisbon"], 0, "Unix timestamp")
        step(
            "a page nobody granted: refused, with the line that would allow it",
            [*bailiwick, "call", "web_fetch", "--arg", "url=https://example.com/"],
            4,
            "denied.net.host",
            "[plugins.web-fetch]",
            "https://example.com",
        )
        print("\n# the audit: one record for each call")
        log = subprocess.run([*bailiwick, "audit", "log", "--json"], capture_output=True, text=True, check=True)
        records = log.stdout.splitlines()
        for record in records:
            print(record)
        tools = [json.loads(record)["tool"] for record in records]
        if tools != ["web_fetch", "grep", "datetime", "web_fetch"]:
            sys.exit(f"\nthe demo went wrong: the audit has {tools}")
        print("\nAll of it ran through one gate. The configuration: examples/demo/bailiwick.toml")


main()
