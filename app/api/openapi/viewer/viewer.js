// Shows one document at a time: every operation with what it takes, answers and refuses.

import { code, element, json, prose, table } from "./elements.js";
import { fields, resolve } from "./fields.js";

const HEADINGS = ["name", "type", "required", "what it is"];
const METHODS = ["get", "post", "delete"];
const edition = document.getElementById("edition");
const find = document.getElementById("find");
const raw = document.getElementById("raw");
const content = document.getElementById("content");

async function read(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
  return answer.json();
}

async function start() {
  const { documents } = await read("openapi");
  edition.append(...documents.map(({ name, title }) => element("option", { value: name }, title)));
  const [wanted] = location.hash.slice(1).split("/");
  if (documents.some(({ name }) => name === wanted)) edition.value = wanted;
  edition.addEventListener("change", () => {
    history.replaceState(null, "", `#${edition.value}`);
    show();
  });
  find.addEventListener("input", filter);
  await show();
}

async function show() {
  const address = `openapi/${edition.value}.json`;
  const doc = await read(address);
  raw.href = address;
  document.title = doc.info.title;
  content.replaceChildren(
    element("p", { class: "about" }, prose(doc.info.description)),
    security(doc),
    ...doc.tags.map(({ name }) => section(name, doc)),
  );
  filter();
  open();
}

function security(doc) {
  const schemes = Object.values(doc.components.securitySchemes ?? {});
  const ways = schemes.map((scheme) => scheme.description).join(", or ");
  const header = ways ? ` With it goes the header Authorization: ${ways}.` : "";
  return element("p", { class: "about" }, prose(`The appKey in the path says who calls.${header}`));
}

function section(tag, doc) {
  const found = Object.entries(doc.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]?.tags.includes(tag)).map((method) => [method, path, methods[method]]),
  );
  return element("section", {}, element("h2", {}, tag), found.map((one) => operation(one, doc)));
}

function operation([method, path, told], doc) {
  const block = element(
    "details",
    { class: "operation", id: `${edition.value}/${told.operationId}` },
    element(
      "summary",
      {},
      element("span", { class: `method ${method}` }, method.toUpperCase()),
      code(path),
      element("span", { class: "what" }, told.summary),
    ),
  );
  // Only what somebody looks at is made.
  block.addEventListener("toggle", () => fill(block, told, doc), { once: true });
  return block;
}

function fill(block, told, doc) {
  block.append(
    part("Parameters", parameters(told)),
    ...bodies(told, doc),
    ...answers(told.responses["200"].content["application/json"], doc),
  );
}

function part(heading, ...shown) {
  return element("div", { class: "part" }, element("h3", {}, heading), shown);
}

function parameters(told) {
  const rows = told.parameters.map(({ name, in: where, required, schema, example }) => {
    const [{ type, about }] = fields(schema, {}, name);
    const sample = example === undefined ? "" : `; for example ${example}`;
    return [code(name), type, required ? "yes" : "", `in the ${where}; ${about}${sample}`];
  });
  return table(HEADINGS, rows);
}

function bodies(told, doc) {
  return Object.entries(told.requestBody?.content ?? {}).map(([media, { schema, example }]) =>
    part(`Body as ${media}`, fieldTable(schema, doc), example ? json(example) : null),
  );
}

function answers({ schema, examples }, doc) {
  const ways = schema.oneOf.map((way) => [way.$ref.split("/").at(-1), resolve(way, doc)]);
  const good = ways.filter(([, way]) => way.properties.header.properties.isSuccessful.const);
  const bad = ways.filter(([, way]) => !way.properties.header.properties.isSuccessful.const);
  return [
    ...good.map(([name, way]) =>
      part("Answer", fieldTable(way, doc), examples[name] ? json(examples[name].value) : null),
    ),
    part("Refusals", table(["resultCode", "resultMessage"], bad.map(([, way]) => told(way)))),
  ];
}

function told(way) {
  const { resultCode, resultMessage } = way.properties.header.properties;
  return [code(String(resultCode.const)), code(resultMessage.const)];
}

function fieldTable(schema, doc) {
  const rows = fields(schema, doc).map(({ name, type, need, about }) => [code(name), type, need, about]);
  return table(HEADINGS, rows);
}

function filter() {
  const wanted = find.value.trim().toLowerCase();
  for (const block of content.querySelectorAll(".operation")) {
    block.hidden = !block.querySelector("summary").textContent.toLowerCase().includes(wanted);
  }
}

function open() {
  const block = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!block?.matches(".operation")) return;
  block.open = true;
  block.scrollIntoView();
}

start().catch((error) => {
  content.replaceChildren(element("p", { class: "failed", role: "alert" }, `The documents cannot be shown: ${error.message}`));
});
