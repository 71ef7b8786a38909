// A study: its answer, predictions against what was measured, curves, law, doses, mixtures, and all claims.

import { badge, chooser, empty, estimate, fixed, h, has, own, percent, section, short, t, tile, whole } from "./dom.js";
import { get, of } from "./net.js";
import { figure, plot, whisker } from "./plot.js";
import { at, link, place } from "./place.js";

export const render = async ({ ident, query }, signal) => {
  const all = (await of("study", "labels")).filter((one) => !one.damaged);
  if (!all.length) return empty(t("explore.studies.empty"), t("explore.studies.empty_more"), "assay study my-texts/ --out study --budget 10m");
  const chosen = all.find((one) => one.id === ident) ?? all.find((one) => one.finished) ?? all[0];
  const picker = h("div", { class: "tools" }, chooser(t("explore.studies.study"), all.map((one) => [one.id, one.name]), chosen.id, (id) => (location.hash = link("studies", id))));
  if (!chosen.finished) return [picker, empty(t("explore.studies.unfinished"), t("explore.studies.unfinished_more"))];
  const found = await get(`/api/studies/${chosen.id}`, signal);
  return [picker, header(chosen, found), notices(found), answer(found), predictions(found), curves(found, query), doses(found), mixtures(found, chosen), samples(found), claims(found)];
};

const header = (chosen, found) => {
  const effects = found.claims.filter((one) => one.kind !== "prediction"), tested = found.claims.filter((one) => one.outcome);
  return h("header", { class: "page flush" }, h("p", { class: "eyebrow" }, t("explore.overview.kinds." + chosen.kind)), h("h1", {}, chosen.name),
    h("p", { class: "meta" }, [found.title, found.created_at?.slice(0, 10), found.command].filter(Boolean).join(" · "),
      found.report ? [" · ", h("a", { href: `/api/studies/${chosen.id}/page`, target: "_blank", rel: "noopener" }, t("explore.studies.page"))] : null),
    h("dl", { class: "tiles" },
      tile(t("explore.studies.supported"), `${effects.filter((one) => one.verdict === "supported").length} / ${effects.length}`),
      tested.length ? tile(t("explore.studies.hits"), `${tested.filter((one) => one.outcome.verdict === "hit").length} / ${tested.length}`) : null,
      found.n_seeds ? tile(t("explore.studies.seeds"), String(found.n_seeds), found.parameters ? t("explore.studies.parameters", { n: short(found.parameters) }) : "") : null,
      found.cost ? tile(t("explore.studies.tokens"), short(found.cost.training_tokens), t("explore.studies.runs", { n: whole(found.cost.runs) })) : null));
};

const notices = (found) => (found.notices?.length ? h("div", { class: "note" }, h("ul", {}, found.notices.map((one) => h("li", {}, own(one))))) : null);

const answer = (found) => {
  const headlines = found.claims.filter((one) => one.headline && one.kind !== "prediction");
  if (!headlines.length) return null;
  return section(t("explore.studies.answer"), h("ul", { class: "answers" }, headlines.map((one) =>
    h("li", {}, h("div", { class: "verdict" }, badge(one.verdict), h("span", { class: "kind" }, kind(one.kind))),
      h("div", {}, h("p", { class: "says" }, own(one.statement)),
        h("p", { class: "facts" }, h("span", { class: "f" }, t("explore.studies.seeds_of", { n: one.n_seeds })),
          one.minimum_detectable === null ? null : h("span", { class: "f" }, t("explore.studies.detectable", { value: short(one.minimum_detectable), unit: one.unit })),
          one.p_value === null ? null : h("span", { class: "f" }, `p = ${short(one.p_value)}`)))))));
};

const kind = (name) => (has("kind." + name) ? t("kind." + name) : name);

