// Many pictures into one group, two at a time, and what became of each.

import { button, choice, element, field, row, table } from "./dom.js";
import { FACES } from "./groups.js";
import { Refusal } from "./api.js";
import { fromFile, intake, isShrunk, sent } from "./picture.js";

const AT_A_TIME = 2;
const MOST_FACES = 20;
const LONGEST = 255;

// What an externalImageId may hold; anything else becomes "_", and a name of nothing else none.
export function externalId(name) {
  const id = name.replace(/[^a-zA-Z0-9_.:-]/g, "_").slice(-LONGEST);
  return /[a-zA-Z0-9]/.test(id.replace(/\.[a-z]+$/i, "")) ? id : null;
}

export function registering(app, groupId) {
  const state = { limit: 1, label: "name", items: [], running: 0, stopped: false };
  let show = () => {};
  let changed = () => {};

  async function take(files) {
    state.stopped = false;
    state.items.push(...files.map((file) => ({ file, kind: "waiting" })));
    show();
    const started = Math.min(AT_A_TIME - state.running, files.length);
    await Promise.all(Array.from({ length: started }, work));
  }

  async function work() {
    state.running += 1;
    for (let item; !state.stopped && (item = state.items.find(({ kind }) => kind === "waiting")); ) {
      item.kind = "working";
      Object.assign(item, await registered(item.file));
      show();
    }
    state.running -= 1;
    if (state.running === 0) changed();
    show();
  }

  async function registered(file) {
    try {
      const picture = await fromFile(file);
      const label = state.label === "name" ? externalId(picture.name) : null;
      const form = { ...(await sent(picture, "image")), limit: String(state.limit), ...(label && { externalImageId: label }) };
      picture.bitmap?.close();
      const data = await app.ask("POST", `${FACES}/${groupId}/faces`, { form });
      return outcome(data, label, isShrunk(picture));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { kind: "failed", says: app.means(error.code), more: [error.code || "", error.token, error.detail].filter(Boolean).join(" · ") };
    }
  }

  function outcome({ addedFaceCount: added, notAddedFaceCount: left, addedFaces }, label, shrunk) {
    const more = [label, shrunk && app.t("made_smaller")].filter(Boolean).join(" · ");
    if (added > 0) return { kind: "done", says: app.t(left ? "registered_left" : "registered", { n: added, left }), more: more || addedFaces[0].faceId };
    return { kind: "empty", says: app.t(left ? "none_fit" : "no_face"), more };
  }

  const count = (...kinds) => state.items.filter(({ kind }) => kinds.includes(kind)).length;

  function progress() {
    const { items } = state;
    if (!items.length) return [];
    const over = count("done", "empty", "failed");
    return [
      element("div", { class: "row" },
        element("progress", { max: items.length, value: over, "aria-label": app.t("progress") }),
        element("span", { role: "status", id: "progress" }, app.t("progress_told", { over, all: items.length, done: count("done"), failed: count("failed", "empty") })),
        state.running > 0
          ? button(app.t("stop"), () => ((state.stopped = true), (state.items = state.items.filter(({ kind }) => kind !== "waiting")), show()), { class: "small" })
          : button(app.t("clear"), () => ((state.items = []), show()), { class: "small" })),
      table(app.t("results"), [app.t("file"), app.t("result"), app.t("details")], items.map(({ file, kind, says, more }) =>
        row(element("span", { class: "name" }, file.name), element("span", { class: `mark ${kind}` }, says ?? app.t(kind)), element("span", { class: "hint" }, more ?? "")))),
    ];
  }

  return {
    paste: take,
    view(onchange) {
      changed = onchange;
      const output = element("div", { class: "stack" });
      show = () => output.replaceChildren(...progress());
      show();
      const limits = Array.from({ length: MOST_FACES }, (_, at) => [String(at + 1), String(at + 1)]);
      return [
        element("div", { class: "options" },
          field(app.t("faces_per_picture"), choice(limits, String(state.limit), (value) => (state.limit = Number(value)), { id: "limit" })),
          field(app.t("external_id"), choice([["name", app.t("from_name")], ["none", app.t("left_out")]], state.label, (value) => (state.label = value), { id: "label" }))),
        intake(app, { label: app.t("pictures"), many: true, url: false, onfiles: take }),
        output,
      ];
    },
  };
}
