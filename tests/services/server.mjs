// A service that does nothing but judge: every request below /NAME/ is held against the document of that name by Prism.
// What comes of it is one line of standard output: which operation it is, what is wrong with it, whether Prism would have
// seen damage, and all texts in it. A request for /NAME alone opens the document and says how many operations it has.
//
//     node server.mjs FOLDER     prints its port first

import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join, parse } from 'node:path';
import querystring from 'node:querystring';

const require = createRequire(import.meta.url);
const { getHttpOperationsFromSpec } = require('@stoplight/prism-cli/dist/operations.js');
const route = require('@stoplight/prism-http/dist/router').default;
const { validateInput } = require('@stoplight/prism-http/dist/validator');

const folder = process.argv[2];
const files = new Map(readdirSync(folder).map((file) => [parse(file).name, join(folder, file)]));
const opened = new Map();

// The operations of a document; only those of one are kept.
async function operations(name) {
  if (!opened.has(name)) {
    opened.clear();
    opened.set(name, await getHttpOperationsFromSpec(files.get(name)));
  }
  return opened.get(name);
}

function judged(resource, element) {
  const result = validateInput({ resource, element });
  const wrong = result._tag === 'Left' ? result.left.filter(({ severity }) => severity === 0) : [];
  return wrong.map(({ path, message }) => `${(path ?? []).join('.')}: ${message}`);
}

function decoded(text) {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

// Every text, number and truth value in a JSON value.
function leaves(value) {
  if (value === null || typeof value !== 'object') return [String(value)];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...leaves(inner)]);
}

async function judge(name, request, target, bytes) {
  const [path, query = ''] = target.split(/\?(.*)/s);
  const type = (request.headers['content-type'] ?? '').split(';')[0];
  const isJson = bytes.length > 0 && /[/+]json$/.test(type);
  const text = bytes.toString('latin1');
  const body = isJson ? JSON.parse(bytes) : bytes.length > 0 ? text : undefined;
  const url = { path, query: querystring.parse(query) };
  const element = { method: request.method.toLowerCase(), url, headers: request.headers, body };
  const found = route({ resources: await operations(name), input: element });
  if (found._tag === 'Left') return { errors: [String(found.left.detail ?? found.left.message)] };
  const { method, path: template } = found.right;
  const headers = Object.values(request.headers);
  const texts = [decoded(path), ...leaves(url.query), ...headers, ...headers.map(decoded)];
  texts.push(...(isJson ? leaves(body) : [text, decoded(text), bytes.toString()]));
  // Whether the judge would have seen it: nothing but a list for a body, and nothing in the query.
  const damaged = { ...element, url: { path, query: {} }, body: isJson ? [[[]]] : undefined };
  return {
    operation: `${method.toUpperCase()} ${template}`,
    errors: judged(found.right, element),
    sees: judged(found.right, damaged).length > 0,
    texts: texts.join('\n'),
  };
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const [, name, rest] = /^\/([^/?]+)([^]*)$/.exec(request.url) ?? [];
  if (!files.has(name)) return response.writeHead(404).end();
  if (rest === '') return response.end(`${(await operations(name)).length}\n`);
  let verdict;
  try {
    verdict = await judge(name, request, rest, Buffer.concat(chunks));
  } catch (error) {
    verdict = { errors: [`the judge: ${error}`] };
  }
  console.log(JSON.stringify(verdict));
  response.setHeader('content-type', 'application/json');
  response.end(request.method === 'HEAD' ? '' : '{}');
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
