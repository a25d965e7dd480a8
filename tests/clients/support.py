"""What the client tests share: one printed line for each check, and a web server that has a long text and no manners."""

import http.server
import os
import sys
import tempfile
import threading
import traceback


# The key whose hash is in bailiwick.toml. It opens nothing else.
KEY = "bwk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


class Checks:
    """Prints `ok`, `skip` or `FAILED` for each check and remembers whether one failed."""

    def __init__(self):
        self.failed = 0

    def line(self, what, ok, seen=None):
        print(f"{'ok    ' if ok else 'FAILED'} {what}" + ("" if ok else f": {seen!r}"), flush=True)
        self.failed += not ok

    def skip(self, what, why):
        print(f"skip   {what}: {why}", flush=True)

    def crashed(self, what):
        print(f"FAILED {what}: {traceback.format_exc()}", flush=True)
        self.failed += 1

    def done(self):
        sys.exit(1 if self.failed else 0)


class Web:
    """`/big` is 40 000 characters of text; `/never` waits until the client goes away and notes that it did."""

    def __init__(self):
        web = self
        self.asked = threading.Semaphore(0)
        self.gone = threading.Semaphore(0)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path.startswith("/never"):
                    web.asked.release()
                    while self.connection.recv(4096):
                        pass
                    web.gone.release()
                    return
                body = "".join(f"line {number:05}: nothing to see\n" for number in range(1250)).encode()
                self.send_response(200)
                self.send_header("content-type", "text/plain; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


def environment(web):
    """The server's environment: ours, and what bailiwick.toml wants to know.

    A folder given in CLIENTS_STATE is used again, and with it what was compiled there before.
    """
    state = os.environ.get("CLIENTS_STATE") or tempfile.mkdtemp(prefix="bailiwick-clients-")
    polite = os.environ.get("CLIENTS_POLITE") or "/not/built/polite.wasm"
    return {**os.environ, "CLIENTS_STATE": state, "CLIENTS_PORT": str(web.port), "CLIENTS_POLITE": polite}
