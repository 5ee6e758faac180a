// Flattens a JSON schema into rows that a person can read: name, type, need, what else is known.

export function resolve(schema, doc) {
  if (!schema.$ref) return schema;
  const found = schema.$ref.slice(2).split("/").reduce((place, part) => place[part], doc);
  return resolve(found, doc);
}

// Every field below `schema`, spelled as the guides do: data.groups[].groupId
export function fields(schema, doc, path = "", need = "") {
  const plain = resolve(schema, doc);
  const rows = path ? [{ name: path, type: typeOf(plain), need, about: about(plain) }] : [];
  if (plain.type === "array") return [...rows, ...fields(plain.items, doc, `${path}[]`).slice(1)];
  for (const [name, field] of Object.entries(properties(plain))) {
    const required = (plain.required ?? []).includes(name) ? "yes" : either(plain, name);
    rows.push(...fields(field, doc, path ? `${path}.${name}` : name, required));
  }
  return rows;
}

// The fields of an object, also where it is one of several ways to say the same.
function properties(schema) {
  const ways = (schema.oneOf ?? []).map((way) => way.properties ?? {});
  const named = Object.assign({}, ...ways.toReversed().map(notNull), schema.properties ?? {});
  return schema.type === "object" ? named : {};
}

function notNull(named) {
  return Object.fromEntries(Object.entries(named).filter(([, field]) => field.type !== "null"));
}

function either(schema, name) {
  const groups = [schema, ...(schema.allOf ?? [])].map((group) => group.oneOf ?? []);
  const choice = groups.find((ways) => ways.some((way) => (way.required ?? []).includes(name)));
  if (!choice) return "";
  return `one of ${choice.flatMap((way) => way.required).join(", ")}`;
}

function typeOf(schema) {
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.enum) return "string";
  if (schema.format === "binary") return "file";
  if (schema.contentEncoding) return schema.contentEncoding;
  return schema.type ?? typeof schema.const;
}

function about(schema) {
  const inner = (schema.anyOf ?? []).map(about).filter(Boolean);
  const known = [
    range(schema),
    schema.const === undefined ? null : `always ${JSON.stringify(schema.const)}`,
    schema.enum ? `one of ${schema.enum.join(", ")}` : null,
    schema.pattern ? `matches ${schema.pattern}` : null,
    schema.default === undefined ? null : `default ${JSON.stringify(schema.default)}`,
    schema.description,
  ];
  return [...known.filter(Boolean), ...inner].join("; ");
}

function range({ minimum, maximum, minItems, maxItems, maxLength }) {
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  if (minimum !== undefined) return `at least ${minimum}`;
  if (maxItems !== undefined && maxItems === minItems) return `exactly ${maxItems}`;
  if (maxItems !== undefined) return `at most ${maxItems}`;
  return maxLength === undefined ? null : `at most ${maxLength} characters`;
}
