// Sliders over the sources of a study: what another mixture would do to each source's text.

import { chooser, empty, estimate, fixed, h, later, percent, t } from "./dom.js";
import { get, of, post } from "./net.js";
import { whisker } from "./plot.js";
import { at, link, trouble } from "./place.js";

export const render = async ({ ident, query }, signal) => {
  const all = (await of("study")).filter((one) => !one.damaged && one.finished);
  if (!all.length) return empty(t("explore.mixtures.empty"), t("explore.mixtures.empty_more"), "assay study my-texts/ --out study --budget 10m");
  let chosen = all.find((one) => one.id === ident), found = null, said = null;
  for (const one of chosen ? [chosen] : all) {
    try {
      found = await get(`/api/mixtures/${one.id}`, signal);
      chosen = one;
      break;
    } catch (error) {
      if (error.name === "AbortError") throw error;
      said ??= error;
    }
  }
  chosen ??= all[0];
  const picker = chooser(t("explore.studies.study"), all.map((one) => [one.id, one.name]), chosen.id, (id) => (location.hash = link("mixtures", id)));
  const head = h("header", { class: "page flush" }, h("h1", {}, t("explore.nav.mixtures")), h("p", { class: "meta" }, t("explore.mixtures.lead")));
  if (!found) return [head, h("div", { class: "tools" }, picker), trouble(said)];
  return [head, h("div", { class: "tools" }, picker, ...sliders(found, chosen.id, query))];
};

const sliders = (found, ident, query) => {
  const { sources, natural } = found, even = Object.fromEntries(sources.map((name) => [name, 1 / sources.length]));
  let shares = { ...natural };
  const asked = (query.get("x") ?? "").split(",").map(Number);
  if (asked.length === sources.length && asked.every((x) => x >= 0) && asked.some((x) => x > 0)) {
    const sum = asked.reduce((a, b) => a + b);
    shares = Object.fromEntries(sources.map((name, i) => [name, asked[i] / sum]));
  }
  const inputs = {}, outputs = {}, marks = {};
  const list = h("div", { class: "sliders", role: "group", "aria-label": t("explore.mixtures.shares") }, sources.map((name) => {
    inputs[name] = h("input", { type: "range", min: "0", max: "1", step: "0.001", "aria-label": name, "data-item": true, oninput: (event) => move(name, Number(event.target.value)) });
    outputs[name] = h("output", {});
    marks[name] = h("span", { class: "soft small" });
    const [low, high] = found.trained[name];
    return h("div", { class: "slider" }, h("span", { class: "slider-name" }, name), h("span", { class: "track" }, h("i", { class: "trained", style: { "--at": low, "--wide": high - low } }), h("i", { class: "natural", style: { "--at": natural[name] } }), inputs[name]), outputs[name], marks[name]);
  }));
  const table = h("div", { class: "predicted", "aria-live": "polite" }), note = h("div", {});
  const show = () => {
    for (const name of sources) {
      inputs[name].value = shares[name];
      inputs[name].setAttribute("aria-valuetext", percent(shares[name], 1));
      outputs[name].textContent = percent(shares[name], 1);
      const ratio = natural[name] ? shares[name] / natural[name] : 0;
      marks[name].textContent = `× ${fixed(ratio, 2)}`;
    }
  };
  const move = (name, value) => {
    const rest = sources.filter((one) => one !== name), sum = rest.reduce((all, one) => all + shares[one], 0);
    for (const one of rest) shares[one] = sum > 1e-9 ? (shares[one] / sum) * (1 - value) : (1 - value) * (natural[one] / rest.reduce((all, other) => all + natural[other], 0));
    shares[name] = value;
    show();
    ask();
  };
  let newest = 0;
  const predict = async () => {
    const number = ++newest;
    try {
      const answer = await post(`/api/mixtures/${ident}`, { shares });
      if (number !== newest) return;
      table.replaceChildren(predicted(answer, found));
      note.replaceChildren(answer.beyond.length ? h("p", { class: "note warn" }, t("explore.mixtures.beyond", { names: answer.beyond.join(", ") })) : "");
      at("mixtures", ident, { x: sources.map((name) => shares[name].toFixed(4)).join(",") });
    } catch (error) {
      table.replaceChildren(trouble(error));
    }
  };
  const ask = later(40, predict);
  const set = (chosen) => () => {
    shares = { ...chosen };
    show();
    predict();
  };
  show();
  setTimeout(predict);
  return [
    h("button", { type: "button", class: "button", onclick: set(natural) }, t("explore.mixtures.natural")),
    h("button", { type: "button", class: "button", onclick: set(even) }, t("explore.mixtures.even")),
    h("div", { class: "break" }), h("div", { class: "mixing" }, h("div", {}, h("h2", {}, t("explore.mixtures.shares")), list, h("p", { class: "soft small" }, t("explore.mixtures.key")), note), h("div", {}, h("h2", {}, t("explore.mixtures.predicted")), table, h("p", { class: "soft small" }, t("explore.mixtures.about", { level: percent(found.level) })))),
  ];
};

const predicted = ({ rows }) => {
  const ends = rows.flatMap((row) => row.change), room = 0.05 * (Math.max(...ends, 0) - Math.min(...ends, 0) || 1);
  const range = [Math.min(...ends, 0) - room, Math.max(...ends, 0) + room];
  return h("table", { class: "tight" }, h("thead", {}, h("tr", {}, h("th", {}, t("explore.mixtures.text")), h("th", {}, t("explore.mixtures.change")), h("th", { class: "n" }, t("explore.mixtures.loss")))), h("tbody", {}, rows.map((row) => {
    const [change, low, high] = row.change, told = estimate(change, [low, high], true), loss = estimate(row.loss[0], row.loss.slice(1));
    const tone = high < 0 ? "better" : low > 0 ? "worse" : "same";
    return h("tr", { class: row.target === "" ? "mean" : "" }, h("th", { scope: "row" }, row.target === "" ? t("explore.mean") : row.target),
      h("td", {}, h("span", { class: `told-strip ${tone}` }, whisker(low, high, change, 0, range), h("small", {}, `${told.value} ${told.interval}`))), h("td", { class: "n" }, loss.value, h("small", {}, loss.interval)));
  })));
};
