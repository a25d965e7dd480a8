// Values as text for people, in the manner of Node: what `console` prints.
(function (host, own) {
  "use strict";
  const WIDTH = 72;
  const MOST_ITEMS = 100;
  const MOST_TEXT = 10000;
  const { getPrototypeOf, getOwnPropertyDescriptor, getOwnPropertySymbols, keys } = Object;
  const tagOf = Function.prototype.call.bind(Object.prototype.toString);
  const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
  const ESCAPES = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\v": "\\v", "\\": "\\\\" };

  function quote(text) {
    const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !text.includes("`") ? "`" : "'";
    const escaped = text.replace(/[\x00-\x1f\x7f\\]/g, (c) => ESCAPES[c] ?? "\\x" + c.charCodeAt(0).toString(16).padStart(2, "0"));
    return mark + (mark === "'" ? escaped.replaceAll("'", "\\'") : escaped) + mark;
  }

  function constructorName(value) {
    for (let at = value; at !== null && at !== undefined; at = getPrototypeOf(at)) {
      const found = getOwnPropertyDescriptor(at, "constructor");
      if (found && typeof found.value === "function" && found.value.name !== "") return String(found.value.name);
    }
    return null;
  }

  function errorText(error) {
    const name = String(error.name ?? "Error");
    const message = String(error.message ?? "");
    const head = message === "" ? name : `${name}: ${message}`;
    const stack = host.frames(String(error.stack ?? ""));
    return stack === "" ? head : `${head}\n${stack}`;
  }

  function primitive(value) {
    switch (typeof value) {
      case "string": return quote(value.length > MOST_TEXT ? `${value.slice(0, MOST_TEXT)}... ${value.length - MOST_TEXT} more characters` : value);
      case "bigint": return `${value}n`;
      case "number": return Object.is(value, -0) ? "-0" : String(value);
      case "symbol": return value.toString();
      default: return String(value);
    }
  }

  function functionText(value) {
    const source = Function.prototype.toString.call(value);
    const name = typeof value.name === "string" ? value.name : "";
    if (source.startsWith("class")) {
      const parent = getPrototypeOf(value);
      const above = typeof parent === "function" && parent.name ? ` extends ${parent.name}` : "";
      return `[class ${name || "(anonymous)"}${above}]`;
    }
    const kind = constructorName(value) ?? "Function";
    return name === "" ? `[${kind} (anonymous)]` : `[${kind}: ${name}]`;
  }

  const keyText = (key) => (typeof key === "symbol" ? `[${key.toString()}]` : IDENTIFIER.test(key) ? key : quote(key));

  function property(value, key, state, depth) {
    const found = getOwnPropertyDescriptor(value, key);
    if (found && (found.get || found.set)) return found.get ? (found.set ? "[Getter/Setter]" : "[Getter]") : "[Setter]";
    return show(value[key], state, depth + 1);
  }

  function fields(value, state, depth, skip) {
    const shown = [];
    const symbols = getOwnPropertySymbols(value).filter((key) => getOwnPropertyDescriptor(value, key).enumerable);
    for (const key of [...keys(value), ...symbols]) {
      if (skip && skip(key)) continue;
      if (shown.length >= MOST_ITEMS) { shown.push("..."); break; }
      shown.push(`${keyText(key)}: ${property(value, key, state, depth)}`);
    }
    return shown;
  }

  function arrayItems(value, state, depth) {
    const shown = [];
    let holes = 0;
    const flush = () => { if (holes) shown.push(`<${holes} empty item${holes > 1 ? "s" : ""}>`); holes = 0; };
    for (let i = 0; i < value.length && shown.length < MOST_ITEMS; i++) {
      if (!(i in value)) { holes++; continue; }
      flush();
      shown.push(property(value, i, state, depth));
    }
    flush();
    if (value.length > MOST_ITEMS && shown.length >= MOST_ITEMS) shown.push(`... ${value.length - MOST_ITEMS} more items`);
    const isIndex = (key) => typeof key === "string" && /^\d+$/.test(key);
    return shown.concat(value.length > 100000 ? [] : fields(value, state, depth, isIndex));
  }

  function typedItems(value) {
    const shown = Array.from(value.subarray(0, MOST_ITEMS), primitive);
    if (value.length > MOST_ITEMS) shown.push(`... ${value.length - MOST_ITEMS} more items`);
    return shown;
  }

  function mapItems(value, state, depth) {
    const shown = [];
    for (const [key, item] of Map.prototype.entries.call(value)) {
      if (shown.length >= MOST_ITEMS) { shown.push(`... ${value.size - MOST_ITEMS} more items`); break; }
      shown.push(`${show(key, state, depth + 1)} => ${show(item, state, depth + 1)}`);
    }
    return shown;
  }

  function setItems(value, state, depth) {
    const shown = [];
    for (const item of Set.prototype.values.call(value)) {
      if (shown.length >= MOST_ITEMS) { shown.push(`... ${value.size - MOST_ITEMS} more items`); break; }
      shown.push(show(item, state, depth + 1));
    }
    return shown;
  }

  function boxed(prefix, open, items, close) {
    const head = prefix === "" ? "" : `${prefix} `;
    if (items.length === 0) return `${head}${open}${close}`;
    const length = items.reduce((sum, item) => sum + item.length + 2, head.length + 4);
    if (length <= WIDTH && !items.some((item) => item.includes("\n"))) return `${head}${open} ${items.join(", ")} ${close}`;
    const numbers = open === "[" && items.length > 6 && items.every((item) => item.length <= 6);
    const lines = numbers ? rows(items) : items.map((item) => item.replaceAll("\n", "\n  "));
    return `${head}${open}\n  ${lines.join(",\n  ")}\n${close}`;
  }

  // Short items stand in columns, sixteen to a line at most.
  function rows(items) {
    const width = Math.max(...items.map((item) => item.length));
    const each = Math.max(1, Math.min(16, Math.floor(WIDTH / (width + 2))));
    const lines = [];
    for (let i = 0; i < items.length; i += each) {
      lines.push(items.slice(i, i + each).map((item) => item.padStart(width)).join(", "));
    }
    return lines;
  }

  function objectText(value, state, depth) {
    const name = constructorName(value);
    if (own.isPromise(value)) return `Promise { <${host.promiseState(value)}> }`;
    if (value instanceof Error) {
      const extra = fields(value, state, depth, (key) => key === "stack" || key === "message");
      const cause = getOwnPropertyDescriptor(value, "cause");
      if (cause && !cause.enumerable) extra.push(`[cause]: ${show(cause.value, state, depth + 1)}`);
      if (value instanceof AggregateError) extra.push(`[errors]: ${show(value.errors, state, depth + 1)}`);
      return extra.length === 0 ? errorText(value) : `${errorText(value)} ${boxed("", "{", extra, "}")}`;
    }
    const kind = tagOf(value).slice(8, -1);
    if (Array.isArray(value)) {
      const prefix = name === "Array" ? "" : `${name}(${value.length})`;
      return boxed(prefix, "[", arrayItems(value, state, depth), "]");
    }
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      if (own.Buffer && value instanceof own.Buffer) return `<Buffer ${value.toString("hex").slice(0, 100).replace(/(..)(?=.)/g, "$1 ")}${value.length > 50 ? " ..." : ""}>`;
      return boxed(`${name}(${value.length})`, "[", typedItems(value), "]");
    }
    if (value instanceof Map) return boxed(`Map(${value.size})`, "{", mapItems(value, state, depth), "}");
    if (value instanceof Set) return boxed(`Set(${value.size})`, "{", setItems(value, state, depth), "}");
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
    if (value instanceof RegExp) return RegExp.prototype.toString.call(value);
    if (value instanceof WeakMap || value instanceof WeakSet) return `${name} { <items unknown> }`;
    if (value instanceof ArrayBuffer) return `ArrayBuffer { byteLength: ${value.byteLength} }`;
    if (kind === "Number" || kind === "String" || kind === "Boolean" || kind === "Symbol" || kind === "BigInt") {
      if (value.constructor === globalThis[kind]) return `[${kind}: ${primitive(value.valueOf())}]`;
    }
    const custom = getOwnPropertyDescriptor(value, Symbol.toStringTag) ?? (name !== null && kind !== "Object" && kind !== name);
    const tag = custom ? ` [${kind}]` : "";
    const prefix = name === "Object" ? tag.trim() : name === null ? `[Object: null prototype]${tag}` : `${name}${tag}`;
    return boxed(prefix, "{", fields(value, state, depth), "}");
  }

  function show(value, state, depth) {
    if (value === null || (typeof value !== "object" && typeof value !== "function")) return primitive(value);
    if (state.above.includes(value)) return "[Circular *1]";
    if (typeof value === "function") {
      const extra = fields(value, { ...state, above: [...state.above, value] }, depth);
      return extra.length === 0 ? functionText(value) : boxed(functionText(value), "{", extra, "}");
    }
    if (depth > state.depth && !(value instanceof Error) && !(value instanceof Date) && !(value instanceof RegExp)) {
      return Array.isArray(value) ? "[Array]" : `[${constructorName(value) ?? "Object: null prototype"}]`;
    }
    state.above.push(value);
    try {
      return objectText(value, state, depth);
    } finally {
      state.above.pop();
    }
  }

  own.inspect = function inspect(value, options) {
    const depth = options && options.depth === null ? 50 : Math.min(50, options?.depth ?? 2);
    try {
      return show(value, { above: [], depth }, 0);
    } catch (error) {
      if (own.isFatal(error)) throw error;
      return `[${typeof value} that cannot be shown]`;
    }
  };

  const plain = (value) => (typeof value === "string" ? value : own.inspect(value));

  function directive(mark, value) {
    switch (mark) {
      case "s": return typeof value === "string" ? value : typeof value === "object" ? own.inspect(value, { depth: 0 }) : typeof value === "bigint" ? `${value}n` : String(value);
      case "d": return typeof value === "bigint" ? `${value}n` : typeof value === "symbol" ? "NaN" : String(Number(value));
      case "i": return typeof value === "bigint" ? `${value}n` : typeof value === "symbol" ? "NaN" : String(parseInt(value, 10));
      case "f": return typeof value === "symbol" ? "NaN" : String(parseFloat(value));
      case "j": try { return JSON.stringify(value) ?? "undefined"; } catch { return "[Circular]"; }
      case "c": return "";
      default: return own.inspect(value, { depth: 4 });
    }
  }

  // The arguments of a call of `console` as one text.
  own.format = function format(values) {
    let next = 0;
    let text = "";
    if (typeof values[0] === "string" && values.length > 1) {
      next = 1;
      text = values[0].replace(/%[sdifjoOc%]/g, (found) => {
        if (found === "%%") return "%";
        return next < values.length ? directive(found[1], values[next++]) : found;
      });
    } else if (values.length > 0) {
      text = plain(values[0]);
      next = 1;
    }
    for (; next < values.length; next++) text += ` ${plain(values[next])}`;
    return text;
  };
})
