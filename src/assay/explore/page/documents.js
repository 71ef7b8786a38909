// Documents of a corpus: search, filters, a list that goes on, and one document beside it: its tokens' losses, signals,
// reasons and near-duplicates.

import { bytes, chooser, empty, fixed, h, has, later, percent, short, t, whole } from "./dom.js";
import { get, of, post } from "./net.js";
import { at, link, place, trouble } from "./place.js";

export const wide = true;
let view = null;
/** Esc: the document is put away. */
export const close = () => view?.close();

export const render = async ({ ident, query }, signal) => {
  const order = ["corpus", "study", "training"];
  const all = (await of(...order)).filter((one) => !one.damaged).sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  if (!all.length) return empty(t("explore.documents.empty"), t("explore.documents.empty_more"), "assay corpus scan my-texts/ --out corpus");
  const chosen = all.find((one) => one.id === ident) ?? all[0];
  const picker = chooser(t("explore.documents.corpus"), all.map((one) => [one.id, `${one.name} · ${t("explore.overview.kind." + one.kind)}`]), chosen.id, (id) => (location.hash = link("documents", id)));
  // The first time a large corpus is opened, its index takes a while to make.
  const slow = setTimeout(() => {
    const told = document.querySelector(".loading");
    if (told) told.textContent = t("explore.documents.indexing");
  }, 1500);
  let about = null;
  try {
    about = await get(`/api/corpora/${chosen.id}`, signal);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return [h("div", { class: "tools" }, picker), trouble(error)];
  } finally {
    clearTimeout(slow);
  }
  const models = (await of("model")).filter((one) => !one.damaged && !one.does);
  view = new View(chosen, about, models, query, signal);
  return [h("div", { class: "browser" }, h("aside", { class: "side" }, picker, view.filters), h("div", { class: "middle" }, view.top, view.list), view.pane)];
};

class View {
  constructor(entry, about, models, query, signal) {
    Object.assign(this, { entry, about, models, signal, after: null, rows: [], busy: 0, opened: null });
    const many = (name) => query.getAll(name);
    this.wanted = {
      text: query.get("q") ?? "", sources: many("source"), languages: many("language"), splits: many("split"), reasons: many("reason"),
      keep: query.get("keep") === null ? null : query.get("keep") === "1", near: query.get("near") === null ? null : query.get("near") === "1",
      bounds: {}, order: query.get("order") ?? "", falling: query.get("falling") === "1",
    };
    for (const one of many("bound")) {
      const [name, low, high] = one.split("~");
      if (about.numbers.includes(name)) this.wanted.bounds[name] = [low ? Number(low) : null, high ? Number(high) : null];
    }
    this.model = query.get("model") ?? "";
    this.list = h("ul", { class: "documents", "aria-label": t("explore.documents.list") });
    this.told = h("p", { class: "soft small told-found", role: "status" });
    this.top = this.head();
    this.filters = h("details", { class: "filters-fold", open: innerWidth > 860 }, h("summary", {}, t("explore.documents.filters")), h("div", { class: "filters-side" }, this.facets()));
    this.pane = h("div", { class: "pane" }, h("p", { class: "soft hint" }, t("explore.documents.choose")));
    const row = query.get("row");
    setTimeout(() => {
      this.ask();
      if (row) this.open(Number(row));
    });
  }

  // What is asked

  head() {
    const numbers = this.about.numbers, first = ["", "n_bytes", "length", "loss"].filter((name) => name === "" || numbers.includes(name));
    const field = h("input", { type: "search", class: "search", "data-search": true, value: this.wanted.text, placeholder: t("explore.documents.search"), "aria-label": t("explore.documents.search"), maxlength: "500", oninput: later(250, () => this.change({ text: field.value })) });
    const order = chooser(t("explore.documents.order"), [...first, ...numbers.filter((name) => !first.includes(name))].map((name) => [name, signal(name)]), this.wanted.order, (name) => this.change({ order: name }));
    const way = h("button", { type: "button", class: "button", "aria-label": t("explore.documents.way"), title: t("explore.documents.way"), onclick: () => {
      this.change({ falling: !this.wanted.falling });
      way.textContent = this.wanted.falling ? "↓" : "↑";
    } }, this.wanted.falling ? "↓" : "↑");
    return h("div", { class: "tools head-tools" }, field, order, way, this.told);
  }

