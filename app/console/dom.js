// Makes elements out of names, attributes and children. Text is always text, never markup.

const SVG = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, ...children) {
  return furnished(document.createElement(name), attributes, children);
}

export function drawn(name, attributes = {}, ...children) {
  return furnished(document.createElementNS(SVG, name), attributes, children);
}

// `on…` takes functions only, so no text can become a handler.
function furnished(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked" || key === "disabled") made[key] = value;
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false).map(asNode));
  return made;
}

function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

export function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", ...attributes, onclick }, text);
}

export function field(label, control, hint = null) {
  return element("label", { class: "field" }, element("span", {}, label), control, hint && element("small", {}, hint));
}

export function check(label, checked, onchange, attributes = {}) {
  const box = element("input", { type: "checkbox", checked, ...attributes, onchange: () => onchange(box.checked) });
  return element("label", { class: "check" }, box, label);
}

export function choice(options, value, onchange, attributes = {}) {
  const made = element(
    "select",
    { ...attributes, onchange: () => onchange(made.value) },
    options.map(([key, text]) => element("option", { value: key }, text)),
  );
  made.value = value;
  return made;
}

export function table(caption, headings, rows) {
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, headings.map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, rows),
    ),
  );
}

export function row(...cells) {
  return element("tr", {}, cells.map((cell) => element("td", {}, cell)));
}

export function card(title, ...children) {
  return element("section", { class: "card" }, title && element("h2", {}, title), ...children);
}

export function facts(pairs) {
  return element("dl", { class: "facts" }, pairs.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

// Said where it stands and, as a live region, aloud.
export function notice(kind, ...children) {
  return element("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "status" }, ...children);
}

// Asks before something is lost. `word` has to be typed where there is one.
export function confirmed(app, title, text, word = null) {
  return new Promise((resolve) => {
    const typed = element("input", { autocomplete: "off", spellcheck: "false", oninput: () => arm() });
    const go = element("button", { type: "submit", class: "danger" }, app.t("delete"));
    const arm = () => (go.disabled = word !== null && typed.value !== word);
    const dialog = element(
      "dialog",
      { "aria-labelledby": "asked", onclose: () => (dialog.remove(), resolve(dialog.returnValue === "yes")) },
      element(
        "form",
        { onsubmit: (event) => (event.preventDefault(), dialog.close("yes")) },
        element("h2", { id: "asked" }, title),
        element("p", {}, text),
        word !== null && field(app.t("type_to_confirm", { word }), typed),
        element("div", { class: "actions" }, button(app.t("cancel"), () => dialog.close("no")), go),
      ),
    );
    arm();
    document.body.append(dialog);
    dialog.showModal();
  });
}
