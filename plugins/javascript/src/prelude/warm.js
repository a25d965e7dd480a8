// Run once while the component is built, through all that a run goes through: what the engine makes at its first use is made.
const builtins = [Object, Function, Array, String, Number, Boolean, Symbol, BigInt, Math, JSON, Reflect, Map, Set, Promise, RegExp, Date, Error, TypeError, RangeError, SyntaxError, ReferenceError, Uint8Array, ArrayBuffer, [][Symbol.iterator](), "".matchAll(/x/g), new Map().entries(), new Set().values(), (function* () {})(), Object.getPrototypeOf(Uint8Array), console];
for (const builtin of builtins) {
  for (const holder of [builtin, builtin.prototype, Object.getPrototypeOf(builtin)]) {
    for (const key of holder ? Reflect.ownKeys(holder) : []) Object.getOwnPropertyDescriptor(holder, key);
  }
}
const words = JSON.parse(JSON.stringify(["b", "a", "c"])).map((word, at) => ({ word, at })).sort((a, b) => (a.word < b.word ? -1 : 1));
console.log(`${words.length}`, words, new Map([[1, 2]]), { ...words[0] });
await Promise.all([1, 2].map(async (n) => n.toFixed(2).replace(/0+$/, "").split("")));
Object.fromEntries(words.map(({ word, at }) => [word, at]));
