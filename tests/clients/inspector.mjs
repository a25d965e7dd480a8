// Runs `bailiwick serve` under the MCP Inspector's command line, in both protocol eras: on standard streams, or over HTTP
// with a key.
//
//     tests/clients/node_modules/.bin/node tests/clients/inspector.mjs BAILIWICK CONFIG stdio|http
//
// Prints one line for each check; exits 1 when one failed. The configuration must offer `now`; see bailiwick.toml.

import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { KEY, serve } from "./support.mjs";

const [bailiwick, config, way] = process.argv.slice(2);
const inspector = join(import.meta.dirname, "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js");
const state = process.env.CLIENTS_STATE || mkdtempSync(join(tmpdir(), "bailiwick-clients-"));
// Neither is needed here: only the Python tests fetch, and use the guest.
const variables = { CLIENTS_STATE: state, CLIENTS_PORT: "9", CLIENTS_POLITE: process.env.CLIENTS_POLITE || "/not/built/polite.wasm" };
const forServer = Object.entries({ ...variables, HOME: process.env.HOME, PATH: process.env.PATH });

const http = way === "http" ? await serve(bailiwick, config, variables) : undefined;

let failed = false;

function check(what, good, seen) {
  console.log(good ? `ok     ${what}` : `FAILED ${what}: ${JSON.stringify(seen)}`);
  failed ||= !good;
}

function run(era, ...options) {
  const environment = forServer.flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  const stdio = [...environment, "--", bailiwick, "--config", config, "serve", "--stdio"];
  const remote = ["--transport", "http", "--server-url", `${http?.url}/mcp`, "--header", `Authorization: Bearer ${KEY}`];
  const words = [inspector, "--cli", "--protocol-era", era, "--format", "json", ...options, ...(http ? remote : stdio)];
  const ended = spawnSync(process.execPath, words, { encoding: "utf8", timeout: 120_000, env: { ...process.env, ...variables, MCP_CATALOG_PATH: join(state, "catalog.json") } });
  const seen = { code: ended.status, stdout: ended.stdout, stderr: ended.stderr };
  try {
    return { ...seen, json: JSON.parse(ended.stdout) };
  } catch {
    return seen;
  }
}

// The Inspector wraps results since 2.x; older ones print them bare.
const result = (ended) => ended.json?.result ?? ended.json;

for (const era of ["legacy", "modern"]) {
  const call = (name, args) => run(era, "--method", "tools/call", "--tool-name", name, "--tool-args-json", JSON.stringify(args));

  let ended = run(era, "--method", "tools/list");
  const tool = result(ended)?.tools?.find(({ name }) => name === "now");
  check(`${era}: tools/list, exit code 0`, ended.code === 0 && tool?.inputSchema.type === "object", ended);

  ended = run(era, "--strict", "--method", "tools/list");
  const portable = ended.code === 0 && !/warn/i.test(ended.stderr);
  check(`${era}: the schemas are portable (--strict), exit code 0 and no warning`, portable, ended);

  ended = call("now", { timezone: "Europe/Berlin" });
  check(`${era}: tools/call, exit code 0`, ended.code === 0 && result(ended)?.structuredContent !== undefined, ended);

  ended = call("now", { timezone: { not: "a text" } });
  check(`${era}: a wrong argument is a tool error, exit code 5`, ended.code === 5, ended);

  ended = call("no_such_tool", {});
  check(`${era}: an unknown tool, exit code 5`, ended.code === 5, ended);

  ended = run(era, "--method", "resources/list");
  check(`${era}: resources/list, exit code 0`, ended.code === 0 && Array.isArray(result(ended)?.resources), ended);
}

http?.stop();
// Not `process.exit`, which would cut off what is not written yet.
process.exitCode = failed ? 1 : 0;
