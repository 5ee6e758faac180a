// Accuracy: how often a pack is wrong at each threshold, as its own measurements say.

import { card, choice, drawn, element, facts, field, row, table } from "./dom.js";
import { told } from "./panes.js";

const WIDTH = Math.max(330, Math.min(760, window.innerWidth - 60)); // px, so that its texts keep their size
const [HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [320, 76, 38, 12, 14];
const STEP = WIDTH < 500 ? 20 : 10;
const DECADES = 8;
const FLOOR = 10 ** -DECADES;
const ENOUGH = 50; // pairs beyond a threshold; with fewer a rate is drawn out of others
const SHOWN = [50, 60, 70, 75, 80, 85, 90, 95, 99];

// Between two points of the table along a straight line of the logarithm, as a tail of errors falls.
export function rateAt(similarity, rates, threshold) {
  const at = similarity.findIndex((value) => value >= threshold);
  if (at <= 0) return rates[Math.max(0, at)];
  const share = (threshold - similarity[at - 1]) / (similarity[at] - similarity[at - 1]);
  const [low, high] = [rates[at - 1], rates[at]];
  if (low === 0 || high === 0) return low + share * (high - low);
  return low ** (1 - share) * high ** share;
}

export function accuracyPage(app) {
  const state = { threshold: 90, faces: 1000, pack: null };

  const x = (similarity) => LEFT + (similarity / 100) * (WIDTH - LEFT - RIGHT);
  const y = (rate) => TOP + (Math.log10(Math.max(rate, FLOOR)) / -DECADES) * (HEIGHT - TOP - BOTTOM);

  const measured = (pack, rate) => rate * pack.differentPairs >= ENOUGH;

  function path(points) {
    // Nought has no place on a scale of powers.
    return points.filter(([, rate]) => rate > 0).map(([s, rate], at) => `${at ? "L" : "M"}${x(s).toFixed(1)} ${y(rate).toFixed(1)}`).join("");
  }

  function chart(pack) {
    const { similarity, falseMatches: wrong, falseRejections: missed } = pack;
    const matches = similarity.map((s, at) => [s, wrong[at]]);
    const sure = matches.filter(([, rate]) => measured(pack, rate));
    const drawnOut = [sure.at(-1), ...matches.filter(([, rate]) => !measured(pack, rate))].filter(Boolean);
    const marker = drawn("line", { class: "marker", y1: TOP, y2: HEIGHT - BOTTOM });
    const made = drawn(
      "svg",
      { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": app.t("chart_says") },
      Array.from({ length: DECADES + 1 }, (_, at) => [
        drawn("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(10 ** -at), y2: y(10 ** -at) }),
        drawn("text", { x: LEFT - 8, y: y(10 ** -at) + 4, "text-anchor": "end" }, app.share(10 ** -at)),
      ]),
      Array.from({ length: 100 / STEP + 1 }, (_, at) => at * STEP).map((s) => drawn("text", { x: x(s), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, String(s))),
      drawn("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, app.t("threshold")),
      drawn("path", { class: "curve wrong", d: path(sure) }),
      drawn("path", { class: "curve wrong out", d: path(drawnOut) }),
      drawn("path", { class: "curve missed", d: path(similarity.map((s, at) => [s, missed[at]])) }),
      marker,
    );
    const move = () => (marker.setAttribute("x1", x(state.threshold)), marker.setAttribute("x2", x(state.threshold)));
    return { made, move };
  }

  function figures(pack) {
    const { threshold, faces } = state;
    const wrong = rateAt(pack.similarity, pack.falseMatches, threshold);
    const missed = rateAt(pack.similarity, pack.falseRejections, threshold);
    return facts([
      [app.t("false_matches"), element("span", { id: "false-matches" }, element("strong", { class: "figure" }, app.oneIn(wrong)), " ", measured(pack, wrong) ? "" : app.t("drawn_out"))],
      [app.t("false_rejections"), element("span", { id: "false-rejections" }, element("strong", { class: "figure" }, app.share(missed)))],
      [app.t("in_a_search", { n: app.number(faces, 0) }), element("strong", { class: "figure" }, app.share(1 - (1 - wrong) ** faces))],
    ]);
  }

  function shown(pack) {
    const { made, move } = chart(pack);
    const output = element("div", { "aria-live": "polite" });
    const value = element("output", { class: "figure", for: "at" });
    const tell = () => {
      value.value = String(state.threshold);
      output.replaceChildren(figures(pack));
      move();
    };
    const at = element("input", { type: "range", id: "at", min: 1, max: 100, step: 1, value: state.threshold, oninput: () => ((state.threshold = Number(at.value)), tell()) });
    const many = element("input", {
      type: "number", id: "many", min: 1, max: 100000, step: 1, value: String(state.faces),
      oninput: () => many.validity.valid && many.value && ((state.faces = Number(many.value)), tell()),
    });
    tell();
    return [
      card(
        null,
        element("div", { class: "row" }, element("label", { for: "at" }, app.t("threshold")), at, value, field(app.t("faces_in_group"), many)),
        output,
        made,
        element("p", { class: "legend" }, element("span", { class: "key wrong" }), app.t("false_matches"), element("span", { class: "key missed" }), app.t("false_rejections"), element("span", { class: "key out" }), app.t("drawn_out")),
      ),
      card(
        app.t("table"),
        table(app.t("table"), [app.t("threshold"), app.t("false_matches"), app.t("false_rejections")], SHOWN.map((s) => {
          const wrong = rateAt(pack.similarity, pack.falseMatches, s);
          return row(String(s), `${app.oneIn(wrong)}${measured(pack, wrong) ? "" : ` (${app.t("drawn_out")})`}`, app.share(rateAt(pack.similarity, pack.falseRejections, s)));
        })),
      ),
      card(app.t("measured_on"), element("p", {}, pack.provenance), element("p", { class: "hint" }, app.t("pairs", { same: app.number(pack.samePairs, 0), different: app.number(pack.differentPairs, 0) }))),
    ];
  }

  return {
    view() {
      const output = element("div", { class: "stack" });
      const head = element("div", { class: "narrow" });
      app.curves().then(
        (packs) => {
          const names = packs.map(({ name, isDefault }) => [name, isDefault ? app.t("in_use", { pack: name }) : name]);
          const of = (name) => packs.find((pack) => pack.name === name) ?? packs.find(({ isDefault }) => isDefault) ?? packs[0];
          const open = (name) => ((state.pack = name), output.replaceChildren(...shown(of(name))));
          if (!packs.length) return output.replaceChildren(element("p", { class: "hint" }, app.t("no_curve")));
          head.replaceChildren(field(app.t("pack"), choice(names, of(state.pack).name, open, { id: "pack" })));
          open(of(state.pack).name);
        },
        (error) => output.replaceChildren(told(app, error)),
      );
      return [element("p", { class: "lead" }, app.t("accuracy_says")), head, output];
    },
  };
}
