// Makes arguments for tools: one JSON text a line with `tool` and `schema` comes in, and for each of them two go out, with
// `tool`, `kind` and `arguments`: `minimal` has what is required and nothing else, `full` all there is. The values are
// json-schema-faker's, the same ones each time, and ajv says whether they fit; arguments that never fit are null.

import { createInterface } from 'node:readline';
import Ajv from 'ajv/dist/2020.js';
import { createGeneratorSync } from 'json-schema-faker';

const SEEDS = 12;
// Bytes of arguments.
const MOST = 200_000;
// Bytes of a file: `file`.
const FILE = 'ZmlsZQ==';
const ajv = new Ajv({ strict: false, validateFormats: false, logger: false });

// What the generator does not know: encoded bytes, whole numbers of a format, and that a text of no length and a list of
// nothing leave no trace in a query.
function told(schema) {
  if (Array.isArray(schema)) return schema.map(told);
  if (schema === null || typeof schema !== 'object') return schema;
  const data = ['enum', 'const', 'default', 'examples', 'required'];
  const isRule = ([keyword, rule]) => !data.includes(keyword) || (rule && typeof rule === 'object' && !Array.isArray(rule));
  const made = Object.fromEntries(Object.entries(schema).map((entry) => [entry[0], isRule(entry) ? told(entry[1]) : entry[1]]));
  // There is no artifact to name.
  if (Array.isArray(made.anyOf)) made.anyOf = made.anyOf.filter((alternative) => !alternative.properties?.artifact);
  const is = (kind) => made.type === kind || (Array.isArray(made.type) && made.type.includes(kind));
  if (is('string') && (made.contentEncoding === 'base64' || made.format === 'byte')) return { const: FILE };
  if (is('string') && !made.enum && made.const === undefined && !made.pattern && made.maxLength !== 0) made.minLength ||= 1;
  if (is('array') && made.maxItems !== 0) made.minItems ||= 1;
  if (is('number') && /^u?int/.test(made.format ?? '')) made.type = 'integer';
  return made;
}

// Numbers of three places: not all seventeen digits of one survive every reader of JSON.
function short(value) {
  if (typeof value === 'number') return Number(value.toFixed(3));
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(short);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, short(inner)]));
}

function generate(schema, fits, kind) {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const optional = kind === 'minimal' ? 0 : seed < SEEDS / 2 ? 1 : 0.5;
    const options = { alwaysFakeOptionals: optional === 1, optionalsProbability: optional, fixedProbabilities: optional !== 0.5 };
    const depth = { maxDepth: Math.max(3, 7 - seed), refDepthMax: 3, maxDefaultItems: 2 };
    try {
      const made = short(createGeneratorSync({ seed, ...depth, ...options }).generate(schema));
      if (fits(made) && JSON.stringify(made).length < MOST) return made;
    } catch {
      // The next seed may do.
    }
  }
  return null;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { tool, schema } = JSON.parse(line);
  const fits = ajv.compile(schema);
  ajv.removeSchema();
  const known = told(schema);
  for (const kind of ['minimal', 'full']) {
    console.log(JSON.stringify({ tool, kind, arguments: generate(known, fits, kind) }));
  }
}
