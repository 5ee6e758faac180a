// What was sent and what came back, to read and to take away.

import { button, element, notice } from "./dom.js";
import { asCurl, Refusal } from "./api.js";

export function panes(app, exchange) {
  if (!exchange) return null;
  const told = app.t("answered", { status: exchange.status, ms: Math.round(exchange.ms), id: exchange.request ?? "" });
  return element(
    "section",
    { class: "panes", "aria-label": app.t("exchange") },
    pane(app, app.t("request"), asCurl(exchange.sent), app.t("copy_curl"), app.t("keys_as_variables")),
    pane(app, app.t("response"), JSON.stringify(exchange.answer, null, 2), app.t("copy_json"), told),
  );
}

function pane(app, title, text, copy, hint) {
  const taken = button(copy, async () => {
    await copied(text);
    taken.textContent = app.t("copied");
    setTimeout(() => (taken.textContent = copy), 1500);
  }, { class: "small" });
  return element(
    "div",
    { class: "pane" },
    element("div", { class: "bar" }, element("h2", {}, title), taken),
    element("pre", { tabindex: "0", "aria-label": title }, text),
    element("p", { class: "hint" }, hint),
  );
}

// The clipboard's own interface is there on https and localhost only.
async function copied(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const held = element("textarea", { class: "unseen", "aria-hidden": "true", value: text });
  document.body.append(held);
  held.select();
  document.execCommand("copy");
  held.remove();
}

// An error as a person reads it: what it means here, then what the server said.
export function told(app, error) {
  if (!(error instanceof Refusal)) throw error;
  const means = app.means(error.code);
  return notice(
    "bad",
    element("strong", {}, means),
    element("span", { class: "hint" }, [error.code || "", error.token, error.detail].filter(Boolean).join(" · ")),
  );
}
