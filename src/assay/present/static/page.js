"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const codes = { en: "en", zh: "zh-CN" };

  // Language: the style sheet shows the texts of the page's language; what it cannot reach is changed here.
  const speak = (tongue) => {
    root.lang = codes[tongue];
    for (const one of all("[data-en]")) {
      if ("tip" in one.dataset) one.title = one.dataset[tongue];
      else one.textContent = one.dataset[tongue];
    }
    for (const one of all("[data-tongue]")) one.setAttribute("aria-pressed", String(one.dataset.tongue === tongue));
    measure();
  };
  for (const one of all("[data-tongue]")) one.addEventListener("click", () => speak(one.dataset.tongue));
  for (const one of all(".tongues, .script")) one.hidden = false;

  // Frames that scroll sideways say so and can be reached with the keyboard.
  const measure = () => {
    for (const frame of all(".scroll")) {
      const more = frame.scrollWidth > frame.clientWidth + 1;
      const end = frame.scrollLeft + frame.clientWidth >= frame.scrollWidth - 2;
      frame.parentElement.classList.toggle("more", more && !end);
      frame.parentElement.classList.toggle("slides", more);
      if (more) frame.tabIndex = 0;
      else frame.removeAttribute("tabindex");
    }
  };
  for (const frame of all(".scroll")) frame.addEventListener("scroll", measure, { passive: true });
  for (const fold of all("details")) fold.addEventListener("toggle", measure);
  addEventListener("resize", measure);

  // Filters: each <select data-filter="x"> keeps the rows whose data-x is the chosen value.
  for (const box of all("[data-filters]")) {
    const rows = all(`#${box.dataset.filters} [data-row]`);
    const choices = all("select", box);
    const apply = () => {
      let shown = 0;
      for (const row of rows) {
        row.hidden = choices.some((c) => c.value && row.dataset[c.dataset.filter] !== c.value);
        shown += row.hidden ? 0 : 1;
      }
      for (const count of all("[data-shown]", box)) count.textContent = String(shown);
    };
    for (const choice of choices) choice.addEventListener("change", apply);
  }

  for (const one of all("[data-copy]")) {
    one.addEventListener("click", async () => {
      const source = document.getElementById(one.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        one.classList.add("done");
        setTimeout(() => one.classList.remove("done"), 1600);
      } catch {
        getSelection().selectAllChildren(source);
      }
    });
  }

  // A link into a fold opens it; on paper the folds marked so are open.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
  };
  addEventListener("hashchange", reveal);
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details.paper:not([open])");
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });

  speak(root.lang.startsWith("zh") ? "zh" : "en");
  reveal();
})();
