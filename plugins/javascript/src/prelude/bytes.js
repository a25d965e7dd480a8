// Bytes as text and back: btoa, atob, TextEncoder, TextDecoder, Buffer.
(function (host, own) {
  "use strict";
  const LABELS = { "utf-8": "utf-8", utf8: "utf-8", "unicode-1-1-utf-8": "utf-8", latin1: "windows-1252", ascii: "windows-1252", "iso-8859-1": "windows-1252", "windows-1252": "windows-1252", "utf-16le": "utf-16le", "utf-16": "utf-16le" };

  function latin1(bytes) {
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode.apply(null, bytes.subarray(i, i + 8192));
    return text;
  }

  function utf16(bytes) {
    let text = "";
    for (let i = 0; i + 1 < bytes.length; i += 2) text += String.fromCharCode(bytes[i] | (bytes[i + 1] << 8));
    return text;
  }

  function units(text, mask) {
    return Uint8Array.from({ length: text.length }, (_, i) => text.charCodeAt(i) & mask);
  }

  own.global("btoa", function btoa(data) {
    const text = `${data}`;
    if (/[^\x00-\xff]/.test(text)) throw new DOMException("btoa takes characters up to U+00FF; for other text use Buffer.from(text).toString(\"base64\")", "InvalidCharacterError");
    return host.toBase64(units(text, 0xff), false);
  });
  own.global("atob", function atob(data) {
    const bytes = host.fromBase64(`${data}`, true);
    if (bytes === undefined) throw new DOMException("atob takes base64", "InvalidCharacterError");
    return latin1(bytes);
  });

  class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return host.encode(`${text}`.toWellFormed()); }
    encodeInto(text, into) {
      let read = 0;
      let written = 0;
      for (const character of `${text}`) {
        const bytes = host.encode(character.toWellFormed());
        if (written + bytes.length > into.length) break;
        into.set(bytes, written);
        written += bytes.length;
        read += character.length;
      }
      return { read, written };
    }
  }

  const view = (data) => {
    if (data === undefined) return new Uint8Array(0);
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    throw new TypeError("decode takes a buffer or a view of one");
  };

  // The length of the start of `bytes` that ends with a whole character.
  function whole(bytes) {
    for (let back = 1; back <= Math.min(3, bytes.length); back++) {
      const byte = bytes[bytes.length - back];
      if (byte >= 0xc0) return byte >= (back < 2 ? 0xc0 : back < 3 ? 0xe0 : 0xf0) ? bytes.length - back : bytes.length;
      if (byte < 0x80) break;
    }
    return bytes.length;
  }

  class TextDecoder {
    #encoding; #fatal; #ignoreBOM; #kept = new Uint8Array(0);
    constructor(label = "utf-8", options = {}) {
      this.#encoding = LABELS[`${label}`.trim().toLowerCase()];
      if (this.#encoding === undefined) throw new RangeError(`TextDecoder knows utf-8, utf-16le and latin1, not ${label}`);
      this.#fatal = Boolean(options.fatal);
      this.#ignoreBOM = Boolean(options.ignoreBOM);
    }
    get encoding() { return this.#encoding; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }
    decode(data, options = {}) {
      let bytes = view(data);
      if (this.#kept.length > 0) {
        const joined = new Uint8Array(this.#kept.length + bytes.length);
        joined.set(this.#kept);
        joined.set(bytes, this.#kept.length);
        bytes = joined;
        this.#kept = new Uint8Array(0);
      }
      if (this.#encoding === "windows-1252") return latin1(bytes);
      if (this.#encoding === "utf-16le") return utf16(bytes);
      if (options.stream) {
        const end = whole(bytes);
        this.#kept = bytes.slice(end);
        bytes = bytes.subarray(0, end);
      }
      const text = host.decode(bytes, this.#fatal);
      if (text === undefined) throw new TypeError("The encoded data was not valid utf-8");
      return !this.#ignoreBOM && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
    }
  }
  own.global("TextEncoder", TextEncoder);
  own.global("TextDecoder", TextDecoder);

  function encoded(text, encoding) {
    switch (`${encoding ?? "utf8"}`.toLowerCase()) {
      case "utf8": case "utf-8": return host.encode(text.toWellFormed());
      case "base64": case "base64url": return host.fromBase64(text, false);
      case "hex": {
        const digits = /^(?:[0-9a-f]{2})*/i.exec(text)[0];
        return Uint8Array.from({ length: digits.length / 2 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
      }
      case "latin1": case "binary": return units(text, 0xff);
      case "ascii": return units(text, 0xff);
      case "utf16le": case "utf-16le": case "ucs2": case "ucs-2": return Uint8Array.from({ length: text.length * 2 }, (_, i) => (text.charCodeAt(i >> 1) >> (i % 2 ? 8 : 0)) & 0xff);
      default: throw new TypeError(`Unknown encoding: ${encoding}`);
    }
  }

  const over = (bytes) => Object.setPrototypeOf(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), Buffer.prototype);

  class Buffer extends Uint8Array {
    static from(data, encoding, length) {
      if (typeof data === "string") return over(encoded(data, encoding));
      if (data instanceof ArrayBuffer) return over(new Uint8Array(data, encoding, length));
      if (ArrayBuffer.isView(data)) return over(Uint8Array.from(data));
      if (data !== null && typeof data === "object") {
        if (data.type === "Buffer" && Array.isArray(data.data)) return over(Uint8Array.from(data.data));
        if (typeof data.length === "number" || typeof data[Symbol.iterator] === "function") return over(Uint8Array.from(data));
        const value = data.valueOf?.();
        if (value !== data && value !== undefined && value !== null) return Buffer.from(value, encoding);
      }
      throw new TypeError(`Buffer.from takes text, an array or a buffer, not ${data === null ? "null" : typeof data}`);
    }
    static of(...bytes) { return over(Uint8Array.from(bytes)); }
    static alloc(size, fill, encoding) {
      if (typeof size !== "number" || !(size >= 0)) throw new RangeError("Buffer.alloc takes a size");
      const made = over(new Uint8Array(size));
      return fill === undefined || fill === 0 ? made : made.fill(fill, 0, size, encoding);
    }
    static allocUnsafe(size) { return Buffer.alloc(size); }
    static isBuffer(value) { return value instanceof Buffer; }
    static isEncoding(name) { try { encoded("", name); return true; } catch { return false; } }
    static byteLength(data, encoding) { return typeof data === "string" ? encoded(data, encoding).length : data.byteLength; }
    static compare(a, b) { return a.compare(b); }
    static concat(list, total) {
      const joined = over(new Uint8Array(total ?? list.reduce((sum, item) => sum + item.length, 0)));
      let at = 0;
      for (const item of list) {
        if (at >= joined.length) break;
        joined.set(item.subarray(0, joined.length - at), at);
        at += item.length;
      }
      return joined;
    }
    toString(encoding, start = 0, end = this.length) {
      const bytes = new Uint8Array(this.buffer, this.byteOffset, this.byteLength).subarray(start, end);
      switch (`${encoding ?? "utf8"}`.toLowerCase()) {
        case "utf8": case "utf-8": return host.decode(bytes, false);
        case "base64": return host.toBase64(bytes, false);
        case "base64url": return host.toBase64(bytes, true);
        case "hex": return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
        case "latin1": case "binary": return latin1(bytes);
        case "ascii": return latin1(bytes.map((byte) => byte & 0x7f));
        case "utf16le": case "utf-16le": case "ucs2": case "ucs-2": return utf16(bytes);
        default: throw new TypeError(`Unknown encoding: ${encoding}`);
      }
    }
    toJSON() { return { type: "Buffer", data: Array.from(this) }; }
    subarray(start, end) { return over(new Uint8Array(this.buffer, this.byteOffset, this.byteLength).subarray(start, end)); }
    slice(start, end) { return this.subarray(start, end); }
    equals(other) { return this.compare(other) === 0; }
    compare(other) {
      const shared = Math.min(this.length, other.length);
      for (let i = 0; i < shared; i++) if (this[i] !== other[i]) return this[i] < other[i] ? -1 : 1;
      return Math.sign(this.length - other.length);
    }
    write(text, offset = 0, length = this.length - offset, encoding = "utf8") {
      if (typeof offset === "string") return this.write(text, 0, this.length, offset);
      const bytes = encoded(text, encoding).subarray(0, Math.min(length, this.length - offset));
      this.set(bytes, offset);
      return bytes.length;
    }
    fill(value, start = 0, end = this.length, encoding = "utf8") {
      if (typeof value === "number") return super.fill(value, start, end);
      const bytes = typeof value === "string" ? encoded(value, encoding) : value;
      for (let i = start; i < end; i++) this[i] = bytes.length === 0 ? 0 : bytes[(i - start) % bytes.length];
      return this;
    }
    copy(target, at = 0, start = 0, end = this.length) {
      const part = this.subarray(start, Math.min(end, start + target.length - at));
      target.set(part, at);
      return part.length;
    }
    indexOf(value, from = 0, encoding = "utf8") {
      if (typeof value === "number") return super.indexOf(value & 0xff, from);
      const bytes = typeof value === "string" ? encoded(value, encoding) : value;
      outer: for (let i = from; i + bytes.length <= this.length; i++) {
        for (let j = 0; j < bytes.length; j++) if (this[i + j] !== bytes[j]) continue outer;
        return i;
      }
      return -1;
    }
    includes(value, from, encoding) { return this.indexOf(value, from, encoding) !== -1; }
  }
  const NUMBERS = { UInt8: "Uint8", Int8: "Int8", UInt16: "Uint16", Int16: "Int16", UInt32: "Uint32", Int32: "Int32", BigUInt64: "BigUint64", BigInt64: "BigInt64", Float: "Float32", Double: "Float64" };
  for (const [name, kind] of Object.entries(NUMBERS)) {
    const size = globalThis[`${kind}Array`].BYTES_PER_ELEMENT;
    for (const order of size === 1 ? [""] : ["LE", "BE"]) {
      const data = (buffer) => new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
      const methods = {
        [`read${name}${order}`](offset = 0) { return data(this)[`get${kind}`](offset, order === "LE"); },
        [`write${name}${order}`](value, offset = 0) { data(this)[`set${kind}`](offset, value, order === "LE"); return offset + size; },
      };
      for (const key of Object.keys(methods)) Object.defineProperty(Buffer.prototype, key, { value: methods[key], writable: true, configurable: true });
    }
  }
  own.Buffer = Buffer;
  own.global("Buffer", Buffer);
})
