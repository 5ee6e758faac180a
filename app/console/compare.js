// Compare: the largest face of one picture with every face of another, sorted anew at each threshold.

import { button, card, drawn, element, notice } from "./dom.js";
import { panes, told } from "./panes.js";
import { canvas, fromFile, fromUrl, intake, preview, sent, thumbnail } from "./picture.js";

const SIDES = ["source", "target"];

export function comparePage(app) {
  const state = { source: null, target: null, threshold: 90, answer: null, exchange: null, error: null, busy: false };
  let show = () => {};
  let sort = () => {};

  async function take(side, picture) {
    Object.assign(state, { [side]: picture, answer: null, exchange: null, error: null });
    show();
    await compare();
  }

  async function compare() {
    const { source, target, threshold } = state;
    if (!source || !target) return;
    Object.assign(state, { busy: true, error: null });
    show();
    try {
      const form = { ...(await sent(source, "sourceImage")), ...(await sent(target, "targetImage")), threshold: String(threshold) };
      const data = await app.ask("POST", "v2.0/appkeys/{appKey}/faces/compare", { form, seen: (exchange) => (state.exchange = exchange) });
      if (state.source === source && state.target === target) state.answer = together(data);
    } catch (error) {
      Object.assign(state, { error, answer: null });
    }
    state.busy = false;
    show();
  }

  // The server's two lists as one: whether a face matches is decided here, at every threshold.
  function together({ sourceFace, matchedFaceDetails, unmatchedFaceDetails }) {
    const faces = [...matchedFaceDetails, ...unmatchedFaceDetails];
    return { sourceFace, faces: faces.sort((one, other) => other.similarity - one.similarity) };
  }

  const matches = ({ similarity }) => similarity >= state.threshold;

  function slot(side, area) {
    return card(
      app.t(side),
      element("p", { class: "hint" }, app.t(`${side}_hint`)),
      intake(app, { label: app.t(side), onfiles: async ([file]) => take(side, await fromFile(file)), onurl: (url) => take(side, fromUrl(url)) }),
      area,
    );
  }

  function shown(side) {
    const picture = state[side];
    return picture ? [preview(app, picture, () => take(side, null)), element("div", { class: `stage ${side}` }, canvas(app, picture, marks(side)))] : [];
  }

  function marks(side) {
    if (!state.answer) return [];
    const { sourceFace, faces } = state.answer;
    if (side === "source") return [{ box: sourceFace.bbox, label: [app.t("largest")], kind: "source" }];
    return faces.map((face) => ({ box: face.faceDetail.bbox, label: [app.number(face.similarity, 1)], kind: matches(face) ? "good" : "faint" }));
  }

  // From the middle of the source's face to each other face, over both pictures.
  function lines(stage) {
    const [from, to] = SIDES.map((side) => stage.querySelector(`.${side} .frame`));
    if (!state.answer || !from || !to) return [];
    const origin = stage.getBoundingClientRect();
    const at = (frame, { x0, x1, y0, y1 }) => {
      const place = frame.getBoundingClientRect();
      return [place.left - origin.left + ((x0 + x1) / 2) * place.width, place.top - origin.top + ((y0 + y1) / 2) * place.height];
    };
    const [x1, y1] = at(from, state.answer.sourceFace.bbox);
    return [...state.answer.faces].reverse().map((face) => {
      const [x2, y2] = at(to, face.faceDetail.bbox);
      return drawn("line", { class: matches(face) ? "good" : "faint", x1, y1, x2, y2 });
    });
  }

  function list(name, faces) {
    return card(
      app.t(name, { n: faces.length }),
      element("ol", { class: "faces", id: name }, faces.map((face) =>
        element(
          "li",
          {},
          thumbnail(state.target, face.faceDetail.bbox),
          element("meter", { min: 0, max: 100, value: face.similarity, "aria-label": app.t("similarity") }),
          element("span", {}, app.number(face.similarity, 3)),
        ))),
      faces.length === 0 && element("p", { class: "hint" }, app.t("none")),
    );
  }

  function slider() {
    const shown = element("output", { class: "figure", for: "threshold" });
    const meaning = element("p", { class: "hint" });
    const tell = () => {
      shown.value = String(state.threshold);
      meaning.textContent = app.strangers(state.threshold);
    };
    const range = element("input", {
      type: "range", id: "threshold", min: 1, max: 100, step: 1, value: state.threshold,
      oninput: () => ((state.threshold = Number(range.value)), tell(), sort()),
    });
    tell();
    return card(null, element("div", { class: "row" }, element("label", { for: "threshold" }, app.t("threshold")), range, shown), meaning);
  }

  return {
    paste: async ([file]) => take(state.source ? "target" : "source", await fromFile(file)),
    view() {
      const areas = SIDES.map(() => element("div", { class: "stack" }));
      const over = drawn("svg", { class: "lines", "aria-hidden": "true" });
      const stage = element("div", { class: "pair" }, SIDES.map((side, at) => slot(side, areas[at])), over);
      const lists = element("div", { class: "pair" });
      const status = element("div", { class: "stack" });
      const below = element("div", { class: "stack" });
      sort = () => {
        const faces = state.answer?.faces ?? [];
        stage.querySelectorAll(".target .face").forEach((mark, at) => {
          mark.classList.toggle("good", matches(faces[at]));
          mark.classList.toggle("faint", !matches(faces[at]));
        });
        over.replaceChildren(...lines(stage));
        if (state.answer) lists.replaceChildren(list("matched", faces.filter(matches)), list("unmatched", faces.filter((face) => !matches(face))));
        else lists.replaceChildren();
      };
      show = () => {
        SIDES.forEach((side, at) => areas[at].replaceChildren(...shown(side)));
        status.replaceChildren(...[state.busy && notice("", app.t("working")), state.error && refused(state.error)].filter(Boolean));
        below.replaceChildren(...[panes(app, state.exchange)].filter(Boolean));
        sort();
      };
      new ResizeObserver(() => over.replaceChildren(...lines(stage))).observe(stage);
      show();
      return [stage, status, slider(), lists, below];
    },
  };

  function refused(error) {
    return element("div", { class: "stack" }, told(app, error), button(app.t("again"), compare));
  }
}
