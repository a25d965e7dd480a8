// URL and URLSearchParams. Addresses are taken apart by the host's parser; nothing here reaches a network.
(function (host, own) {
  "use strict";
  const FIELDS = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];
  const follow = Symbol("follow");

  const escape = (text) => encodeURIComponent(text.toWellFormed()).replace(/[!'()~]|%20/g, (found) => (found === "%20" ? "+" : `%${found.charCodeAt(0).toString(16).toUpperCase()}`));
  function unescape(text) {
    const bytes = host.encode(text.replaceAll("+", " ").toWellFormed());
    const out = [];
    for (let i = 0; i < bytes.length; i++) {
      const digits = bytes[i] === 0x25 ? String.fromCharCode(bytes[i + 1], bytes[i + 2]) : "";
      if (/^[0-9a-f]{2}$/i.test(digits)) { out.push(parseInt(digits, 16)); i += 2; } else out.push(bytes[i]);
    }
    return host.decode(Uint8Array.from(out), false);
  }

  class URLSearchParams {
    #pairs = [];
    #changed = null;
    constructor(init = "") {
      if (init !== null && typeof init === "object") {
        const pairs = typeof init[Symbol.iterator] === "function" ? [...init] : Object.entries(init);
        for (const pair of pairs) {
          const [name, value] = [...pair];
          if ([...pair].length !== 2) throw new TypeError("URLSearchParams takes pairs of a name and a value");
          this.#pairs.push([`${name}`, `${value}`]);
        }
      } else {
        this.#read(`${init}`);
      }
    }
    #read(text) {
      const parts = text.replace(/^\?/, "").split("&").filter((part) => part !== "");
      this.#pairs = parts.map((part) => {
        const at = part.indexOf("=");
        return at < 0 ? [unescape(part), ""] : [unescape(part.slice(0, at)), unescape(part.slice(at + 1))];
      });
    }
    [follow](text, changed) { this.#read(text); this.#changed = changed; }
    #update() { this.#changed?.(this.toString()); }
    get size() { return this.#pairs.length; }
    append(name, value) { this.#pairs.push([`${name}`, `${value}`]); this.#update(); }
    delete(name, value) {
      this.#pairs = this.#pairs.filter((pair) => pair[0] !== `${name}` || (value !== undefined && pair[1] !== `${value}`));
      this.#update();
    }
    get(name) { return this.#pairs.find((pair) => pair[0] === `${name}`)?.[1] ?? null; }
    getAll(name) { return this.#pairs.filter((pair) => pair[0] === `${name}`).map((pair) => pair[1]); }
    has(name, value) { return this.#pairs.some((pair) => pair[0] === `${name}` && (value === undefined || pair[1] === `${value}`)); }
    set(name, value) {
      const at = this.#pairs.findIndex((pair) => pair[0] === `${name}`);
      if (at < 0) this.#pairs.push([`${name}`, `${value}`]);
      else {
        this.#pairs[at][1] = `${value}`;
        this.#pairs = this.#pairs.filter((pair, i) => i <= at || pair[0] !== `${name}`);
      }
      this.#update();
    }
    sort() { this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0)); this.#update(); }
    forEach(run, self) { for (const [name, value] of this.#pairs) run.call(self, value, name, this); }
    *entries() { for (const pair of this.#pairs) yield [...pair]; }
    *keys() { for (const pair of this.#pairs) yield pair[0]; }
    *values() { for (const pair of this.#pairs) yield pair[1]; }
    [Symbol.iterator]() { return this.entries(); }
    toString() { return this.#pairs.map(([name, value]) => `${escape(name)}=${escape(value)}`).join("&"); }
    get [Symbol.toStringTag]() { return "URLSearchParams"; }
  }

  class URL {
    #parts;
    #params = null;
    constructor(url, base) {
      const parts = host.url(`${url}`.toWellFormed(), base === undefined ? undefined : `${base}`.toWellFormed());
      if (parts === undefined) throw Object.assign(new TypeError("Invalid URL"), { code: "ERR_INVALID_URL", input: `${url}` });
      this.#parts = parts;
    }
    static canParse(url, base) { try { new URL(url, base); return true; } catch { return false; } }
    static parse(url, base) { try { return new URL(url, base); } catch { return null; } }
    static field(url, index) { return url.#parts[index]; }
    static change(url, name, value) {
      const parts = host.changeUrl(url.#parts[0], name, value.toWellFormed());
      if (parts !== undefined) url.#parts = parts;
      else if (name === "href") throw new TypeError("Invalid URL");
      if (name === "search" || name === "href") url.#params?.[follow](url.#parts[9], url.#follow);
    }
    #follow = (text) => { this.#parts = host.changeUrl(this.#parts[0], "search", text) ?? this.#parts; };
    get searchParams() {
      if (this.#params === null) {
        this.#params = new URLSearchParams();
        this.#params[follow](this.#parts[9], this.#follow);
      }
      return this.#params;
    }
    toString() { return this.#parts[0]; }
    toJSON() { return this.#parts[0]; }
    get [Symbol.toStringTag]() { return "URL"; }
  }
  const { field, change } = URL;
  delete URL.field;
  delete URL.change;
  FIELDS.forEach((name, index) => {
    const access = {
      get [name]() { return field(this, index); },
      set [name](value) { change(this, name, `${value}`); },
    };
    const { get, set } = Object.getOwnPropertyDescriptor(access, name);
    Object.defineProperty(URL.prototype, name, { get, set: name === "origin" ? undefined : set, enumerable: true, configurable: true });
  });
  own.global("URL", URL);
  own.global("URLSearchParams", URLSearchParams);
})
