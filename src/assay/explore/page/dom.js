// Elements, words and numbers: what every view is written with.

const SVG = "http://www.w3.org/2000/svg";
export const state = { language: "en", words: {} };

const made = (element, props, children) => {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else if (name === "value" || name === "checked" || name === "indeterminate") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) element.append(child);
  }
  return element;
};

export const h = (tag, props, ...children) => made(document.createElement(tag), props, children);
export const s = (tag, props, ...children) => made(document.createElementNS(SVG, tag), props, children);
export const fill = (element, ...children) => made((element.replaceChildren(), element), {}, children);

/** The words of a key in the page's language; an entry of two forms is chosen by `n`. */
export const t = (key, values = {}) => {
  const entry = state.words[state.language]?.[key];
  if (entry === undefined) return key;
  const text = typeof entry === "string" ? entry : entry[values.n === 1 || values.n === "1" ? "one" : "other"];
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
};
export const has = (key) => key in (state.words[state.language] ?? {});
/** A text that came in both languages. */
export const own = (text) => (typeof text === "string" ? text : text?.[state.language] ?? "");

const minus = (text) => text.replace("-", "−");
export const fixed = (value, digits) => {
  if (value === null || value === undefined) return "–";
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : minus(text);
};
export const whole = (value) => (value ?? 0).toLocaleString("en-US");
export const percent = (share, digits = 0) => (share === null || share === undefined ? "–" : minus((100 * share).toFixed(digits)) + "%");

/** Three significant digits, with K, M, G where there are many. */
export const short = (value) => {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  for (const [unit, scale] of [["G", 1e9], ["M", 1e6], ["K", 1e3]]) {
    if (size >= scale) return minus(String(Number((value / scale).toPrecision(3)))) + unit;
  }
  if (size !== 0 && size < 1e-3) return minus(value.toExponential(1));
  return minus(String(Number(value.toPrecision(3))));
};

/** Decimals that an interval deserves: two digits of its half width. */
export const digits = (low, high) => {
  const half = Math.abs(high - low) / 2;
  if (!(half > 0)) return 3;
  return Math.max(0, Math.min(6, 1 - Math.floor(Math.log10(half))));
};
export const estimate = (value, [low, high], signed = false) => {
  const places = digits(low, high);
  const one = (x) => (signed && x > 0 && Number(x.toFixed(places)) !== 0 ? "+" : "") + fixed(x, places);
  return { value: one(value), interval: `[${one(low)}, ${one(high)}]` };
};
export const bytes = (n) => {
  for (const [unit, scale] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) if (n >= scale) return `${Number((n / scale).toPrecision(3))} ${unit}`;
  return `${n} B`;
};
export const moment = (seconds) => {
  const at = new Date(seconds * 1000);
  const two = (x) => String(x).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
};

const SIGNS = {
  supported: ["strong", "✓"], indistinguishable: ["quiet", "≈"], "not identifiable": ["unknown", "?"],
  hit: ["hit", "✓"], miss: ["miss", "✕"], untested: ["unknown", "…"],
};
export const badge = (verdict) => {
  const [tone, sign] = SIGNS[verdict] ?? ["quiet", "·"];
  return h("span", { class: `badge ${tone}` }, h("span", { class: "sign", "aria-hidden": "true" }, sign), t("verdict." + verdict));
};
export const tile = (label, value, more) =>
  h("div", { class: "tile" }, h("dt", {}, label), h("dd", {}, h("b", {}, value), more ? h("small", {}, more) : null));

/** A choice among entries; the label is for those who do not see. */
export const chooser = (label, options, value, change, props = {}) =>
  h("label", { class: "field" }, h("span", {}, label),
    h("select", { ...props, onchange: (event) => change(event.target.value) },
      options.map(([key, text]) => h("option", { value: key, selected: String(key) === String(value) }, text))));

/** An empty state: what is missing and what to do. */
export const empty = (title, text, ...commands) =>
  h("div", { class: "empty" }, h("h2", {}, title), text ? h("p", {}, text) : null,
    commands.map((command) => h("pre", { class: "do" }, h("code", {}, command))));

export const section = (title, ...children) => h("section", {}, h("h2", {}, title), children);

/** Waits until calls have stopped for a moment. */
export const later = (wait, call) => {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), wait);
  };
};
