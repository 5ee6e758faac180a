// Makes elements out of names, attributes and children. Text is always text, never markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function table(headings, rows) {
  if (rows.length === 0) return null;
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, headings.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, rows.map((cells) => element("tr", {}, cells.map((cell) => element("td", {}, cell))))),
  );
}

export function json(value) {
  return element("pre", {}, element("code", {}, JSON.stringify(value, null, 2)));
}

export function code(text) {
  return element("code", {}, text);
}

// Text with `names` in it.
export function prose(text) {
  return text.split("`").map((part, place) => (place % 2 ? code(part) : part));
}
