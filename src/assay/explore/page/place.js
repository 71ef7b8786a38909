// Where the page is: a hash for every view and what is chosen in it; what all views say when something goes wrong.

import { h, t } from "./dom.js";
import { entries, Refused } from "./net.js";

export const NAMES = ["overview", "studies", "runs", "documents", "mixtures", "calibration", "models"];
export const REDRAW = "assay-redraw";

/** #/view/id?key=value: a place in the page. The overview has no name there. */
export const place = () => {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "", ident = ""] = path.split("/").map(decodeURIComponent);
  return { view: NAMES.includes(view) ? view : NAMES[0], ident, query: new URLSearchParams(query) };
};
export const link = (view, ident = "", query = {}) => {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false);
  const asked = new URLSearchParams(kept).toString();
  return `#/${view === NAMES[0] ? "" : view}${ident ? "/" + encodeURIComponent(ident) : ""}${asked ? "?" + asked : ""}`;
};
/** Say where the page is without drawing it anew. */
export const at = (view, ident, query) => history.replaceState(null, "", link(view, ident, query));

/** Draw the view anew. */
export const redraw = () => dispatchEvent(new Event(REDRAW));

/** Look through the folders again. */
export const refresh = async () => {
  await entries(true);
  redraw();
};

/** An error as the page shows it. */
export const trouble = (error) => {
  if (!(error instanceof Refused)) console.warn(error);
  const lost = error instanceof TypeError && /fetch|network/i.test(error.message);
  return h("div", { class: "note warn", role: "alert" },
    h("p", {}, h("b", {}, t("explore.trouble")), " ", lost ? t("explore.lost") : error.message),
    h("p", {}, h("button", { type: "button", class: "button", onclick: redraw }, t("explore.again"))));
};