  facets() {
    const { facets } = this.about, { wanted } = this;
    const group = (name, key, title, label = (x) => x) => {
      const options = facets[name] ?? [];
      if (options.length < (name === "reasons" ? 1 : 2)) return null;
      return h("details", { open: options.length <= 12 || wanted[key].length > 0 }, h("summary", {}, title), h("ul", { class: "checks" }, options.map(([value, count]) => h("li", {}, h("label", {}, h("input", { type: "checkbox", checked: wanted[key].includes(value), onchange: (event) => this.change({ [key]: event.target.checked ? [...wanted[key], value] : wanted[key].filter((one) => one !== value) }) }), h("span", {}, label(value)), h("small", { class: "soft" }, short(count)))))));
    };
    const three = (key, title, yes, no) => chooser(title, [["", t("explore.all")], ["1", yes], ["0", no]], wanted[key] === null ? "" : wanted[key] ? "1" : "0", (value) => this.change({ [key]: value === "" ? null : value === "1" }));
    return [
      h("p", { class: "soft small" }, t("explore.documents.size", { n: whole(facets.documents), bytes: bytes(facets.bytes ?? 0) })),
      group("source", "sources", t("explore.documents.sources")), group("split", "splits", t("explore.documents.splits"), (x) => (has("explore.documents.split." + x) ? t("explore.documents.split." + x) : x)),
      group("language", "languages", t("explore.documents.languages"), (x) => (has("language." + x) ? t("language." + x) : x)),
      facets.decided ? [three("keep", t("explore.documents.selection"), t("explore.documents.kept"), t("explore.documents.dropped")), h("p", { class: "soft small" }, t("explore.documents.decided_by", { name: facets.decided_by, kept: whole(facets.kept), n: whole(facets.decided) }))] : null,
      group("reasons", "reasons", t("explore.documents.reasons")),
      facets.clustered ? three("near", t("explore.documents.near_filter"), t("explore.documents.near_only", { n: whole(facets.near) }), t("explore.documents.near_none")) : null,
      this.bounds(),
    ];
  }

  bounds() {
    const holder = h("div", {}), { wanted } = this;
    const add = (name) => {
      if (!name) return;
      const [low, high] = wanted.bounds[name] ?? [null, null];
      wanted.bounds[name] = [low, high];
      const bars = h("div", { class: "spread" }), number = (value, i, text) => h("input", { type: "number", step: "any", class: "number", "aria-label": `${signal(name)} ${text}`, placeholder: text, value: value ?? "", onchange: (event) => {
        const next = [...wanted.bounds[name]];
        next[i] = event.target.value === "" ? null : Number(event.target.value);
        wanted.bounds[name] = next;
        this.change({});
      } });
      const box = h("div", { class: "bound" }, h("div", { class: "bound-head" }, h("b", {}, signal(name)), h("button", { type: "button", class: "plain-button", "aria-label": t("explore.documents.remove"), onclick: () => {
        delete wanted.bounds[name];
        box.remove();
        this.change({});
      } }, "×")), bars, h("div", { class: "bound-ends" }, number(low, 0, t("explore.documents.least")), number(high, 1, t("explore.documents.most"))));
      holder.append(box);
      this.spread(name, bars);
    };
    for (const name of Object.keys(wanted.bounds)) add(name);
    return [h("div", { class: "bounds" }, chooser(t("explore.documents.bound"), [["", "–"], ...this.about.numbers.map((name) => [name, signal(name)])], "", (name) => {
      if (!(name in wanted.bounds)) add(name);
    })), holder];
  }

