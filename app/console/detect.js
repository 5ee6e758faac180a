// Detect & analyse: one picture, everything the server tells of its faces.

import { button, card, check, choice, element, notice, row, table } from "./dom.js";
import { panes, told } from "./panes.js";
import { canvas, fromFile, fromUrl, intake, preview, sent, thumbnail } from "./picture.js";

const LAYERS = ["boxes", "points", "angles", "labels"];

export function detectPage(app) {
  const asked = { orientation: true, mask: true, spoofing: false, spoofingCondition: "balanced" };
  const layers = new Set(LAYERS);
  const state = { picture: null, faces: null, exchange: null, error: null, busy: false, chosen: null };
  let show = () => {};

  async function take(picture) {
    Object.assign(state, { picture, faces: null, exchange: null, error: null, chosen: null });
    await analyse();
  }

  async function analyse() {
    const { picture } = state;
    if (!picture) return;
    Object.assign(state, { busy: true, error: null });
    show();
    try {
      const form = { ...(await sent(picture, "image")), ...texts(asked) };
      const data = await app.ask("POST", "v2.0/appkeys/{appKey}/faces/detect", { form, seen: (exchange) => (state.exchange = exchange) });
      if (state.picture === picture) Object.assign(state, { faces: data.faceDetails, chosen: null });
    } catch (error) {
      Object.assign(state, { error, faces: null });
    }
    state.busy = false;
    show();
  }

  function texts({ spoofing, spoofingCondition, ...flags }) {
    const told = spoofing ? { spoofing, spoofingCondition } : {};
    return Object.fromEntries(Object.entries({ ...flags, ...told }).map(([name, value]) => [name, String(value)]));
  }

  function mark(face, at) {
    const few = state.faces.length <= 4 || state.chosen === at;
    const label = [`${at + 1} · ${app.number(face.confidence, 1)}`];
    if (few && face.orientation) label.push(app.turn(face.orientation));
    const signs = [face.mask && app.t("mask"), face.spoofing === true && app.t("spoof"), face.spoofing === false && app.t("live")];
    if (few && signs.some(Boolean)) label.push(signs.filter(Boolean).join(" · "));
    return {
      box: face.bbox,
      kind: `${face.spoofing ? "bad" : ""} ${layers.has("boxes") ? "" : "boxless"}`,
      points: layers.has("points") ? face.landmarks : [],
      turn: layers.has("angles") ? face.orientation : null,
      label: layers.has("labels") ? label : [],
    };
  }

  function choose(at) {
    state.chosen = state.chosen === at ? null : at;
    show();
  }

  function picked(label, at) {
    return button(label, () => (choose(at), document.getElementById(`face-${at}`)?.focus()), {
      id: `face-${at}`, class: "small", "aria-pressed": String(state.chosen === at), "aria-label": app.t("show_face", { n: at + 1 }),
    });
  }

  function faceRow(face, at) {
    const yes = (value) => (value === undefined ? "–" : value ? app.t("yes") : app.t("no"));
    const made = row(
      element("span", { class: "row" }, picked(String(at + 1), at), thumbnail(state.picture, face.bbox)),
      app.number(face.confidence, 3),
      element("span", { class: "whole" }, face.orientation ? app.turn(face.orientation) : "–"),
      yes(face.mask),
      face.spoofing === undefined ? "–" : face.spoofing ? app.t("spoof") : app.t("live"),
      element("code", {}, ["x0", "y0", "x1", "y1"].map((name) => face.bbox[name].toFixed(3)).join(" ")),
    );
    if (state.chosen === at) made.classList.add("chosen");
    return made;
  }

  function results() {
    const { picture, faces, error, busy, exchange, chosen } = state;
    if (!picture) return [];
    const marks = (faces ?? []).map(mark);
    return [
      error && told(app, error),
      card(
        null,
        preview(app, picture),
        busy && notice("", app.t("working")),
        faces && element("p", { role: "status", id: "count" }, app.t("faces_found", { n: faces.length })),
        element("div", { class: "stage" }, canvas(app, picture, marks, { chosen, onchoose: choose })),
      ),
      faces?.length > 0 && card(
        app.t("faces"),
        table(app.t("faces"), ["face", "confidence", "angles", "mask", "spoofing", "box"].map(app.heading), faces.map(faceRow)),
      ),
      panes(app, exchange),
    ];
  }

  function options() {
    const able = app.spoofing;
    const again = (name) => (value) => ((asked[name] = value), analyse());
    return [
      element(
        "fieldset",
        {},
        element("legend", {}, app.t("ask_for")),
        check(app.t("angles"), asked.orientation, again("orientation")),
        check(app.t("mask"), asked.mask, again("mask")),
        check(app.t("spoofing"), asked.spoofing && able, again("spoofing"), { disabled: !able, id: "spoofing" }),
        able
          ? choice(["weak", "balanced", "strict"].map((name) => [name, app.t(name)]), asked.spoofingCondition, again("spoofingCondition"), { "aria-label": app.t("spoofing_condition") })
          : element("small", { class: "hint" }, app.t("no_spoofing")),
      ),
      element(
        "fieldset",
        {},
        element("legend", {}, app.t("draw")),
        LAYERS.map((name) => check(app.t(name), layers.has(name), (on) => (on ? layers.add(name) : layers.delete(name), show()))),
      ),
    ];
  }

  return {
    paste: async ([file]) => take(await fromFile(file)),
    view() {
      const output = element("div", { class: "stack" });
      show = () => output.replaceChildren(...results().filter(Boolean));
      show();
      return [
        card(
          null,
          intake(app, { label: app.t("picture"), onfiles: async ([file]) => take(await fromFile(file)), onurl: (url) => take(fromUrl(url)) }),
          element("div", { class: "options" }, options()),
        ),
        output,
      ];
    },
  };
}