const predictions = (found) => {
  const own_ = found.claims.filter((one) => one.prediction);
  if (!own_.length) return null;
  return section(t("explore.studies.predictions"), h("p", { class: "lead" }, t("explore.studies.predictions_lead")),
    h("div", { class: "scroll tall" }, h("table", {}, h("thead", {}, h("tr", {}, ["about", "predicted", "measured", "outcome"].map((name) => h("th", { class: name === "measured" ? "n" : "" }, t("explore.studies." + name))))),
      h("tbody", {}, own_.map((one) => {
        const [low, high] = one.prediction.interval, value = one.prediction.value, told = estimate(value, [low, high]);
        const ends = [low, high, one.outcome?.value ?? value], room = 0.15 * (Math.max(...ends) - Math.min(...ends) || 1);
        return h("tr", {}, h("th", { scope: "row" }, own(one.question), h("small", {}, one.id)),
          h("td", {}, h("span", { class: "told-strip" }, whisker(low, high, one.outcome?.value ?? value, value, [Math.min(...ends) - room, Math.max(...ends) + room]), h("small", {}, `${told.value} ${told.interval}`))),
          h("td", { class: "n" }, one.outcome ? `${fixed(one.outcome.value, 3)}` : "–"), h("td", {}, badge(one.outcome ? one.outcome.verdict : "untested")));
      })))));
};

const target = (name) => (name === "" ? t("explore.mean") : name);

const curves = (found, query) => {
  if (!found.curves?.length) return null;
  const names = found.curves.map((one) => one.target), holder = h("div", {});
  const draw = (name) => {
    const curve = found.curves.find((one) => one.target === name) ?? found.curves[0], law = name === "" ? found.law : null;
    const points = curve.points.map((p) => ({ x: p.tokens, y: p.bpb, low: p.interval[0], high: p.interval[1], hollow: p.held_out, tip: `${short(p.tokens)}: ${estimate(p.bpb, p.interval).value} ${estimate(p.bpb, p.interval).interval}` }));
    const series = [{ name: t("explore.studies.measured"), tone: "accent", points, line: !law }], bands = [];
    if (law) {
      bands.push({ tone: "accent", points: law.band.map(([tokens, , low, high]) => [tokens, low, high]) });
      series.unshift({ name: t("explore.studies.law"), tone: "dark", mark: "none", line: true, points: law.band.map(([tokens, value]) => ({ x: tokens, y: value })) });
    }
    holder.replaceChildren(plot({ x: { label: t("explore.axis.tokens"), log: true }, y: { label: t("explore.axis.bpb"), form: (v) => fixed(v, 2) }, series, bands, label: t("explore.studies.curve") }));
  };
  const first = names.includes(query.get("curve") ?? "") ? query.get("curve") ?? "" : "";
  const now = () => place();
  setTimeout(() => draw(first));
  return section(t("explore.studies.curve"),
    h("div", { class: "tools" }, chooser(t("explore.studies.text_of"), names.map((name) => [name, target(name)]), first, (name) => {
      draw(name);
      at("studies", now().ident, { curve: name });
    })), holder, found.law ? h("p", { class: "soft small" }, t("explore.studies.law_is", { model: found.law.model, level: percent(found.level) })) : null);
};

const effect = (one) => {
  const told = estimate(one.estimate, one.interval, true);
  return [h("b", {}, told.value), " ", h("small", { class: "soft" }, told.interval)];
};

const doses = (found) => {
  if (!found.doses?.length) return null;
  const tones = ["accent", "warm", "t2", "t3", "t5", "t6", "t7", "t8"];
  const series = found.doses.map((one, i) => ({ name: one.defect, tone: tones[i % tones.length], line: true, points: [{ x: 0, y: 0 }, ...one.points.map((p) => ({ x: p.dose, y: p.effect.estimate, low: p.effect.interval[0], high: p.effect.interval[1], hollow: p.held_out, tip: `${one.defect} ${percent(p.dose)}` }))] }));
  return section(t("explore.studies.doses"), figure(t("explore.studies.doses_title"), t("explore.studies.doses_about"),
    plot({ x: { label: t("explore.axis.dose"), form: (v) => percent(v), range: [0, Math.max(...series.flatMap((one) => one.points.map((p) => p.x))) * 1.04] }, y: { label: t("explore.axis.change"), form: (v) => fixed(v, 2) }, series, baseline: 0, label: t("explore.studies.doses_title"), height: 320 }),
    series.map((one) => [one.tone, one.name])),
    h("ul", { class: "plain-list" }, found.doses.map((one) => h("li", { class: "soft small" }, h("b", {}, one.defect), ": ", own(one.note)))));
};

