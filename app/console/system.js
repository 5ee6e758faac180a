// System: what serves here, on what terms, and whether it is well.

import { button, card, element, facts, row, table } from "./dom.js";
import { told } from "./panes.js";

export function systemPage(app) {
  function state(name, good, otherwise = "failed") {
    return element("span", { class: `mark ${good ? "done" : otherwise}` }, name);
  }

  function shown({ key, versions, checks, packs }) {
    const well = ({ says, optional }) => state(says === "ok" ? app.t("ok") : says, says === "ok", optional ? "empty" : "failed");
    return [
      card(app.t("health"), facts(checks.map((one) => [one.name, well(one)]))),
      card(app.t("your_key"), facts([[app.t("name"), key.name], [app.t("key_revision"), element("code", {}, key.revision)]]), element("p", { class: "hint" }, app.t("revision_means"))),
      card(
        app.t("packs"),
        table(app.t("packs"), [app.t("pack"), app.t("model"), app.t("licence"), app.t("commercial"), app.heading("spoofing"), app.t("weights")], packs.map((pack) =>
          row(
            element("span", {}, element("strong", {}, pack.name), pack.isDefault && ` (${app.t("default")})`, element("small", { class: "hint wide" }, pack.title)),
            element("code", {}, pack.modelVersion),
            element("span", { class: "wide" }, pack.licence),
            state(pack.commercialUse ? app.t("allowed") : app.t("not_allowed"), pack.commercialUse),
            pack.spoofing ? app.t("yes") : app.t("no"),
            pack.installed ? state(app.t("here"), true) : element("span", { class: "hint" }, app.t("missing")),
          ))),
      ),
      card(app.t("versions"), facts(Object.entries(versions).map(([name, version]) => [name, element("code", {}, version)]))),
    ];
  }

  return {
    view() {
      const output = element("div", { class: "stack" });
      const load = async () => {
        try {
          output.replaceChildren(...shown(await app.system()));
        } catch (error) {
          output.replaceChildren(told(app, error));
        }
      };
      load();
      return [element("div", { class: "bar" }, element("p", { class: "lead" }, app.t("system_says")), button(app.t("refresh"), load, { class: "small" })), output];
    },
  };
}
