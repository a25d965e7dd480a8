// `console`: each call is a line of the run's output.
(function (host, own) {
  "use strict";
  const counts = new Map();
  const timers = new Map();
  let indent = "";

  function line(prefix, text) {
    host.print((prefix + (indent === "" ? text : indent + text.replaceAll("\n", "\n" + indent))).toWellFormed());
  }
  const printer = (prefix) => (...values) => line(prefix, own.format(values));

  function cells(data, columns) {
    const entries = data instanceof Map ? [...data.entries()] : data instanceof Set ? [...data].map((item, i) => [i, item]) : Object.entries(data);
    const heads = [];
    const rows = entries.map(([index, row]) => {
      const cell = { index: String(index) };
      if (row !== null && typeof row === "object") {
        for (const key of columns ?? Object.keys(row)) {
          if (!heads.includes(key)) heads.push(key);
          if (key in row) cell[`:${key}`] = own.inspect(row[key], { depth: 0 });
        }
      } else {
        cell.value = own.inspect(row);
      }
      return cell;
    });
    const withValues = rows.some((row) => row.value !== undefined);
    const header = ["(index)", ...heads.map(String), ...(withValues ? ["Values"] : [])];
    return [header, ...rows.map((row) => [row.index, ...heads.map((key) => row[`:${key}`] ?? ""), ...(withValues ? [row.value ?? ""] : [])])];
  }

  function table(data, columns) {
    if (data === null || typeof data !== "object") return line("", own.format([data]));
    const rows = cells(data, columns);
    const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)) + 2);
    const rule = (left, middle, right) => left + widths.map((width) => "─".repeat(width)).join(middle) + right;
    const text = (row) => "│" + row.map((cell, i) => ` ${cell}`.padEnd(widths[i])).join("│") + "│";
    line("", [rule("┌", "┬", "┐"), text(rows[0]), rule("├", "┼", "┤"), ...rows.slice(1).map(text), rule("└", "┴", "┘")].join("\n"));
  }

  function elapsed(label, extra) {
    const begun = timers.get(label);
    if (begun === undefined) return line("[warn] ", `No such label '${label}'`);
    const ms = host.now() - begun;
    const text = ms >= 1000 ? `${(ms / 1000).toFixed(3)}s` : `${ms.toFixed(3)}ms`;
    line("", [`${label}: ${text}`, ...extra.map((value) => own.format([value]))].join(" "));
  }

  const console = {
    log: printer(""),
    info: printer(""),
    warn: printer("[warn] "),
    error: printer("[error] "),
    debug: printer("[debug] "),
    trace: (...values) => line("[error] ", own.format(["Trace:", ...values])),
    dir: (value, options) => line("", own.inspect(value, options)),
    dirxml: printer(""),
    table,
    assert: (condition, ...values) => {
      if (!condition) line("[error] ", values.length === 0 ? "Assertion failed" : `Assertion failed: ${own.format(values)}`);
    },
    count: (label = "default") => {
      counts.set(`${label}`, (counts.get(`${label}`) ?? 0) + 1);
      line("", `${label}: ${counts.get(`${label}`)}`);
    },
    countReset: (label = "default") => { counts.delete(`${label}`); },
    time: (label = "default") => { timers.set(`${label}`, host.now()); },
    timeLog: (label = "default", ...extra) => elapsed(`${label}`, extra),
    timeEnd: (label = "default", ...extra) => { elapsed(`${label}`, extra); timers.delete(`${label}`); },
    group: (...values) => { if (values.length > 0) line("", own.format(values)); indent += "  "; },
    groupEnd: () => { indent = indent.slice(2); },
    clear: () => {},
  };
  console.groupCollapsed = console.group;
  own.global("console", console);
})
