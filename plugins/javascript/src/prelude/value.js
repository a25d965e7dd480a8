// The value of a run as JSON, and copies of values.
(function (host, own) {
  "use strict";
  // Levels of a value; where the stack does not reach so far, the second.
  const DEPTHS = [100, 15];
  let mostDepth = DEPTHS[0];
  const tagOf = Function.prototype.call.bind(Object.prototype.toString);
  const mapEntries = Map.prototype.entries;
  const setValues = Set.prototype.values;

  function special(value) {
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
    if (value instanceof RegExp) return String(value);
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    if (own.isPromise(value)) return `[Promise: ${host.promiseState(value)}]`;
    if (value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef) return `[${tagOf(value).slice(8, -1)}]`;
    return undefined;
  }

  function children(value, above) {
    if (Array.isArray(value)) {
      // A loop of its own: by way of a built-in, a level would take twice the stack.
      const copy = new Array(value.length);
      for (let i = 0; i < value.length; i++) copy[i] = tree(value[i], above) ?? null;
      return copy;
    }
    if (value instanceof ArrayBuffer) return Array.from(new Uint8Array(value));
    if (value instanceof DataView) return Array.from(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    if (ArrayBuffer.isView(value)) return Array.from(value, (item) => tree(item, above));
    if (value instanceof Set) return Array.from(setValues.call(value), (item) => tree(item, above) ?? null);
    const copy = Object.create(null);
    if (value instanceof Map) {
      const entries = [...mapEntries.call(value)];
      if (!entries.every(([key]) => typeof key === "string")) return entries.map(([key, item]) => [tree(key, above) ?? null, tree(item, above) ?? null]);
      for (const [key, item] of entries) copy[key.toWellFormed()] = tree(item, above);
      return copy;
    }
    for (const key of Object.keys(value)) {
      let item;
      try {
        item = value[key];
      } catch (error) {
        if (own.isFatal(error)) throw error;
        item = `[Thrown: ${String(error?.message ?? error)}]`;
      }
      copy[key.toWellFormed()] = tree(item, above);
    }
    return copy;
  }

  // What JSON.stringify can take of a value: no cycles, nothing without a word in JSON; undefined stays undefined.
  function tree(value, above) {
    switch (typeof value) {
      case "undefined": case "boolean": return value;
      case "string": return value.isWellFormed() ? value : value.toWellFormed();
      case "number": return Number.isFinite(value) ? value : String(value);
      case "bigint": return String(value);
      case "symbol": return value.toString();
      case "function": return `[Function: ${value.name || "(anonymous)"}]`;
    }
    if (value === null) return null;
    const word = special(value);
    if (word !== undefined) return word.toWellFormed();
    if (above.includes(value)) return "[Circular]";
    if (above.length >= mostDepth) return Array.isArray(value) ? "[Array]" : "[Object]";
    above.push(value);
    try {
      if (value instanceof Number || value instanceof String || value instanceof Boolean) return tree(value.valueOf(), above);
      if (typeof value.toJSON === "function") return tree(value.toJSON(""), above);
      return children(value, above);
    } finally {
      above.pop();
    }
  }

  // JSON text; undefined where there is no value. It does not fail for any value but one too large to hold twice.
  own.json = function json(value) {
    try {
      for (const depth of DEPTHS) {
        try {
          mostDepth = depth;
          return JSON.stringify(tree(value, []));
        } catch (error) {
          if (!own.isDeep(error) || depth === DEPTHS.at(-1)) throw error;
        }
      }
    } catch (error) {
      if (own.isFatal(error)) throw error;
      return JSON.stringify(`[${typeof value} that cannot be given: ${String(error?.message ?? error)}]`.toWellFormed());
    }
  };

  const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

  function refuse(what) {
    throw new DOMException(`${what} could not be cloned.`, "DataCloneError");
  }

  function clone(value, seen) {
    if (typeof value === "function" || typeof value === "symbol") refuse(typeof value === "function" ? value.name || "function" : value.toString());
    if (value === null || typeof value !== "object") return value;
    if (seen.has(value)) return seen.get(value);
    const keep = (copy) => { seen.set(value, copy); return copy; };
    if (value instanceof Date) return keep(new Date(value.getTime()));
    if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
    if (value instanceof ArrayBuffer) return keep(value.slice(0));
    if (ArrayBuffer.isView(value)) {
      const buffer = clone(value.buffer, seen);
      const Kind = own.Buffer && value instanceof own.Buffer ? Uint8Array : value.constructor;
      return keep(new Kind(buffer, value.byteOffset, value instanceof DataView ? value.byteLength : value.length));
    }
    if (value instanceof Map) {
      const copy = keep(new Map());
      for (const [key, item] of mapEntries.call(value)) copy.set(clone(key, seen), clone(item, seen));
      return copy;
    }
    if (value instanceof Set) {
      const copy = keep(new Set());
      for (const item of setValues.call(value)) copy.add(clone(item, seen));
      return copy;
    }
    if (value instanceof Error) {
      const copy = keep(new (ERRORS[value.name] ?? Error)(value.message));
      if ("cause" in value) copy.cause = clone(value.cause, seen);
      return copy;
    }
    if (value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef || own.isPromise(value)) refuse(`#<${tagOf(value).slice(8, -1)}>`);
    if (value instanceof Number || value instanceof String || value instanceof Boolean) return keep(Object(value.valueOf()));
    const copy = keep(Array.isArray(value) ? new Array(value.length) : {});
    for (const key of Object.keys(value)) {
      Object.defineProperty(copy, key, { value: clone(value[key], seen), writable: true, enumerable: true, configurable: true });
    }
    return copy;
  }

  own.global("structuredClone", function structuredClone(value) {
    if (arguments.length === 0) throw new TypeError("structuredClone needs a value");
    return clone(value, new Map());
  });
})
