// Who of a group looks like a picture, or like one of its own faces.

import { button, element, field, notice, row, table } from "./dom.js";
import { FACES } from "./groups.js";
import { panes, told } from "./panes.js";
import { canvas, fromFile, fromUrl, intake, preview, sent } from "./picture.js";

export function searching(app, groupId, remove) {
  const state = { limit: 10, threshold: 80, picture: null, face: null, answer: null, exchange: null, error: null, busy: false };
  let show = () => {};

  const seen = (exchange) => (state.exchange = exchange);

  async function search() {
    const { picture, face, limit, threshold } = state;
    if (!picture && !face) return;
    Object.assign(state, { busy: true, error: null, answer: null, exchange: null });
    show();
    try {
      if (picture) {
        const form = { ...(await sent(picture, "image")), limit: String(limit), threshold: String(threshold) };
        state.answer = await app.ask("POST", `${FACES}/${groupId}/faces/search`, { form, seen });
      } else {
        state.answer = await app.ask("GET", `${FACES}/${groupId}/faces/${face.faceId}/search`, { query: { limit, threshold }, seen });
      }
    } catch (error) {
      state.error = error;
    }
    state.busy = false;
    show();
  }

  const byPicture = (picture) => (Object.assign(state, { picture, face: null }), search());
  const byFace = (face) => (Object.assign(state, { picture: null, face }), search());

  function match({ face, similarity }) {
    const gone = async () => {
      try {
        if (await remove(face)) await search();
      } catch (error) {
        Object.assign(state, { error });
        show();
      }
    };
    return row(
      element("span", { class: "row" }, element("meter", { min: 0, max: 100, value: similarity, "aria-label": app.t("similarity") }), app.number(similarity, 3)),
      face.externalImageId ?? "–",
      element("code", {}, face.faceId),
      element("span", { class: "row" }, button(app.t("find_alike"), () => byFace(face), { class: "small" }), button(app.t("delete"), gone, { class: "small danger-text" })),
    );
  }

  function results() {
    const { picture, face, answer, error, busy, exchange } = state;
    const source = answer?.sourceFace;
    return [
      error && told(app, error),
      face && notice("", app.t("alike_to", { face: face.externalImageId ?? face.faceId })),
      picture && preview(app, picture),
      picture && element("div", { class: "stage low" }, canvas(app, picture, source ? [{ box: source.bbox, points: source.landmarks, label: [app.t("largest")] }] : [])),
      busy && notice("", app.t("working")),
      answer && element("p", { role: "status", id: "matches" }, app.t("matches_found", { n: answer.matchFaceCount })),
      answer?.matchFaceCount > 0 && table(app.t("matches"), [app.t("similarity"), app.t("external_id"), app.t("face_id"), ""], answer.matchFaces.map(match)),
      panes(app, exchange),
    ].filter(Boolean);
  }

  function whole(name, low, high) {
    const input = element("input", {
      type: "number", id: `search-${name}`, min: low, max: high, step: 1, required: true, value: String(state[name]),
      onchange: () => input.reportValidity() && ((state[name] = Number(input.value)), (meaning.textContent = app.strangers(state.threshold)), search()),
    });
    return input;
  }
  let meaning = null;

  return {
    byFace,
    paste: async ([file]) => byPicture(await fromFile(file)),
    view() {
      meaning = element("p", { class: "hint" }, app.strangers(state.threshold));
      const output = element("div", { class: "stack" });
      show = () => output.replaceChildren(...results());
      show();
      return [
        element("div", { class: "options" }, field(app.t("threshold"), whole("threshold", 1, 100)), field(app.t("at_most"), whole("limit", 1, 100))),
        meaning,
        intake(app, { label: app.t("picture"), onfiles: async ([file]) => byPicture(await fromFile(file)), onurl: (url) => byPicture(fromUrl(url)) }),
        output,
      ];
    },
  };
}
