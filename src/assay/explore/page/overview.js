// What lies in the folders: works and models by kind, each leading to its view.

import { empty, h, moment, own, t } from "./dom.js";
import { entries } from "./net.js";
import { link, refresh } from "./place.js";

const PLACES = {
  study: (one) => link("studies", one.id), labels: (one) => link("studies", one.id), corpus: (one) => link("documents", one.id),
  training: (one) => link("runs", "", { ids: one.id }), finetuning: (one) => link("runs", "", { ids: one.id }), model: (one) => link("models", one.id),
};

export const render = async () => {
  const { entries: all, roots, version } = await entries();
  const header = h("header", { class: "page flush" },
    h("p", { class: "eyebrow" }, roots.join(" · ")), h("h1", {}, t("explore.overview.title")),
    h("p", { class: "meta" }, t("explore.overview.found", { n: all.length }), " · assay ", version));
  if (!all.length) {
    return [header, empty(t("explore.overview.empty"), t("explore.overview.empty_more"), "assay study --out study --budget 10m", "assay corpus scan my-texts/ --out corpus", "assay explore ."), again()];
  }
  const groups = [...new Set(Object.keys(PLACES))].map((kind) => [kind, all.filter((one) => one.kind === kind)]).filter(([, some]) => some.length);
  const narrow = (text) => {
    const wanted = text.trim().toLowerCase();
    for (const item of document.querySelectorAll("[data-name]")) item.hidden = !item.dataset.name.includes(wanted);
    for (const group of document.querySelectorAll("[data-group]")) group.hidden = !group.querySelector("[data-name]:not([hidden])");
  };
  return [
    header,
    h("div", { class: "tools" },
      h("input", { type: "search", class: "search", "data-search": true, placeholder: t("explore.overview.search"), "aria-label": t("explore.overview.search"), oninput: (event) => narrow(event.target.value) }),
      again()),
    groups.map(([kind, some]) =>
      h("section", { "data-group": kind }, h("h2", {}, t("explore.overview.kinds." + kind), " ", h("small", { class: "soft" }, String(some.length))),
        h("ul", { class: kind === "study" || kind === "labels" ? "cards" : "entries" }, some.map((one) => item(one))))),
  ];
};

const again = () => h("button", { type: "button", class: "button", onclick: refresh }, t("explore.overview.refresh"));

const item = (one) => {
  const told = one.summary ?? {}, does = one.does ? t("explore.overview.does", { task: one.does }) : "";
  const place = one.damaged ? null : PLACES[one.kind](one);
  const state = one.damaged ? h("span", { class: "badge miss" }, h("span", { class: "sign" }, "✕"), t("explore.overview.damaged", { file: one.damaged }))
    : one.finished ? null : h("span", { class: "badge unknown" }, t("explore.overview.unfinished"));
  const work = one.kind === "corpus" && one.work !== "corpus" ? t("explore.work." + one.work) : "";
  return h("li", { "data-name": `${one.name} ${one.does} ${one.work}`.toLowerCase() },
    h(place ? "a" : "div", { class: "entry", href: place, "data-item": place ? true : undefined },
      h("b", { class: "entry-name" }, one.name), state,
      told.headlines?.length ? h("span", { class: "says" }, own(told.headlines[0])) : null,
      h("span", { class: "soft small" }, [work, does,
        told.claims !== undefined ? t("explore.overview.claims", { n: told.claims, supported: told.supported }) : "",
        told.tested ? t("explore.overview.tested", { n: told.tested, hits: told.hits }) : "", moment(one.changed)].filter(Boolean).join(" · "))));
};
