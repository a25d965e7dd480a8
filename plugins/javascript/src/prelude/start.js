// The first part of the prelude: how the other parts define globals, and the globals that need no more than a line.
(function (host, own) {
  "use strict";
  own.global = (name, value) => {
    Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
  };
  own.isPromise = (value) => host.promiseState(value) !== "";
  // What must not be swallowed: the engine is out of memory or of stack.
  own.isDeep = (error) => error instanceof RangeError && /call stack/.test(error.message);
  own.isFatal = (error) => error instanceof InternalError || own.isDeep(error);

  // Name, message and stack of what was thrown; of what is no error, its text as the message.
  own.describe = (thrown) => {
    const text = (value, otherwise) => (value === undefined ? otherwise : `${value}`).toWellFormed();
    try {
      if (thrown instanceof Error) return [text(thrown.name, "Error"), text(thrown.message, ""), text(thrown.stack, "")];
      return ["", typeof thrown === "string" ? thrown.toWellFormed() : own.inspect(thrown).toWellFormed(), ""];
    } catch (error) {
      if (own.isFatal(error)) throw error;
      return ["", "something was thrown that cannot be shown", ""];
    }
  };

  Math.random = { random() { return host.random(); } }.random;
  own.global("performance", Object.freeze({ now: () => host.now(), get timeOrigin() { return Date.now() - host.now(); } }));

  // Numbers as people of the United States write them; there are no other locales here.
  Number.prototype.toLocaleString = { toLocaleString(_, options = {}) {
    const value = Number(this);
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value < 0 ? "-∞" : "∞";
    const isMoney = options.style === "currency";
    const least = options.minimumFractionDigits ?? (isMoney ? 2 : 0);
    const most = Math.min(options.maximumFractionDigits ?? Math.max(least, isMoney ? 2 : options.style === "percent" ? 0 : 3), 20);
    const scaled = Math.abs(options.style === "percent" ? value * 100 : value);
    if (scaled >= 1e21) return String(value);
    let [whole, part = ""] = scaled.toFixed(most).split(".");
    while (part.length > least && part.endsWith("0")) part = part.slice(0, -1);
    if (options.useGrouping !== false) whole = whole.replace(/\B(?=(\d{3})+$)/g, ",");
    const sign = value < 0 && /[1-9]/.test(whole + part) ? "-" : "";
    const money = isMoney ? { USD: "$", EUR: "€", GBP: "£", JPY: "¥" }[options.currency] ?? `${options.currency} ` : "";
    return sign + money + whole + (part === "" ? "" : `.${part}`) + (options.style === "percent" ? "%" : "");
  } }.toLocaleString;
  BigInt.prototype.toLocaleString = { toLocaleString() { return String(this).replace(/\B(?=(\d{3})+$)/g, ","); } }.toLocaleString;

  const hex = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));
  const MOST_RANDOM = 65536;
  own.global("crypto", {
    getRandomValues(array) {
      const isInteger = ArrayBuffer.isView(array) && !(array instanceof Float32Array || array instanceof Float64Array || array instanceof DataView);
      if (!isInteger) throw new DOMException("getRandomValues takes an array of integers", "TypeMismatchError");
      if (array.byteLength > MOST_RANDOM) throw new DOMException(`getRandomValues gives ${MOST_RANDOM} bytes at once`, "QuotaExceededError");
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(host.bytes(array.byteLength));
      return array;
    },
    randomUUID() {
      const bytes = host.bytes(16);
      bytes[6] = (bytes[6] & 0x0f) | 0x40;
      bytes[8] = (bytes[8] & 0x3f) | 0x80;
      return Array.from(bytes, (byte) => hex[byte]).join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    },
  });

  // What the TypeScript compiler leaves to a library: decorators and `using`.
  own.global("babelHelpers", {
    decorate(decorators, target, key, description) {
      const count = arguments.length;
      let result = count < 3 ? target : description === null ? Object.getOwnPropertyDescriptor(target, key) : description;
      for (let i = decorators.length - 1; i >= 0; i--) {
        const decorator = decorators[i];
        if (decorator) result = (count < 3 ? decorator(result) : count > 3 ? decorator(target, key, result) : decorator(target, key)) || result;
      }
      if (count > 3 && result) Object.defineProperty(target, key, result);
      return result;
    },
    decorateParam: (index, decorator) => (target, key) => decorator(target, key, index),
    decorateMetadata: () => undefined,
    usingCtx() {
      const resources = [];
      const none = {};
      let failure = none;
      const add = (isAsync, value) => {
        if (value === null || value === undefined) {
          if (isAsync) resources.push({ isAsync });
          return value;
        }
        let dispose = isAsync ? value[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")] : undefined;
        dispose ??= value[Symbol.dispose ?? Symbol.for("Symbol.dispose")];
        if (typeof dispose !== "function") throw new TypeError("what `using` takes has no method [Symbol.dispose]");
        resources.push({ value, dispose, isAsync });
        return value;
      };
      const failed = (error) => { failure = failure === none ? error : Object.assign(new Error("An error was suppressed during disposal."), { name: "SuppressedError", error, suppressed: failure }); };
      const rest = () => {
        while (resources.length > 0) {
          const { value, dispose, isAsync } = resources.pop();
          try {
            const result = dispose === undefined ? undefined : dispose.call(value);
            if (isAsync) return Promise.resolve(result).then(rest, (error) => { failed(error); return rest(); });
          } catch (error) {
            failed(error);
          }
        }
        if (failure !== none) throw failure;
        return undefined;
      };
      return {
        get e() { return failure; },
        set e(error) { failure = error; },
        u: (value) => add(false, value),
        a: (value) => add(true, value),
        d: rest,
      };
    },
  });
  for (const name of ["dispose", "asyncDispose"]) {
    if (!(name in Symbol)) Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) });
  }
})
