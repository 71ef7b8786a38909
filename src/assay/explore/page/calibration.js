// How often intervals held, over all studies of the folders; each prediction with what was measured.

import { badge, chooser, empty, estimate, fixed, h, has, percent, section, t } from "./dom.js";
import { get } from "./net.js";
import { figure, plot, whisker } from "./plot.js";
import { link } from "./place.js";

const LEVELS = ["0.5", "0.8", "0.9"];
const kind = (name) => (name === "" ? t("explore.calibration.together") : has("explore.calibration.kinds." + name) ? t("explore.calibration.kinds." + name) : name);

export const render = async (_, signal) => {
  const found = await get("/api/calibration", signal);
  const head = h("header", { class: "page flush" }, h("h1", {}, t("explore.nav.calibration")), h("p", { class: "meta" }, t("explore.calibration.lead")));
  const damaged = found.damaged.length ? h("p", { class: "note warn" }, t("explore.calibration.damaged", { names: found.damaged.join(", ") })) : null;
  if (!found.n) return [head, damaged, empty(t("explore.calibration.empty"), t("explore.calibration.empty_more"), "assay study my-texts/ --out study --budget 10m")];
  return [head, damaged, chart(found), table(found), predictions(found)];
};

const chart = (found) => {
  const kinds = [...new Set(found.table.map((row) => row.kind))], tones = ["dark", "accent", "warm", "t2", "t3"];
  const series = kinds.map((name, i) => ({ name: kind(name), tone: tones[i % tones.length], line: name === "", dodge: (i - (kinds.length - 1) / 2) * 9, points: found.table.filter((row) => row.kind === name).map((row) => ({ x: row.level, y: row.held, low: row.interval[0], high: row.interval[1], tip: `${kind(name)} · ${percent(row.level)}: ${percent(row.held)} (${row.n})` })) }));
  const ideal = { name: t("explore.calibration.ideal"), tone: "plain", mark: "none", line: true, dashed: true, points: [{ x: 0.4, y: 0.4 }, { x: 1, y: 1 }] };
  return figure(t("explore.calibration.title"), t("explore.calibration.about", { n: found.n }), plot({ x: { label: t("explore.calibration.stated"), form: (v) => percent(v), range: [0.4, 1] }, y: { label: t("explore.calibration.held"), form: (v) => percent(v), range: [0, 1.02] }, series: [ideal, ...series], label: t("explore.calibration.title"), height: 360 }), [...series, ideal].map((one) => [one.tone, one.name]));
};

const table = (found) => {
  const kinds = [...new Set(found.table.map((row) => row.kind))];
  return section(t("explore.calibration.table"), h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t("explore.calibration.of")), h("th", { class: "n" }, t("explore.calibration.n")), LEVELS.map((level) => h("th", { class: "n" }, t("explore.calibration.at", { level: percent(Number(level)) }))))),
    h("tbody", {}, kinds.map((name) => {
      const rows = found.table.filter((row) => row.kind === name);
      return h("tr", {}, h("th", { scope: "row" }, kind(name)), h("td", { class: "n" }, String(rows[0]?.n ?? 0)), LEVELS.map((level) => {
        const row = rows.find((one) => String(one.level) === level);
        return h("td", { class: "n" }, row ? percent(row.held) : "–", row ? h("small", {}, `[${percent(row.interval[0])}, ${percent(row.interval[1])}]`) : null);
      }));
    })))), h("p", { class: "soft small" }, t("explore.calibration.shared")));
};

const predictions = (found) => {
  const SHOWN = 60, body = h("tbody", {}), wanted = { kind: "", held: "" }, count = h("span", { class: "soft" });
  const draw = () => {
    const some = found.predictions.filter((one) => (!wanted.kind || one.kind === wanted.kind) && (!wanted.held || (one.held["0.9"] === true) === (wanted.held === "hit")));
    count.textContent = t("explore.studies.shown", { n: Math.min(SHOWN, some.length), of: some.length });
    body.replaceChildren(...some.slice(0, SHOWN).map((one) => {
      const [, low, high] = one.bands.at(-1), ends = [low, high, one.measured], room = 0.15 * (Math.max(...ends) - Math.min(...ends) || 1), told = estimate(one.predicted, [low, high]);
      return h("tr", {}, h("th", { scope: "row" }, h("a", { href: link("studies", one.study), "data-item": true }, one.name), h("small", { class: "soft" }, one.claim)), h("td", {}, kind(one.kind)),
        h("td", {}, h("span", { class: "told-strip" }, whisker(low, high, one.measured, one.predicted, [Math.min(...ends) - room, Math.max(...ends) + room]), h("small", {}, `${told.value} ${told.interval}`))), h("td", { class: "n" }, fixed(one.measured, 3)), h("td", {}, badge(one.held["0.9"] === null ? "untested" : one.held["0.9"] ? "hit" : "miss")));
    }));
  };
  draw();
  const set = (name) => (value) => {
    wanted[name] = value;
    draw();
  };
  return section(t("explore.calibration.predictions"), h("div", { class: "tools" }, chooser(t("explore.studies.kind"), [["", t("explore.all")], ...[...new Set(found.predictions.map((one) => one.kind))].map((name) => [name, kind(name)])], "", set("kind")), chooser(t("explore.studies.outcome"), [["", t("explore.all")], ["hit", t("verdict.hit")], ["miss", t("verdict.miss")]], "", set("held")), count),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t("explore.studies.about")), h("th", {}, t("explore.studies.kind")), h("th", {}, t("explore.studies.predicted")), h("th", { class: "n" }, t("explore.studies.measured")), h("th", {}, t("explore.studies.outcome")))), body)));
};