const mixtures = (found, chosen) => {
  if (!found.mixtures) return null;
  const { sources, rows } = found.mixtures, targets = ["", ...sources];
  const most = Math.max(...rows.flatMap((row) => targets.map((name) => Math.abs(row.effects[name]?.estimate ?? 0))), 1e-9);
  return section(t("explore.studies.mixtures"), h("p", { class: "lead" }, t("explore.studies.mixtures_lead"), " ", h("a", { href: link("mixtures", chosen.id) }, t("explore.studies.mixtures_more"))),
    h("div", { class: "scroll" }, h("table", { class: "matrix" }, h("thead", {}, h("tr", {}, h("th", {}), targets.map((name) => h("th", { class: "n" }, target(name))))),
      h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, own(row.label)), targets.map((name) => {
        const one = row.effects[name];
        if (!one) return h("td", { class: "n" }, "–");
        const told = estimate(one.estimate, one.interval, true), share = Math.min(1, Math.abs(one.estimate) / most);
        return h("td", { class: `n shade-cell ${one.estimate < 0 ? "good" : "bad"}`, style: { "--share": `${(70 * share).toFixed(0)}%` }, title: `${told.value} ${told.interval}` }, told.value, one.supported ? h("sup", {}, "✓") : null);
      })))))), h("p", { class: "soft small" }, t("explore.studies.mixtures_key")));
};

const samples = (found) => {
  if (!found.samples?.length) return null;
  const side = (extreme) => h("div", {}, h("h3", {}, t("explore.studies.samples_" + extreme)),
    found.samples.filter((one) => one.extreme === extreme).slice(0, 6).map((one) => h("div", { class: "doc" }, h("header", {}, h("b", {}, fixed(one.bpb, 2)), h("span", {}, one.source), h("span", {}, one.origin)), h("blockquote", {}, one.text))));
  return section(t("explore.studies.samples"), h("div", { class: "extremes" }, side("lowest"), side("highest")));
};

const claims = (found) => {
  const kinds = [...new Set(found.claims.map((one) => one.kind))], verdicts = [...new Set(found.claims.map((one) => one.verdict))];
  const rows = found.claims.map((one) => {
    const told = estimate(one.estimate, one.interval, true);
    return [one, h("tr", { id: one.id, tabindex: "-1", "data-item": true }, h("th", { scope: "row" }, h("span", { class: "asks" }, own(one.question)), own(one.statement)), h("td", {}, badge(one.outcome ? one.outcome.verdict : one.verdict)),
      h("td", { class: "n" }, told.value, h("small", {}, told.interval)), h("td", { class: "n" }, one.minimum_detectable === null ? "–" : short(one.minimum_detectable)), h("td", { class: "n" }, one.p_value === null ? "–" : short(one.p_value)))];
  });
  const wanted = { kind: "", verdict: "", text: "", most: 30 }, count = h("span", { class: "soft" });
  const narrow = () => {
    let n = 0, all = 0;
    for (const [one, row] of rows) {
      const fits = !(wanted.kind && one.kind !== wanted.kind) && !(wanted.verdict && one.verdict !== wanted.verdict) && !(wanted.text && !own(one.statement).toLowerCase().includes(wanted.text));
      all += fits ? 1 : 0;
      row.hidden = !fits || all > wanted.most;
      n += row.hidden ? 0 : 1;
    }
    more.hidden = n === all;
    count.textContent = t("explore.studies.shown", { n, of: rows.length });
  };
  const more = h("p", {}, h("button", { type: "button", class: "button", "data-item": true, onclick: () => set("most")(Infinity) }, t("explore.studies.all_claims")));
  const set = (name) => (value) => {
    wanted[name] = value;
    narrow();
  };
  narrow();
  return h("section", { class: "claims" }, h("h2", {}, t("explore.studies.claims")), h("div", { class: "tools" },
    h("input", { type: "search", class: "search", "data-search": true, placeholder: t("explore.studies.search"), "aria-label": t("explore.studies.search"), oninput: (event) => set("text")(event.target.value.trim().toLowerCase()) }),
    chooser(t("explore.studies.kind"), [["", t("explore.all")], ...kinds.map((one) => [one, kind(one)])], "", set("kind")),
    chooser(t("explore.studies.verdict"), [["", t("explore.all")], ...verdicts.map((one) => [one, t("verdict." + one)])], "", set("verdict")), count),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t("explore.studies.claim")), h("th", {}, t("explore.studies.verdict")), h("th", { class: "n" }, t("explore.studies.estimate")), h("th", { class: "n" }, t("explore.studies.smallest")), h("th", { class: "n" }, "p"))), h("tbody", {}, rows.map(([, row]) => row)))), more);
};
