// A model: writing token by token, answers of tasks with spans, attention by layer and head, which tokens matter.

import { chooser, empty, fixed, h, later, percent, short, t, whole } from "./dom.js";
import { get, lines, of, post } from "./net.js";
import { at, link, place, trouble } from "./place.js";

const TABS = ["write", "answer", "attention", "matter"];
const EXAMPLES = { en: "The weather today is", zh: "今天的天气" };
let writing = null;
/** Esc: writing stops. */
export const close = () => writing?.abort();

export const render = async ({ ident, query }, signal) => {
  const all = (await of("model")).filter((one) => !one.damaged);
  if (!all.length) return empty(t("explore.models.empty"), t("explore.models.empty_more"), "assay train gpt my-texts/ --out run", "assay finetune sentiment reviews --out sentiment");
  const chosen = all.find((one) => one.id === ident) ?? all[0];
  const picker = chooser(t("explore.models.model"), all.map((one) => [one.id, one.does ? `${one.name} · ${one.does}` : one.name]), chosen.id, (id) => (location.hash = link("models", id)));
  const head = h("header", { class: "page flush" }, h("h1", {}, t("explore.nav.models")));
  let about = null;
  try {
    about = await get(`/api/models/${chosen.id}`, signal);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return [head, h("div", { class: "tools" }, picker), trouble(error)];
  }
  const tabs = TABS.filter((name) => (name === "write" ? about.writes : name === "answer" ? !about.writes : name === "attention" ? about.attention : about.matters));
  const tab = tabs.includes(query.get("tab")) ? query.get("tab") : tabs[0];
  const given = { text: query.get("text") ?? "", layer: Number(query.get("layer") ?? 0) };
  const facts = [about.family, about.parameters === null ? "" : t("explore.models.parameters", { n: short(about.parameters) }), about.positions ? t("explore.models.positions", { n: whole(about.positions) }) : "", about.task ? t("explore.overview.does", { task: about.task }) : ""].filter(Boolean);
  const model = { id: chosen.id, about, given, signal };
  const body = { write, answer: answering, attention: attending, matter: mattering }[tab]?.(model) ?? h("p", { class: "soft" }, t("explore.models.nothing"));
  return [head, h("div", { class: "tools" }, picker, h("span", { class: "soft small" }, facts.join(" · "))),
    h("div", { class: "tabs", role: "tablist" }, tabs.map((name) => h("a", { role: "tab", "aria-selected": String(name === tab), href: link("models", chosen.id, { tab: name, text: given.text }), "data-tab": name }, t("explore.models.tab." + name)))),
    body];
};

const remember = (model, tab, more = {}) => {
  if (place().view === "models") at("models", model.id, { tab, text: model.given.text.slice(0, 400), ...more });
  for (const one of document.querySelectorAll("[data-tab]")) one.href = link("models", model.id, { tab: one.dataset.tab, text: model.given.text.slice(0, 400) });
};

const language = () => (document.documentElement.lang.startsWith("zh") ? "zh" : "en");
const prompt = (model, label, props = {}) => {
  if (!model.given.text) model.given.text = EXAMPLES[language()];
  const field = h("textarea", { class: "prompt", rows: "4", maxlength: "20000", "data-search": true, "aria-label": label, value: model.given.text, placeholder: label, oninput: () => (model.given.text = field.value), ...props });
  return field;
};
const note = (error) => h("p", { class: "note warn", role: "alert" }, error.message);
const visible = (label) => (label === "" ? "∅" : label.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/^ +| +$/g, (spaces) => "·".repeat(spaces.length)));

// Writing

const SETTINGS = [["max_new_tokens", 64, 1, 512, 1], ["temperature", 0.8, 0, 3, 0.05], ["top_k", "", 1, 1000, 1], ["top_p", "", 0.01, 1, 0.01], ["min_p", "", 0, 0.99, 0.01], ["repetition", 1, 1, 3, 0.05], ["seed", 0, 0, 1e9, 1]];

