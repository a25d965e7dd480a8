// `api`: other tools, where the run may call any; and files, where it was given folders.
(function (host, own) {
  "use strict";
  const waiting = new Map();

  function call(tool, input) {
    let text;
    try {
      text = own.json(input === undefined ? {} : input) ?? "{}";
    } catch (error) {
      return Promise.reject(error);
    }
    const id = host.start(tool, text);
    return new Promise((resolve) => waiting.set(id, resolve));
  }

  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }

  // An answer has come. A failure is data too: a program looks at `success`.
  own.settle = (id, success, output, code) => {
    const resolve = waiting.get(id);
    waiting.delete(id);
    const value = parsed(output);
    resolve(success ? { success, output: value } : { success, output: value, error: { code: code ?? "tool.failed", message: String(value) } });
  };

  function distance(a, b) {
    let row = Array.from({ length: b.length + 1 }, (_, i) => i);
    for (let i = 1; i <= a.length; i++) {
      const above = row;
      row = [i];
      for (let j = 1; j <= b.length; j++) {
        row.push(Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
      }
    }
    return row[b.length];
  }

  function near(name, names) {
    const asked = name.toLowerCase();
    const scored = names.map((known) => [known.toLowerCase().includes(asked) || asked.includes(known.toLowerCase()) ? 0 : distance(asked, known.toLowerCase()), known]);
    return scored.filter(([score]) => score <= Math.max(2, asked.length / 3)).sort((a, b) => a[0] - b[0]).slice(0, 3).map(([, known]) => known);
  }

  function unknown(name, names) {
    const like = near(name, names);
    const hint = like.length > 0 ? `did you mean ${like.map((known) => `\`${known}\``).join(", ")}?` : names.length === 0 ? "no tool may be called from here" : `there are: ${names.slice(0, 20).join(", ")}${names.length > 20 ? ", …" : ""}`;
    return new TypeError(`\`api\` has no tool \`${name}\`: ${hint}`);
  }

  own.tools = (names) => {
    const functions = Object.create(null);
    for (const name of names) {
      const run = { [name]: (input) => call(name, input) }[name];
      functions[name] = run;
      functions[name.replace(/[-. ]/g, "_")] ??= run;
    }
    const callable = Object.keys(functions);
    own.global("api", new Proxy(functions, {
      get(target, key) {
        if (typeof key === "symbol" || key in target) return target[key];
        if (key === "then" || key === "toJSON") return undefined;
        throw unknown(key, callable);
      },
      set: () => false,
      defineProperty: () => false,
      deleteProperty: () => false,
    }));
  };

  function failed(error) {
    const made = new Error(error.message);
    made.code = error.code;
    return made;
  }
  const checked = (answer) => { if (answer.code !== undefined) throw failed(answer); return answer.value; };

  own.files = () => {
    own.global("readFile", function readFile(path, options) {
      const encoding = typeof options === "string" || options === null ? options : options?.encoding ?? "utf8";
      const bytes = checked(host.readFile(String(path)));
      if (encoding === null || encoding === "buffer") return own.Buffer.from(bytes.buffer);
      return encoding === "utf8" || encoding === "utf-8" ? host.decode(bytes, false) : own.Buffer.from(bytes.buffer).toString(encoding);
    });
    own.global("writeFile", function writeFile(path, data) {
      const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : data instanceof ArrayBuffer ? new Uint8Array(data) : host.encode(String(data).toWellFormed());
      checked(host.writeFile(String(path), bytes));
    });
    own.global("listFiles", function listFiles(path) {
      return checked(host.listFiles(path === undefined ? undefined : String(path)));
    });
  };
})
