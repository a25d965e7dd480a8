// Runs `bailiwick serve` over HTTP under the official TypeScript clients, with a key: version 1 of the SDK, which knows the
// protocols with sessions, and version 2, which also knows the one without.
//
//     tests/clients/node_modules/.bin/node tests/clients/typescript.mjs BAILIWICK CONFIG
//
// Prints one line for each check; exits 1 when one failed. The configuration must offer `now` and `approved`; `steps` and
// `ask` of the guest `polite` are used where they are there. See bailiwick.toml.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as v2 from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema, ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

import { Checks, KEY, serve } from "./support.mjs";

const [bailiwick, config] = process.argv.slice(2);
const variables = {
  CLIENTS_STATE: process.env.CLIENTS_STATE || mkdtempSync(join(tmpdir(), "bailiwick-clients-")),
  CLIENTS_PORT: "9",
  CLIENTS_POLITE: process.env.CLIENTS_POLITE || "/not/built/polite.wasm",
};
const server = await serve(bailiwick, config, variables);
const checks = new Checks();
const info = { name: "tests", version: "1" };
const capabilities = { elicitation: { form: {} } };

// How a person answers, and what they were asked.
const person = { action: "accept", content: { answer: "forty-two" }, asked: [] };

function answer(request) {
  person.asked.push(request.params.message);
  return person.action === "accept" ? { action: "accept", content: person.content } : { action: person.action };
}

function transport(Transport, key = KEY) {
  return new Transport(new URL(`${server.url}/mcp`), { requestInit: { headers: { Authorization: `Bearer ${key}` } } });
}

const kinds = {
  "v1 with a session": async () => {
    const client = new ClientV1(info, { capabilities });
    client.setRequestHandler(ElicitRequestSchema, answer);
    const changed = new Promise((told) => client.setNotificationHandler(ToolListChangedNotificationSchema, told));
    await client.connect(transport(TransportV1));
    const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
    return { client, call, changed };
  },
  "v2 with a session": () => second({}),
  "v2 without a session": () => second({ versionNegotiation: { mode: "auto" } }),
};

async function second(options) {
  const client = new v2.Client(info, { capabilities, ...options });
  client.setRequestHandler("elicitation/create", answer);
  await client.connect(transport(v2.StreamableHTTPClientTransport));
  const call = (name, args, options) => client.callTool({ name, arguments: args }, options);
  return { client, call };
}

const text = (result) => (result.content ?? []).map((piece) => piece.text ?? "").join("\n");

async function everything(kind, { client, call, changed }) {
  const { tools } = await client.listTools();
  const names = tools.map(({ name }) => name);
  checks.line(`${kind}: tools are listed in order`, names.includes("now") && names.join() === names.toSorted().join(), names);

  let result = await call("now", { timezone: "Europe/Berlin" });
  checks.line(`${kind}: a call gives structured content`, !result.isError && result.structuredContent !== undefined, result);
  result = await call("now", { timezone: { not: "a text" } });
  checks.line(`${kind}: a wrong argument is told to the model`, result.isError && text(result).includes("[arguments.invalid]"), result);
  const unknown = await call("no_such_tool", {}).catch((error) => error);
  checks.line(`${kind}: an unknown tool is an error of the protocol`, unknown.code === -32602, unknown);
  const results = await Promise.all(Array.from({ length: 20 }, () => call("now", {})));
  checks.line(`${kind}: twenty calls at once`, results.every(({ isError }) => !isError), results);

  person.action = "accept";
  person.asked = [];
  result = await call("approved", {});
  checks.line(`${kind}: a call runs when a person agrees`, !result.isError && person.asked.length === 1, { result, person });
  person.action = "decline";
  result = await call("approved", {});
  checks.line(`${kind}: and does not when they do not`, result.isError && text(result).includes("[denied.approval]"), result);

  if (names.includes("steps")) {
    const seen = [];
    result = await call("steps", { steps: 3 }, { onprogress: ({ progress }) => seen.push(progress) });
    checks.line(`${kind}: progress comes in order`, seen.join() === "1,2,3" && text(result) === "done", { seen, result });
    person.action = "accept";
    result = await call("ask", { question: "What is it?", times: 2 });
    checks.line(`${kind}: a plugin's questions are answered`, text(result).includes("forty-two"), result);
  }

  if (changed) {
    server.reload();
    const told = await Promise.race([changed, new Promise((late) => setTimeout(late, 10_000, "late"))]);
    checks.line(`${kind}: a change of tools is told`, told !== "late", told);
  }
  await client.close();
}

for (const [kind, connect] of Object.entries(kinds)) {
  try {
    await everything(kind, await connect());
  } catch (error) {
    checks.line(`${kind}: it does not break`, false, String(error.stack ?? error));
  }
}

const nobody = await new ClientV1(info, {}).connect(transport(TransportV1, `${KEY.slice(0, -1)}9`)).catch((error) => error);
checks.line("a wrong key is told so", /401|Unauthorized|Authentication/i.test(String(nobody)), String(nobody));
const code = await server.stop();
checks.line("the server ends in good order", code === 0, code);
checks.done();