const write = (model) => {
  const settings = Object.fromEntries(SETTINGS.map(([name, usual]) => [name, usual]));
  const field = prompt(model, t("explore.models.prompt")), out = h("div", { class: "written", "aria-live": "polite" }), detail = h("div", { class: "alternatives" }), said = h("p", { class: "soft small", role: "status" });
  const raw = model.about.asks ? h("label", { class: "field row" }, h("input", { type: "checkbox", class: "raw" }), t("explore.models.raw")) : null;
  const controls = h("div", { class: "controls" }, SETTINGS.map(([name, usual, low, high, step]) => h("label", { class: "field" }, h("span", {}, t("explore.models.setting." + name)), h("input", { type: "number", class: "number", min: String(low), max: String(high), step: String(step), value: usual, placeholder: "–", onchange: (event) => (settings[name] = event.target.value) }))));
  const go = h("button", { type: "button", class: "button primary" }, t("explore.models.go")), halt = h("button", { type: "button", class: "button", disabled: true, onclick: () => writing?.abort() }, t("explore.models.stop"));
  const choose = (tokens, element) => {
    for (const one of out.querySelectorAll("[aria-current]")) one.removeAttribute("aria-current");
    element.setAttribute("aria-current", "true");
    detail.replaceChildren(...tokens.slice(0, 8).flatMap(alternatives));
  };
  const alternatives = (token) => {
    const most = Math.max(...token.others.map((one) => one.p), 1e-9), listed = token.others.some((one) => one.id === token.id) ? token.others : [...token.others, token];
    return [h("h3", {}, h("code", {}, visible(token.label)), " ", h("small", { class: "soft" }, `p = ${percent(token.p, 1)} · ${t("explore.models.rank", { n: whole(token.rank) })} · ${t("explore.models.entropy", { value: fixed(token.entropy, 2) })}`)),
      h("ol", { class: "bars" }, listed.map((one) => h("li", { class: one.id === token.id ? "chosen" : "" }, h("code", {}, visible(one.label)), h("span", { class: "bar-track" }, h("i", { style: { width: `${(100 * one.p) / most}%` } })), h("span", { class: "n" }, percent(one.p, 1)))))];
  };
  const run = async () => {
    writing?.abort();
    const own = (writing = new AbortController());
    model.signal.addEventListener("abort", () => own.abort());
    remember(model, "write");
    go.disabled = true;
    halt.disabled = false;
    out.replaceChildren(h("span", { class: "given" }, model.given.text), model.about.asks || model.about.translator ? h("br", {}) : "");
    detail.replaceChildren(h("p", { class: "soft small" }, t("explore.models.choose")));
    said.textContent = t("explore.models.writing");
    const body = { prompt: model.given.text, raw: raw?.querySelector("input").checked ?? false, ...Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== "").map(([name, value]) => [name, Number(value)])) };
    // Tokens that spell one character together, or whose text was held back, stand as one.
    const held = [], put = (tokens, text) => {
      const p = tokens.reduce((all, one) => all * one.p, 1), special = text === null;
      const one = h("span", { role: "button", tabindex: "0", class: `tok token ${special ? "special" : ""}`, "data-item": true, style: { "--sure": `${(100 * p).toFixed(0)}%` }, title: percent(p, 1), onfocus: () => choose(tokens, one), onclick: () => choose(tokens, one) }, text ?? tokens.map((token) => token.label).join(""));
      out.append(one);
      if (out.childElementCount < 4 && !detail.querySelector("ol")) choose(tokens, one);
    };
    try {
      for await (const event of lines(`/api/models/${model.id}/write`, body, own.signal)) {
        if (event.event === "tokens") {
          held.push(...event.tokens);
          if (event.text !== "") put(held.splice(0), event.text.replace(/\n/g, "⏎\n"));
        } else if (event.event === "end") {
          if (held.length) put(held.splice(0), null);
          said.textContent = `${t("explore.models.end." + event.end)} · ${t("explore.documents.tokens", { n: event.tokens })} · ${t("explore.models.log_probability", { value: fixed(event.log_probability, 2) })}`;
        } else if (event.event === "error") throw new Error(event.message);
      }
    } catch (error) {
      if (error.name === "AbortError") said.textContent = t("explore.models.stopped");
      else {
        said.textContent = "";
        out.append(note(error));
      }
    } finally {
      go.disabled = false;
      halt.disabled = true;
    }
  };
  go.addEventListener("click", run);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  });
  return h("div", { class: "play" }, h("div", {}, field, h("div", { class: "tools" }, go, halt, raw, h("span", { class: "soft small" }, "Ctrl + Enter")), h("details", { open: true }, h("summary", {}, t("explore.models.settings")), controls), said, out), h("aside", {}, h("h2", {}, t("explore.models.likely")), h("p", { class: "soft small" }, t("explore.models.likely_about")), detail));
};

// Answers of tasks

