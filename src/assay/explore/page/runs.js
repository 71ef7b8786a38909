// Trainings and fine-tunings side by side: curves, how they ended, in what their recipes differ.

import { chooser, empty, estimate, fixed, h, section, short, t } from "./dom.js";
import { get, of } from "./net.js";
import { figure, plot } from "./plot.js";
import { at, link } from "./place.js";

const MOST = 12;

export const render = async ({ query }, signal) => {
  const all = (await of("training", "finetuning")).filter((one) => !one.damaged);
  if (!all.length) return empty(t("explore.runs.empty"), t("explore.runs.empty_more"), "assay train gpt my-texts/ --out run", "assay finetune sentiment reviews --out sentiment");
  const asked = (query.get("ids") ?? "").split(",").filter((id) => all.some((one) => one.id === id)).slice(0, MOST);
  const ids = asked.length ? asked : [all[0].id];
  const found = await get(`/api/runs?${ids.map((id) => "ids=" + encodeURIComponent(id)).join("&")}`, signal);
  const go = (chosen) => (location.hash = link("runs", "", { ids: chosen.join(","), curve: query.get("curve"), log: query.get("log") }));
  return [
    h("header", { class: "page flush" }, h("h1", {}, t("explore.nav.runs")), h("p", { class: "meta" }, t("explore.runs.lead", { n: MOST }))),
    h("div", { class: "split" }, chosenList(all, ids, go), h("div", { class: "split-main" }, curves(found, ids, query), scores(found), differences(found))),
  ];
};

const chosenList = (all, ids, go) => {
  const list = h("ul", { class: "checks" }, all.map((one) => h("li", { "data-name": one.name.toLowerCase() }, h("label", { title: one.name },
    h("input", { type: "checkbox", "data-item": true, checked: ids.includes(one.id), onchange: (event) => {
      const next = event.target.checked ? [...ids, one.id] : ids.filter((id) => id !== one.id);
      if (next.length && next.length <= MOST) go(next);
      else event.target.checked = !event.target.checked;
    } }), ids.includes(one.id) ? h("span", { class: `t${ids.indexOf(one.id)}`, "aria-hidden": "true" }, "● ") : null, h("span", {}, one.name), one.finished ? null : h("small", { class: "soft" }, " ", t("explore.overview.unfinished"))))));
  return h("aside", { class: "side" }, h("input", { type: "search", class: "search", "data-search": true, placeholder: t("explore.runs.search"), "aria-label": t("explore.runs.search"), oninput: (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const item of list.children) item.hidden = !item.dataset.name.includes(wanted);
  } }), list);
};

const curves = (found, ids, query) => {
  const names = [...new Set(found.runs.flatMap((one) => Object.keys(one.curves)))];
  if (!names.length) return empty(t("explore.runs.no_curves"), t("explore.runs.no_curves_more"));
  const usual = ["eval: bits_per_byte", "dev: loss", "eval: loss", "training: loss"].find((name) => found.runs.every((one) => (one.curves[name]?.length ?? 0) > 1)) ?? names.find((name) => (found.runs[0].curves[name]?.length ?? 0) > 1) ?? names[0];
  const now = { curve: names.includes(query.get("curve")) ? query.get("curve") : usual, log: query.get("log") === "1" };
  const holder = h("div", {});
  const draw = () => {
    const series = found.runs.map((one, i) => ({ name: one.name, tone: `t${i}`, line: true, mark: (one.curves[now.curve]?.length ?? 0) > 40 ? "none" : "dot", points: (one.curves[now.curve] ?? []).map(([x, y]) => ({ x, y, tip: `${one.name} · ${short(x)}: ${short(y)}` })) }));
    const lacking = series.filter((one) => !one.points.length).map((one) => one.name);
    holder.replaceChildren(figure(now.curve, lacking.length ? t("explore.runs.lacking", { names: lacking.join(", ") }) : "", plot({ width: holder.clientWidth || 760, x: { label: t("explore.axis.step"), log: now.log }, y: { label: now.curve }, series: series.filter((one) => one.points.length), label: now.curve }), series.map((one) => [one.tone, one.name])));
    at("runs", "", { ids: ids.join(","), curve: now.curve === usual ? "" : now.curve, log: now.log ? "1" : "" });
  };
  setTimeout(draw);
  return [h("div", { class: "tools" }, chooser(t("explore.runs.curve"), names.map((name) => [name, name]), now.curve, (name) => {
    now.curve = name;
    draw();
  }), h("label", { class: "field row" }, h("input", { type: "checkbox", checked: now.log, onchange: (event) => {
    now.log = event.target.checked;
    draw();
  } }), t("explore.runs.log"))), holder];
};

const scores = (found) => {
  const parts = [...new Set(found.runs.flatMap((one) => Object.keys(one.scores)))].filter((part) => part !== "" || found.runs.some((one) => Object.keys(one.scores).length === 1));
  if (!parts.length) return null;
  const MOST_MEASURES = 8;
  return section(t("explore.runs.scores"), h("p", { class: "lead" }, t("explore.runs.scores_lead")), parts.map((part) => {
    const measures = [...new Set(found.runs.flatMap((one) => Object.keys(one.scores[part] ?? {})))].slice(0, MOST_MEASURES);
    return [h("h3", {}, part || "test"), h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t("explore.runs.run")), measures.map((name) => h("th", { class: "n" }, name)))),
      h("tbody", {}, found.runs.map((one, i) => h("tr", {}, h("th", { scope: "row" }, h("span", { class: `t${i}`, "aria-hidden": "true" }, "● "), one.name), measures.map((name) => {
        const score = one.scores[part]?.[name];
        if (!score) return h("td", { class: "n" }, "–");
        if (!score.interval) return h("td", { class: "n" }, fixed(score.value, 3));
        const told = estimate(score.value, score.interval);
        return h("td", { class: "n" }, told.value, h("small", {}, told.interval));
      }))))))];
  }));
};

const shown = (value) => (value === null || value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value));

const differences = (found) => {
  if (found.runs.length < 2) {
    const [one] = found.runs;
    return section(t("explore.runs.recipe"), one.command ? h("pre", { class: "do" }, h("code", {}, one.command)) : null, h("details", {}, h("summary", {}, t("explore.runs.all_keys")), h("div", { class: "scroll" }, h("table", { class: "keys-table" }, h("tbody", {}, Object.entries(one.recipe).map(([key, value]) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, key)), h("td", {}, h("code", {}, shown(value))))))))));
  }
  return section(t("explore.runs.differences"), found.different.length ? h("div", { class: "scroll" }, h("table", { class: "keys-table" }, h("thead", {}, h("tr", {}, h("th", {}), found.runs.map((one, i) => h("th", {}, h("span", { class: `t${i}`, "aria-hidden": "true" }, "● "), one.name)))),
    h("tbody", {}, found.different.map((row) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, row.key)), row.values.map((value) => h("td", {}, h("code", {}, shown(value))))))))) : h("p", { class: "soft" }, t("explore.runs.same")));
};
