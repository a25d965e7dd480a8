// What the clients in JavaScript share: a server over HTTP, and one printed line for each check.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

// The key whose hash is in bailiwick.toml. It opens nothing else.
export const KEY = "bwk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

// Starts the program as an HTTP server at a free port; gives its URL and a way to end it.
export async function serve(bailiwick, config, variables) {
  const words = ["--config", config, "serve", "--listen", "127.0.0.1:0"];
  const child = spawn(bailiwick, words, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...variables } });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const { value: url } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  const stop = async () => {
    child.kill("SIGTERM");
    return ended;
  };
  return { url, stop, reload: () => child.kill("SIGHUP") };
}

// Prints `ok` or `FAILED` for each check, and remembers whether one failed.
export class Checks {
  failed = false;

  line(what, good, seen) {
    console.log(good ? `ok     ${what}` : `FAILED ${what}: ${JSON.stringify(seen)}`);
    this.failed ||= !good;
  }

  // Not `process.exit`, which would cut off what is not written yet.
  done() {
    process.exitCode = this.failed ? 1 : 0;
  }
}