const fieldsOf = (model) => {
  const inputs = Object.fromEntries(model.about.fields.map((name, i) => {
    const field = h("textarea", { class: "prompt", rows: i || model.about.fields.length > 1 ? "3" : "4", maxlength: "20000", "data-search": i === 0 ? true : undefined, "aria-label": name, placeholder: name, value: i === 0 ? model.given.text : "", oninput: () => i === 0 && (model.given.text = field.value) });
    return [name, field];
  }));
  return [Object.entries(inputs).map(([name, field]) => h("label", { class: "field tall-field" }, h("span", {}, name), field)), () => Object.fromEntries(Object.entries(inputs).map(([name, field]) => [name, field.value]))];
};

const answering = (model) => {
  if (!model.given.text) model.given.text = t("explore.models.example");
  const [fields, values] = fieldsOf(model), out = h("div", { class: "answer", "aria-live": "polite" });
  const run = async () => {
    remember(model, "answer");
    try {
      const found = await post(`/api/models/${model.id}/answer`, { fields: values() }, model.signal);
      out.replaceChildren(...shownAnswer(found));
    } catch (error) {
      if (error.name !== "AbortError") out.replaceChildren(note(error));
    }
  };
  for (const field of fields) field.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && run());
  return h("div", {}, fields, h("div", { class: "tools" }, h("button", { type: "button", class: "button primary", onclick: run }, t("explore.models.ask")), h("span", { class: "soft small" }, "Ctrl + Enter")), out);
};

const shownAnswer = ({ answer, given }) => {
  const parts = [];
  if (answer.label !== undefined || answer.labels !== undefined) parts.push(h("p", { class: "says-big" }, [answer.label ?? answer.labels].flat().join(", ") || t("explore.models.no_label")));
  if (typeof answer.score === "number") parts.push(h("p", { class: "says-big" }, fixed(answer.score, 3)));
  if (answer.probabilities && !Array.isArray(answer.probabilities)) {
    const rows = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]).slice(0, 12);
    parts.push(h("ol", { class: "bars" }, rows.map(([name, p]) => h("li", {}, h("code", {}, name), h("span", { class: "bar-track" }, h("i", { style: { width: `${100 * p}%` } })), h("span", { class: "n" }, percent(p, 1))))));
  }
  if (answer.spans) parts.push(spans(answer, given));
  if (typeof answer.text === "string") parts.push(h("p", { class: "says-big" }, answer.text || t("explore.models.no_answer")));
  parts.push(h("details", {}, h("summary", {}, t("explore.models.whole")), h("pre", { class: "do" }, h("code", {}, JSON.stringify(answer, null, 1).slice(0, 20000)))));
  return parts;
};

// Words stand apart but where one of two neighbours is Chinese.
const WIDE = /[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]/;
const joined = (units, worded) => units.reduce((text, unit) => text + (worded && text && !WIDE.test(text.at(-1)) && !WIDE.test(unit[0]) ? " " : "") + unit, "");

const spans = (answer, given) => {
  const words = Object.values(given).find(Array.isArray), text = Object.values(given).find((one) => typeof one === "string") ?? "";
  const units = words ?? [...text], kinds = [...new Set(answer.spans.map((one) => one.type ?? ""))], parts = [];
  const gap = (i) => (words && i > 0 && i < units.length && !WIDE.test(units[i - 1].at(-1)) && !WIDE.test(units[i][0]) ? " " : "");
  let from = 0;
  for (const one of [...answer.spans].sort((a, b) => a.begin - b.begin)) {
    if (one.begin < from) continue;
    parts.push(gap(from), joined(units.slice(from, one.begin), words), one.begin > from ? gap(one.begin) : "", h("mark", { class: `k${kinds.indexOf(one.type ?? "") % 8}`, title: one.score === undefined ? "" : percent(one.score, 1) }, joined(units.slice(one.begin, one.end), words), h("small", {}, one.type ?? "")));
    from = one.end;
  }
  if (!kinds.length) parts.push(h("small", { class: "soft" }, t("explore.models.no_spans"), " "));
  return h("p", { class: "text" }, parts, gap(from), joined(units.slice(from), words));
};

// Attention

const attending = (model) => {
  const writes = model.about.writes;
  if (!writes && !model.given.text) model.given.text = t("explore.models.example");
  const field = writes ? prompt(model, t("explore.models.text")) : null, [fields, values] = writes ? [[field], () => ({})] : fieldsOf(model);
  const target = model.about.translator ? h("textarea", { class: "prompt", rows: "2", "aria-label": t("explore.models.target"), placeholder: t("explore.models.target") }) : null;
  const out = h("div", {}), now = { layer: model.given.layer, head: -1, query: -1 };
  const run = async () => {
    remember(model, "attention", { layer: now.layer || "" });
    try {
      const found = await post(`/api/models/${model.id}/attention`, { text: writes ? model.given.text : "", fields: values(), target: target?.value ?? "", layer: now.layer }, model.signal);
      out.replaceChildren(...shownAttention(found, now, run));
    } catch (error) {
      if (error.name !== "AbortError") out.replaceChildren(note(error));
    }
  };
  const soon = later(400, run);
  for (const one of [...fields, target].filter(Boolean)) one.addEventListener("input", soon);
  setTimeout(run);
  return h("div", {}, fields, target, out);
};

