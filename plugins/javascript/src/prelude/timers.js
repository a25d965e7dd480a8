// Timers in real time, what is rejected and not caught, and the promise a run waits for.
(function (host, own) {
  "use strict";
  const timers = new Map();
  let last = 0;
  let order = 0;

  function begin(name, repeat, run, delay, values) {
    if (typeof run !== "function") throw new TypeError(`${name} takes a function, not ${run === null ? "null" : typeof run}`);
    const wait = Math.min(Math.max(Number(delay) || 0, 1), 2 ** 31 - 1);
    timers.set(++last, { due: host.now() + wait, order: ++order, repeat: repeat ? wait : null, run, values });
    return last;
  }
  const end = (id) => { timers.delete(Number(id)); };

  own.global("setTimeout", function setTimeout(run, delay, ...values) { return begin("setTimeout", false, run, delay, values); });
  own.global("setInterval", function setInterval(run, delay, ...values) { return begin("setInterval", true, run, delay, values); });
  own.global("setImmediate", function setImmediate(run, ...values) { return begin("setImmediate", false, run, 0, values); });
  own.global("clearTimeout", function clearTimeout(id) { end(id); });
  own.global("clearInterval", function clearInterval(id) { end(id); });
  own.global("clearImmediate", function clearImmediate(id) { end(id); });

  function next() {
    let first = null;
    for (const [id, timer] of timers) {
      if (first === null || timer.due < first[1].due || (timer.due === first[1].due && timer.order < first[1].order)) first = [id, timer];
    }
    return first;
  }

  // When the next timer is due, in the milliseconds of `host.now`; none: -1.
  own.due = () => next()?.[1].due ?? -1;

  // Runs the first timer that is due. What it throws is the run's error.
  own.fire = () => {
    const [id, timer] = next();
    if (timer.repeat === null) {
      timers.delete(id);
    } else {
      timer.due = Math.max(timer.due + timer.repeat, host.now());
      timer.order = ++order;
    }
    timer.run.apply(undefined, timer.values);
  };

  const rejected = new Map();
  own.rejection = (promise, reason, handled) => {
    if (handled) rejected.delete(promise);
    else rejected.set(promise, reason);
  };
  // The first rejection that nobody took, in a box; none: undefined.
  own.unhandled = () => {
    for (const reason of rejected.values()) return { reason };
    return undefined;
  };

  // Waits for a promise or takes a value: { state: "waiting" | "done" | "failed", value }. With `wrapped`, the value is that
  // of a script, which the engine puts into an object, and may be a promise in its turn.
  own.watch = (promise, wrapped) => {
    const watched = { state: "waiting", value: undefined };
    const outcome = (state) => (value) => { watched.state = state; watched.value = value; };
    const inner = wrapped ? Promise.resolve(promise).then((box) => box.value) : Promise.resolve(promise);
    inner.then(outcome("done"), outcome("failed"));
    return watched;
  };

  // A file with `main` may export it as it likes.
  own.module = () => {
    const module = { exports: {} };
    own.global("module", module);
    own.global("exports", module.exports);
    own.main = (named) => {
      const { exports } = module;
      const found = [named, exports?.main, exports?.default, exports?.default?.main, globalThis.exports?.main, globalThis.exports?.default, exports];
      return found.find((candidate) => typeof candidate === "function");
    };
  };
})
