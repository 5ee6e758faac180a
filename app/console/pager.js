// Turns the pages of a list that continues by tokens.

import { button, element } from "./dom.js";

export function pager(load) {
  let tokens = [""];
  let next = "";

  async function read() {
    const page = await load(tokens.at(-1));
    next = page.nextToken;
    return page;
  }

  return {
    first: () => ((tokens = [""]), read()),
    again: read,
    next: () => (tokens.push(next), read()),
    back: () => (tokens.pop(), read()),
    bar(app, turn) {
      if (tokens.length === 1 && !next) return "";
      return element(
        "nav",
        { class: "row", "aria-label": app.t("pages") },
        button(app.t("back"), () => turn("back"), { disabled: tokens.length === 1 }),
        element("span", { class: "hint" }, app.t("page_n", { n: tokens.length })),
        button(app.t("next"), () => turn("next"), { disabled: !next }),
      );
    },
  };
}