const shownAttention = (found, now, run) => {
  const [H, T, S] = found.shape, weights = Uint8Array.from(atob(found.weights), (one) => one.charCodeAt(0));
  const at_ = (head, q, k) => weights[(head * T + q) * S + k] / 255;
  const mean = (q, k) => {
    let sum = 0;
    for (let head = 0; head < H; head++) sum += at_(head, q, k);
    return sum / H;
  };
  const of_ = (q, k) => (now.head < 0 || now.head >= H ? mean(q, k) : at_(now.head, q, k));
  if (now.query < 0 || now.query >= T) now.query = T - 1;
  const map = h("canvas", { class: "map", width: String(S * 8), height: String(T * 8), role: "img", "aria-label": t("explore.models.map") }), words = h("div", { class: "looks" }), heads = h("div", { class: "heads" });
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
  const drawMap = () => {
    const brush = map.getContext("2d");
    brush.clearRect(0, 0, map.width, map.height);
    brush.fillStyle = ink;
    for (let q = 0; q < T; q++) for (let k = 0; k < S; k++) {
      const weight = of_(q, k);
      if (weight < 0.004) continue;
      brush.globalAlpha = Math.sqrt(weight);
      brush.fillRect(k * 8, q * 8, 8, 8);
    }
    brush.globalAlpha = 1;
    brush.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--warm").trim();
    brush.strokeRect(0.5, now.query * 8 + 0.5, S * 8 - 1, 7);
  };
  const drawWords = () => {
    const own = found.side === "self" || found.side === "source";
    const pick = (i) => () => {
      now.query = i;
      drawMap();
      drawWords();
    };
    const row = Array.from({ length: S }, (_, k) => of_(now.query, k)), most = Math.max(...row, 1e-6);
    const keys = found.keys.map((label, k) => h(own ? "button" : "span", { type: own ? "button" : undefined, class: `tok token ${own && k === now.query ? "asker" : ""}`, "data-item": own ? true : undefined, style: { "--look": `${(75 * row[k]) / most}%` }, title: percent(row[k], 1), onclick: own ? pick(k) : undefined, onmouseenter: own ? pick(k) : undefined }, visible(label)));
    const askers = own ? null : h("div", { class: "asking" }, found.queries.map((label, q) => h("button", { type: "button", class: `tok token ${q === now.query ? "asker" : ""}`, "data-item": true, onclick: pick(q), onmouseenter: pick(q) }, visible(label))));
    words.replaceChildren(...[h("p", { class: "soft small" }, t("explore.models.looks", { token: visible(found.queries[now.query]) })), askers, h("div", { class: "keys-line" }, keys)].filter(Boolean));
  };
  const small = (weight) => {
    const drawn = h("canvas", { class: "small-map", width: String(S), height: String(T), "aria-hidden": "true" }), brush = drawn.getContext("2d");
    brush.fillStyle = ink;
    for (let q = 0; q < T; q++) for (let k = 0; k < S; k++) {
      brush.globalAlpha = Math.sqrt(weight(q, k));
      brush.fillRect(k, q, 1, 1);
    }
    return drawn;
  };
  const head = (i, drawn, name, title) => h("button", { type: "button", class: "head", "aria-pressed": String(now.head === i), title, onclick: () => choose(i) }, drawn, h("span", {}, name));
  const small_maps = [small(mean), ...Array.from({ length: H }, (_, i) => small((q, k) => at_(i, q, k)))];
  const drawHeads = () => heads.replaceChildren(head(-1, small_maps[0], t("explore.models.mean"), ""), ...Array.from({ length: H }, (_, i) => head(i, small_maps[i + 1], t("explore.models.head", { n: i + 1 }), t("explore.models.evenness", { value: percent(found.layers[found.layer].heads[i]) }))));
  const choose = (head) => {
    now.head = head;
    drawHeads();
    drawMap();
    drawWords();
  };
  map.addEventListener("pointermove", (event) => {
    const box = map.getBoundingClientRect(), q = Math.floor(((event.clientY - box.top) / box.height) * T), k = Math.floor(((event.clientX - box.left) / box.width) * S);
    if (q < 0 || k < 0 || q >= T || k >= S) return;
    map.title = `${visible(found.queries[q])} → ${visible(found.keys[k])}: ${percent(of_(q, k), 1)}`;
    if (q !== now.query) {
      now.query = q;
      drawMap();
      drawWords();
    }
  });
  setTimeout(() => choose(now.head));
  return [
    h("div", { class: "tools" }, chooser(t("explore.models.layer"), found.layers.map((one, i) => [i, t("explore.models.side." + one.side, { n: one.number + 1 })]), found.layer, (i) => {
      now.layer = Number(i);
      run();
    })), heads, h("div", { class: "maps" }, map, words), h("p", { class: "soft small" }, t("explore.models.attention_about"))];
};