  async spread(name, bars) {
    const { bounds: _, text: __, ...rest } = this.asked();
    const found = await post(`/api/corpora/${this.entry.id}/spread`, { ...rest, order: "", bounds: {}, name }, this.signal).catch(() => null);
    if (!found?.n) return;
    const most = Math.max(...found.counts);
    bars.replaceChildren(...found.counts.map((count) => h("i", { style: { height: `${Math.max(count ? 4 : 0, (100 * count) / most)}%` } })));
    bars.title = `${short(found.low)} – ${short(found.high)}`;
    bars.after(h("div", { class: "spread-ends soft small" }, h("span", {}, short(found.low)), h("span", {}, short(found.high))));
  }

  asked() {
    const { order, falling, ...rest } = this.wanted;
    return { ...rest, order, falling };
  }

  change(by) {
    Object.assign(this.wanted, by);
    this.after = null;
    this.rows = [];
    this.save();
    this.ask();
  }

  save() {
    const { wanted } = this, pairs = [["q", wanted.text], ...wanted.sources.map((x) => ["source", x]), ...wanted.languages.map((x) => ["language", x]), ...wanted.splits.map((x) => ["split", x]), ...wanted.reasons.map((x) => ["reason", x]),
      ["keep", wanted.keep === null ? "" : wanted.keep ? "1" : "0"], ["near", wanted.near === null ? "" : wanted.near ? "1" : "0"], ...Object.entries(wanted.bounds).map(([name, [low, high]]) => ["bound", `${name}~${low ?? ""}~${high ?? ""}`]),
      ["order", wanted.order], ["falling", wanted.falling ? "1" : ""], ["row", this.opened === null ? "" : String(this.opened)], ["model", this.model]];
    const text = new URLSearchParams(pairs.filter(([, value]) => value !== "")).toString();
    if (place().view === "documents") history.replaceState(null, "", `#/documents/${this.entry.id}${text ? "?" + text : ""}`);
  }

  // The list

  async ask(more = false) {
    const number = ++this.busy;
    this.list.classList.toggle("waiting", !more);
    try {
      const found = await post(`/api/corpora/${this.entry.id}/documents`, { ...this.asked(), after: more ? this.after : null }, this.signal);
      if (number !== this.busy) return;
      const searching = found.searched < 1, short_ = found.documents.length === 0 || (!found.after && searching) || (searching && this.wanted.order !== "");
      if (more) this.rows.push(...found.documents);
      else this.rows = found.documents;
      this.after = found.after;
      this.tell(found);
      this.show(more ? found.documents : null);
      if (searching && short_ && !more) setTimeout(() => number === this.busy && this.ask(), 30);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.list.replaceChildren(trouble(error));
    } finally {
      if (number === this.busy) this.list.classList.remove("waiting");
    }
  }

  tell({ found, searched }) {
    this.told.textContent = searched < 1 ? t("explore.documents.found_so_far", { n: whole(found), share: percent(searched) }) : t("explore.documents.found", { n: found === 1 ? 1 : whole(found) });
  }

  show(added) {
    this.list.querySelector(".more")?.remove();
    const items = (added ?? this.rows).map((row) => this.item(row));
    if (added) this.list.append(...items);
    else this.list.replaceChildren(...items);
    if (!this.rows.length) this.list.replaceChildren(h("li", { class: "soft none" }, t("explore.documents.none")));
    if (this.after) {
      const button = h("button", { type: "button", class: "button", "data-item": true, onclick: () => this.ask(true) }, t("explore.documents.more"));
      const item = h("li", { class: "more" }, button);
      this.list.append(item);
      this.watch?.disconnect();
      this.watch = new IntersectionObserver(([seen]) => seen.isIntersecting && this.after && this.ask(true), { rootMargin: "400px" });
      this.watch.observe(item);
    }
  }

  item(row) {
    const value = this.wanted.order && !["n_bytes", "loss"].includes(this.wanted.order) ? `${signal(this.wanted.order)} ${short(row.value)}` : "";
    const facts = [row.source, row.language, bytes(row.n_bytes), row.loss === null ? "" : `${fixed(row.loss, 2)} bpb`, value].filter(Boolean).join(" · ");
    return h("li", {}, h("button", { type: "button", class: "document", "data-item": true, "data-row": String(row.row), "aria-current": this.opened === row.row ? "true" : undefined, onclick: () => this.open(row.row) },
      h("span", { class: "excerpt" }, marked(row.excerpt, this.wanted.text)), h("span", { class: "soft small" }, facts, flags(row))));
  }

