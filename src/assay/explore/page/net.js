// Questions to the server: one form of error, one bar that tells that something is on its way.

let waiting = 0;
const tell = (by) => {
  waiting += by;
  document.getElementById("progress").hidden = waiting === 0;
};

export class Refused extends Error {}

const refused = async (answer) => {
  let message = `${answer.status} ${answer.statusText}`;
  try {
    message = (await answer.json()).error.message;
  } catch {
    // the status has to do
  }
  return new Refused(message);
};

export const get = async (path, signal) => {
  tell(1);
  try {
    const answer = await fetch(path, { signal });
    if (!answer.ok) throw await refused(answer);
    return await answer.json();
  } finally {
    tell(-1);
  }
};

export const post = async (path, body, signal) => {
  tell(1);
  try {
    const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
    if (!answer.ok) throw await refused(answer);
    return await answer.json();
  } finally {
    tell(-1);
  }
};

/** Lines of JSON, as they come. */
export async function* lines(path, body, signal) {
  tell(1);
  try {
    const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
    if (!answer.ok) throw await refused(answer);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let held = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (held + value).split("\n");
      held = parts.pop();
      for (const part of parts) if (part) yield JSON.parse(part);
    }
  } finally {
    tell(-1);
  }
}

let catalog = null;
/** What lies in the folders; asked once, and again where `fresh`. */
export const entries = async (fresh = false) => {
  if (catalog === null || fresh) catalog = await get("/api/catalog" + (fresh ? "?fresh=true" : ""));
  return catalog;
};
export const of = async (...kinds) => (await entries()).entries.filter((one) => kinds.includes(one.kind));