// What matters

const mattering = (model) => {
  const writes = model.about.writes;
  if (!writes && !model.given.text) model.given.text = t("explore.models.example");
  const field = writes ? prompt(model, t("explore.models.text")) : null, [fields, values] = writes ? [[field], () => ({})] : fieldsOf(model);
  const target = model.about.translator ? h("textarea", { class: "prompt", rows: "2", "aria-label": t("explore.models.target"), placeholder: t("explore.models.target") }) : null;
  const out = h("div", { "aria-live": "polite" }), now = { method: "gradients", token: null, label: null };
  const run = async () => {
    remember(model, "matter");
    try {
      const found = await post(`/api/models/${model.id}/matter`, { text: writes ? model.given.text : "", fields: values(), target: target?.value ?? "", method: now.method, token: now.token, label: now.label }, model.signal);
      out.replaceChildren(...shownShares(found, now, run, writes));
    } catch (error) {
      if (error.name !== "AbortError") out.replaceChildren(note(error));
    }
  };
  const soon = later(400, () => {
    now.token = now.label = null;
    run();
  });
  for (const one of [...fields, target].filter(Boolean)) one.addEventListener("input", soon);
  setTimeout(run);
  return h("div", {}, fields, target, h("div", { class: "tools" }, chooser(t("explore.models.method"), [["gradients", t("explore.models.gradients")], ["occlusion", t("explore.models.occlusion")]], now.method, (method) => {
    now.method = method;
    run();
  })), out);
};

const shownShares = (found, now, run, writes) => {
  const most = Math.max(...found.shares.map(Math.abs), 1e-9);
  const tokens = found.tokens.map((label, i) => h("span", { class: `tok ${found.fixed[i] ? "special" : found.shares[i] < 0 ? "against" : "for"}`, style: { "--share": `${(70 * Math.abs(found.shares[i])) / most}%` }, title: found.fixed[i] ? "" : `${found.shares[i] > 0 ? "+" : ""}${fixed(found.shares[i], 3)}` }, visible(label)));
  const order = found.shares.map((share, i) => [share, i]).filter(([, i]) => !found.fixed[i]).sort((a, b) => Math.abs(b[0]) - Math.abs(a[0])).slice(0, 12);
  const answer = chooser(writes ? t("explore.models.next") : t("explore.models.of_label"), uniq([found.answer, ...found.others]).map((one) => [one.id, one.p === undefined ? visible(one.label) : `${visible(one.label)} · ${percent(one.p, 1)}`]), found.answer.id, (id) => {
    if (writes) now.token = Number(id);
    else now.label = Number(id);
    run();
  });
  return [
    h("div", { class: "tools" }, answer, h("span", { class: "soft small" }, t("explore.models.whole_and_without", { whole: fixed(found.whole, 3), without: fixed(found.without, 3) }))),
    h("p", { class: "shares" }, tokens),
    h("ol", { class: "bars signed" }, order.map(([share, i]) => h("li", {}, h("code", {}, visible(found.tokens[i])), h("span", { class: "bar-track" }, h("i", { class: share < 0 ? "against" : "for", style: { width: `${(100 * Math.abs(share)) / most}%` } })), h("span", { class: "n" }, `${share > 0 ? "+" : ""}${fixed(share, 3)}`)))),
    h("p", { class: "soft small" }, found.gap === null ? t("explore.models.occlusion_about", { sum: fixed(found.sum, 3) }) : t("explore.models.gradients_about", { sum: fixed(found.sum, 3), difference: fixed(found.whole - found.without, 3), gap: fixed(Math.abs(found.gap), 4) })),
  ];
};

const uniq = (rows) => {
  const found = new Map();
  for (const one of [...rows.slice(1), rows[0]]) if (!found.has(one.id)) found.set(one.id, one);
  return [...found.values()];
};
