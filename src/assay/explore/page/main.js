// The frame of the page: which view is shown (by the hash, so that every view can be linked to), language, colours, keys.

import { fill, h, own, state, t } from "./dom.js";
import { get } from "./net.js";
import { link, NAMES, place, REDRAW, trouble } from "./place.js";
import * as overview from "./overview.js";
import * as studies from "./studies.js";
import * as runs from "./runs.js";
import * as documents from "./documents.js";
import * as mixtures from "./mixtures.js";
import * as calibration from "./calibration.js";
import * as models from "./models.js";

const VIEWS = { overview, studies, runs, documents, mixtures, calibration, models };
const root = document.documentElement, main = document.getElementById("main");
let shown = null, stop = null, drawn = 0;

const draw = async () => {
  const here = place(), number = ++drawn, view = VIEWS[here.view];
  stop?.abort();
  stop = new AbortController();
  for (const item of document.querySelectorAll("#nav a")) {
    if (item.dataset.view === here.view) {
      item.setAttribute("aria-current", "page");
      item.scrollIntoView({ block: "nearest", inline: "center" });
    } else item.removeAttribute("aria-current");
  }
  main.className = view.wide ? "wide-page" : "";
  document.title = `${t("explore.nav." + here.view)} · assay`;
  if (shown !== here.view) {
    fill(main, h("p", { class: "loading" }, t("explore.loading")));
    scrollTo(0, 0);
  }
  shown = here.view;
  try {
    const made = await view.render(here, stop.signal);
    if (number === drawn) fill(main, made);
  } catch (error) {
    if (error.name === "AbortError" || number !== drawn) return;
    fill(main, trouble(error));
  }
};

const frame = () => {
  fill(document.getElementById("nav"), h("ul", {}, NAMES.map((name, i) =>
    h("li", {}, h("a", { href: link(name), "data-view": name, title: String(i + 1) }, t("explore.nav." + name))))));
  document.getElementById("nav").setAttribute("aria-label", t("explore.views"));
  document.getElementById("skip").textContent = t("explore.skip");
  document.getElementById("help-button").title = t("explore.help.title");
  document.getElementById("help-button").setAttribute("aria-label", t("explore.help.title"));
  for (const one of document.querySelectorAll("[data-tongue]")) one.setAttribute("aria-pressed", String(one.dataset.tongue === state.language));
  root.lang = state.language === "zh" ? "zh-CN" : "en";
  tint();
};

// Language and colours: what was chosen is kept by the browser.

const kept = (name) => {
  try {
    return localStorage.getItem("assay." + name);
  } catch {
    return null;
  }
};
const keep = (name, value) => {
  try {
    localStorage.setItem("assay." + name, value);
  } catch {
    // the choice lasts as long as the page
  }
};

const speak = (language) => {
  state.language = language;
  keep("language", language);
  frame();
  draw();
};

const THEMES = ["system", "light", "dark"], GLYPHS = { system: "◐", light: "☀", dark: "☾" };
const tint = () => {
  const chosen = THEMES.includes(kept("theme")) ? kept("theme") : "system";
  const dark = chosen === "dark" || (chosen === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = dark ? "dark" : "light";
  const button = document.getElementById("theme-button");
  button.textContent = GLYPHS[chosen];
  button.title = t("explore.theme." + chosen);
  button.setAttribute("aria-label", button.title);
};
const turn = () => {
  keep("theme", THEMES[(Math.max(0, THEMES.indexOf(kept("theme"))) + 1) % THEMES.length]);
  tint();
};

// Keys: / searches, j and k go through lists, numbers choose views, ? tells.

const KEYS = [["/", "search"], ["j k ↓ ↑", "list"], ["Enter", "open"], ["Esc", "close"], ["1 – 7", "views"], ["t", "theme"], ["l", "language"], ["?", "help"]];
const help = () => {
  const dialog = document.getElementById("help");
  fill(dialog, h("h2", {}, t("explore.help.title")),
    h("dl", { class: "keys" }, KEYS.map(([key, name]) => [h("dt", {}, key.split(" ").map((one) => (one === "–" ? " – " : h("kbd", {}, one)))), h("dd", {}, t("explore.help." + name))])),
    h("p", {}, t("explore.help.more")),
    h("form", { method: "dialog" }, h("button", { class: "button" }, t("explore.close"))));
  if (!dialog.open) dialog.showModal();
};

const typing = (element) => element.matches?.("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable]");
const step = (by) => {
  const items = [...main.querySelectorAll("[data-item]")].filter((one) => one.offsetParent !== null);
  if (!items.length) return;
  const now = items.findIndex((one) => one === document.activeElement || one.contains(document.activeElement));
  const next = items[Math.max(0, Math.min(items.length - 1, now < 0 ? (by > 0 ? 0 : items.length - 1) : now + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("help").open) return;
  const { target, key } = event;
  if (key === "Escape") {
    if (typing(target)) target.blur();
    else VIEWS[shown]?.close?.();
    return;
  }
  if (typing(target)) return;
  const listed = target.closest?.("[data-item]") !== null;
  if (key === "/") {
    const field = main.querySelector("[data-search]");
    if (!field) return;
    field.focus();
    field.select();
  } else if (key === "j" || (key === "ArrowDown" && listed)) step(1);
  else if (key === "k" || (key === "ArrowUp" && listed)) step(-1);
  else if (key === "?") help();
  else if (key === "t") turn();
  else if (key === "l") speak(state.language === "en" ? "zh" : "en");
  else if (/^[1-7]$/.test(key)) location.hash = link(NAMES[Number(key) - 1]);
  else return;
  event.preventDefault();
});

document.getElementById("help-button").addEventListener("click", help);
document.getElementById("theme-button").addEventListener("click", turn);
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
for (const one of document.querySelectorAll("[data-tongue]")) one.addEventListener("click", () => speak(one.dataset.tongue));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tint);
addEventListener("hashchange", draw);
addEventListener(REDRAW, draw);

try {
  const { language, words } = await get("/api/words");
  state.words = words;
  state.language = kept("language") in words ? kept("language") : language;
  frame();
  draw();
} catch (error) {
  fill(main, h("div", { class: "note warn", role: "alert" }, h("p", {}, own(error.message))));
}
