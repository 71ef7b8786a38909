// Plots as plain SVG, as the reports have them: points with intervals, lines, bands, on linear or logarithmic axes.

import { h, s, short } from "./dom.js";

const TOP = 14, RIGHT = 16;

const nice = (span, most) => {
  const rough = span / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((step) => step * power >= rough);
};

const linear = (low, high, most) => {
  const step = nice(high - low, most), found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return found;
};

const logarithmic = (low, high, most) => {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of high / low > 10 ** most ? [1] : high / low > 30 ? [1, 3] : [1, 2, 3, 5, 7]) found.push(step * 10 ** power);
  }
  const inside = found.filter((x) => x >= low * 0.999 && x <= high * 1.001);
  return inside.length > 2 * most ? inside.filter((_, i) => i % Math.ceil(inside.length / most) === 0) : inside;
};

const scale = (low, high, start, end, log) => {
  const f = log ? Math.log : (x) => x;
  const a = f(low), b = f(high);
  return (x) => start + ((f(x) - a) / (b - a || 1)) * (end - start);
};

const extent = (values, log, room) => {
  const kept = values.filter((x) => Number.isFinite(x) && (!log || x > 0));
  if (!kept.length) return [log ? 1 : 0, log ? 10 : 1];
  let low = Math.min(...kept), high = Math.max(...kept);
  if (low === high) return log ? [low / 2, high * 2] : [low - (Math.abs(low) || 1) * 0.5, high + (Math.abs(high) || 1) * 0.5];
  const more = (high - low) * room;
  return log ? [low, high] : [low - more, high + more];
};

/**
 * A drawing. `series`: {name, tone, points: [{x, y, low, high, tip}], line, mark}; `bands`: {tone, points: [[x, low, high]]}.
 * A pointer over it reads the nearest point of every line.
 */