  // One document

  close() {
    const last = this.opened;
    this.opened = null;
    this.pane.classList.remove("open");
    this.pane.replaceChildren(h("p", { class: "soft hint" }, t("explore.documents.choose")));
    this.current();
    this.save();
    this.list.querySelector(`[data-row="${last}"]`)?.focus();
  }

  current() {
    for (const one of this.list.querySelectorAll("[data-row]")) {
      if (one.dataset.row === String(this.opened)) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
    }
  }

  async open(row) {
    this.opened = row;
    this.current();
    this.save();
    this.pane.classList.add("open");
    try {
      const found = await get(`/api/corpora/${this.entry.id}/documents/${row}`, this.signal);
      if (this.opened !== row) return;
      this.pane.replaceChildren(...this.document(found));
      this.pane.scrollTop = 0;
      if (this.model) this.losses(found);
    } catch (error) {
      if (error.name !== "AbortError") this.pane.replaceChildren(trouble(error));
    }
  }

  document(found) {
    this.text = h("div", { class: "text", lang: found.language ?? undefined }, marked(found.text, this.wanted.text));
    this.scale = h("div", {});
    const facts = [[t("explore.documents.source"), found.source], [t("explore.documents.origin"), `${found.origin ?? ""} : ${found.ordinal ?? ""}`], [t("explore.documents.language"), has("language." + found.language) ? t("language." + found.language) : found.language], [t("explore.documents.part"), found.split], [t("explore.documents.bytes"), bytes(found.n_bytes)], [t("explore.documents.loss"), found.loss === null ? null : `${fixed(found.loss, 3)} bpb`], ["id", h("code", {}, found.doc_id)]].filter(([, value]) => value !== null && value !== undefined && value !== "");
    return [
      h("div", { class: "pane-head" }, h("h2", {}, t("explore.documents.document"), " ", h("small", { class: "soft" }, whole(found.row))), h("button", { type: "button", class: "plain-button", "aria-label": t("explore.close"), title: "Esc", onclick: () => this.close() }, "×")),
      h("dl", { class: "facts-list" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      found.keep === null ? null : h("p", { class: "decision" }, h("span", { class: `badge ${found.keep ? "hit" : "miss"}` }, h("span", { class: "sign" }, found.keep ? "✓" : "✕"), found.keep ? t("explore.documents.kept") : t("explore.documents.dropped")), " ", (found.reasons ?? []).map((one) => h("code", { class: "reason" }, one))),
      h("div", { class: "tools" }, this.models.length ? chooser(t("explore.documents.under"), [["", "–"], ...this.models.map((one) => [one.id, one.name])], this.model, (id) => {
        this.model = id;
        this.save();
        if (id) this.losses(found);
        else {
          this.text.replaceChildren(...marked(found.text, this.wanted.text));
          this.scale.replaceChildren();
        }
      }) : h("p", { class: "soft small" }, t("explore.documents.no_models"))),
      this.scale, this.text, found.cut ? h("p", { class: "soft small" }, t("explore.documents.cut", { n: whole(found.cut) })) : null,
      this.neighbours(found), this.signals(found),
    ].filter(Boolean);
  }

  async losses(found) {
    this.scale.replaceChildren(h("p", { class: "soft small" }, t("explore.loading")));
    try {
      const read = await get(`/api/corpora/${this.entry.id}/documents/${found.row}/losses?model=${encodeURIComponent(this.model)}`, this.signal);
      if (this.opened !== found.row) return;
      const rest = read.spells ? found.text.slice(read.stretches.reduce((n, one) => n + one.text.length, 0)) : "";
      this.text.replaceChildren(...read.stretches.map((one) => heated(one)), rest ? h("span", { class: "soft" }, rest) : "");
      this.scale.replaceChildren(h("p", { class: "heat-key soft small" }, h("span", {}, t("explore.documents.expected")), h("span", { class: "heat-bar", "aria-hidden": "true" }, [0, 1, 2, 3, 4, 5, 6, 7].map((i) => h("i", { style: { "--heat": `${i * 8.8}%` } }))), h("span", {}, t("explore.documents.surprising")), h("b", {}, read.bits_per_byte === null ? t("explore.documents.nats", { value: fixed(read.nats / Math.max(1, read.tokens), 2) }) : `${fixed(read.bits_per_byte, 3)} bpb`), h("span", {}, t("explore.documents.tokens", { n: whole(read.tokens) })), read.cut ? h("span", {}, t("explore.documents.read_so_far")) : null));
    } catch (error) {
      if (error.name !== "AbortError") this.scale.replaceChildren(h("p", { class: "note warn" }, error.message));
    }
  }

  neighbours(found) {
    if (!found.copies_of.length) return null;
    const holder = h("div", {});
    const beside = async (other) => {
      const parts = await get(`/api/corpora/${this.entry.id}/documents/${found.row}/beside/${other.row}`, this.signal);
      const side = (kind) => h("div", { class: "text small-text" }, parts.filter((one) => one.kind === "both" || one.kind === kind).map((one) => (one.kind === "both" ? one.text : h("mark", { class: kind === "left" ? "k1" : "k0" }, one.text))));
      holder.replaceChildren(h("div", { class: "beside" }, h("div", {}, h("h4", {}, t("explore.documents.this")), side("left")), h("div", {}, h("h4", {}, `${other.source} · ${whole(other.row)}`), side("right"))));
    };
    return h("section", { class: "flush" }, h("h3", {}, t("explore.documents.neighbours", { n: found.copies_of.length })), h("ul", { class: "entries" }, found.copies_of.map((one) => h("li", {}, h("button", { type: "button", class: "entry", onclick: () => beside(one) }, h("b", {}, one.exact ? t("explore.documents.exact") : t("explore.documents.near")), h("span", { class: "soft small" }, `${one.source} · ${one.origin ?? ""} · ${bytes(one.n_bytes)}`))))), holder);
  }

  signals(found) {
    const rows = Object.entries(found.signals).filter(([, value]) => value !== null);
    if (!rows.length) return null;
    return h("details", { class: "signals", open: true }, h("summary", {}, t("explore.documents.signals", { n: rows.length })), h("dl", { class: "signal-list" }, rows.map(([name, value]) => h("div", {}, h("dt", { title: name }, signal(name)), h("dd", {}, short(value))))));
  }
}

/** What a number of a document is called: signals have their own names, which rules ask for. */
const signal = (name) => (name === "" ? t("explore.documents.corpus_order") : has("explore.documents.number." + name) ? t("explore.documents.number." + name) : name);

const flags = (row) => [
  row.near ? h("span", { class: "flag" }, row.exact ? t("explore.documents.exact") : t("explore.documents.near")) : null,
  row.keep === false ? h("span", { class: "flag warm" }, t("explore.documents.dropped")) : null,
];

/** A text in which what was searched for is marked. */
const marked = (text, wanted) => {
  if (!wanted) return [text];
  const loose = wanted === wanted.toLowerCase(), where = loose ? text.toLowerCase() : text, parts = [];
  let from = 0;
  for (let i = where.indexOf(wanted); i >= 0 && parts.length < 400; i = where.indexOf(wanted, from)) {
    parts.push(text.slice(from, i), h("mark", { class: "found" }, text.slice(i, i + wanted.length)));
    from = i + wanted.length;
  }
  return [...parts, text.slice(from)];
};

const heated = ({ text, nats, tokens }) => {
  if (nats === null) return h("span", { class: "tok" }, text);
  const each = nats / Math.max(1, tokens);
  return h("span", { class: "tok", style: { "--heat": `${Math.min(62, each * 7).toFixed(0)}%` }, title: `${fixed(nats, 2)} nats · p = ${percent(Math.exp(-nats), nats > 4 ? 2 : 0)}` }, text);
};