export const plot = ({ x, y, series, bands = [], baseline, label, width = 900, height = 380 }) => {
  const wide = Math.max(300, Math.min(width, document.getElementById("main").clientWidth - 8 || width));
  const xs = [...series.flatMap((one) => one.points.map((p) => p.x)), ...bands.flatMap((one) => one.points.map((p) => p[0]))];
  const ys = [...series.flatMap((one) => one.points.flatMap((p) => [p.y, p.low ?? p.y, p.high ?? p.y])), ...bands.flatMap((one) => one.points.flatMap((p) => [p[1], p[2]]))];
  if (baseline !== undefined) ys.push(baseline);
  const [x0, x1] = x.range ?? extent(xs, x.log, 0.02), [y0, y1] = y.range ?? extent(ys, y.log, 0.06);
  const write = (axis) => axis.form ?? short;
  const yTicks = (y.log ? logarithmic : linear)(y0, y1, Math.max(3, height / 60));
  const left = 34 + 7 * Math.max(...yTicks.map((v) => write(y)(v).length), 1), bottom = height - 46;
  const fx = scale(x0, x1, left, wide - RIGHT, x.log), fy = scale(y0, y1, bottom, TOP, y.log);
  const xTicks = (x.log ? logarithmic : linear)(x0, x1, Math.max(3, (wide - left) / 80));
  const body = [
    yTicks.map((v) => [
      s("line", { class: "grid", x1: left, x2: wide - RIGHT, y1: fy(v), y2: fy(v) }),
      s("text", { class: "tick", x: left - 8, y: fy(v) + 4, "text-anchor": "end" }, write(y)(v)),
    ]),
    xTicks.map((v) => [
      s("line", { class: "notch", x1: fx(v), x2: fx(v), y1: bottom, y2: bottom + 5 }),
      s("text", { class: "tick", x: fx(v), y: bottom + 18, "text-anchor": "middle" }, write(x)(v)),
    ]),
    s("line", { class: "axis", x1: left, x2: wide - RIGHT, y1: bottom, y2: bottom }),
    s("text", { class: "name", x: (left + wide - RIGHT) / 2, y: height - 6, "text-anchor": "middle" }, x.label),
    s("text", { class: "name", x: 13, y: (TOP + bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 13 ${(TOP + bottom) / 2})` }, y.label),
    baseline === undefined ? null : s("line", { class: "baseline", x1: left, x2: wide - RIGHT, y1: fy(baseline), y2: fy(baseline) }),
    bands.map((one) => {
      const there = one.points.map((p) => `${fx(p[0])},${fy(p[2])}`), back = one.points.map((p) => `${fx(p[0])},${fy(p[1])}`).reverse();
      return s("polygon", { class: `band ${one.tone}`, points: [...there, ...back].join(" ") });
    }),
    series.map((one) => s("g", { class: one.tone }, drawn(one, fx, fy, x.log))),
  ];
  const svg = s("svg", { class: "drawing", viewBox: `0 0 ${wide} ${height}`, width: wide, height, role: "img", "aria-label": label }, body);
  const lines = series.filter((one) => one.line && one.points.length > 1);
  return lines.length ? readable(svg, lines, { fx, fy, x, y, left, right: wide - RIGHT, bottom, write }) : svg;
};

const drawn = (one, fx, fy, log) => {
  const points = one.points.filter((p) => Number.isFinite(p.y) && (!log || p.x > 0));
  const parts = [];
  if (one.line && points.length > 1) {
    parts.push(s("polyline", { class: one.dashed ? "curve dashed" : "curve", points: points.map((p) => `${fx(p.x).toFixed(1)},${fy(p.y).toFixed(1)}`).join(" ") }));
  }
  if (one.mark === "none") return parts;
  for (const p of points) {
    const px = fx(p.x) + (one.dodge ?? 0), py = fy(p.y);
    const whisker = p.low === undefined ? null : s("path", { class: "whisker", d: `M${px - 3} ${fy(p.high)}h6M${px - 3} ${fy(p.low)}h6M${px} ${fy(p.high)}V${fy(p.low)}` });
    const mark = one.mark === "diamond"
      ? s("path", { class: p.hollow ? "open" : "fill", d: `M${px} ${py - 6}l6 6-6 6-6-6z` })
      : s("circle", { class: p.hollow ? "open" : "fill", cx: px, cy: py, r: 4 });
    parts.push(s("g", { class: "point" }, p.tip ? s("title", {}, p.tip) : null, whisker, mark));
  }
  return parts;
};

const readable = (svg, lines, { fx, fy, x, y, left, right, bottom, write }) => {
  const rule = s("line", { class: "cross", y1: TOP, y2: bottom, visibility: "hidden" });
  const said = h("div", { class: "reading", "aria-hidden": "true" });
  svg.append(rule);
  svg.addEventListener("pointerleave", () => {
    rule.setAttribute("visibility", "hidden");
    said.replaceChildren();
  });
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    if (at < left || at > right) return;
    const found = lines.map((one) => [one, one.points.reduce((best, p) => (Math.abs(fx(p.x) - at) < Math.abs(fx(best.x) - at) ? p : best))]);
    const px = fx(found[0][1].x);
    for (const [name, value] of [["x1", px], ["x2", px], ["visibility", "visible"]]) rule.setAttribute(name, value);
    said.replaceChildren(h("b", {}, write(x)(found[0][1].x)), ...found.map(([one, p]) =>
      h("span", { class: one.tone }, "● ", h("i", {}, one.name ?? "", " ", short(p.y)))));
  });
  return h("div", { class: "readable" }, svg, said);
};

export const figure = (title, about, drawing, keys) =>
  h("figure", { class: "plot" }, h("figcaption", {}, h("span", { class: "title" }, title), about ? h("span", { class: "about" }, about) : null), drawing,
    keys?.length ? h("ul", { class: "legend" }, keys.map(([tone, text]) => h("li", {}, s("svg", { class: tone, viewBox: "0 0 28 14", width: 28, height: 14, "aria-hidden": "true" }, s("line", { class: "curve", x1: 2, y1: 7, x2: 26, y2: 7 })), text))) : null);

/** A value with its interval on a common scale, and where it was before. */
export const whisker = (low, high, value, before, [least, most]) => {
  const f = scale(least, most, 6, 214, false);
  return s("svg", { class: "strip long", viewBox: "0 0 220 22", width: 220, height: 22, "aria-hidden": "true" },
    s("line", { class: "rail", x1: 2, x2: 218, y1: 11, y2: 11 }),
    s("rect", { class: "reach", x: Math.min(f(low), f(high)), y: 5, width: Math.max(2, Math.abs(f(high) - f(low))), height: 12, rx: 2 }),
    before === undefined ? null : s("line", { class: "before", x1: f(before), x2: f(before), y1: 2, y2: 20 }),
    s("circle", { class: "dot", cx: f(value), cy: 11, r: 5 }));
};
