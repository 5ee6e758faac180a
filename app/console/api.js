// Asks the server this page came from. The keys live here, in memory, and are never shown again.

const RETRIES = 3;

export class Refusal extends Error {
  constructor(code, token, detail) {
    super(`${code} ${token}`);
    Object.assign(this, { code, token, detail });
  }
}

export class Session {
  #appKey;
  #secretKey;

  constructor(appKey, secretKey) {
    this.#appKey = appKey;
    this.#secretKey = secretKey;
  }

  // The answer's data. `seen` is told of the exchange, refused or not. Throws `Refusal`.
  async ask(method, path, { json, form, query, seen } = {}) {
    const sent = { method, path, json, form, query };
    for (let attempt = 1; ; attempt += 1) {
      const exchange = await this.#exchange(sent);
      const { isSuccessful, resultCode, resultMessage } = exchange.answer.header;
      if (isSuccessful) {
        seen?.(exchange);
        return { code: resultCode, ...exchange.answer.data };
      }
      if (exchange.wait && attempt < RETRIES) {
        await new Promise((done) => setTimeout(done, exchange.wait * 1000));
        continue;
      }
      seen?.(exchange);
      throw new Refusal(resultCode, resultMessage, exchange.detail);
    }
  }

  async #exchange(sent) {
    // What a header cannot carry is no key of ours.
    if (/[^\x21-\x7e]/.test(this.#secretKey)) throw new Refusal(-41005, "UnauthorizedAppKeyOrSecretKey", null);
    const began = performance.now();
    const response = await answered(new URL(filled(sent, encodeURIComponent(this.#appKey)), document.baseURI), {
      method: sent.method,
      headers: { Authorization: this.#secretKey, ...(sent.json && { "Content-Type": "application/json" }) },
      body: sent.json ? JSON.stringify(sent.json) : sent.form ? parts(sent.form) : null,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    return {
      sent,
      answer: await envelope(response),
      status: response.status,
      detail: response.headers.get("X-Error-Detail"),
      request: response.headers.get("X-Request-Id"),
      wait: Number(response.headers.get("Retry-After")),
      ms: performance.now() - began,
    };
  }
}

async function answered(url, how) {
  try {
    return await fetch(url, how);
  } catch {
    throw new Refusal(0, "NetworkError", null);
  }
}

async function envelope(response) {
  try {
    const answer = await response.json();
    if (answer.header) return answer;
  } catch {
    // What is no JSON is told as no answer.
  }
  throw new Refusal(response.status, "NoEnvelope", null);
}

function parts(form) {
  const made = new FormData();
  for (const [name, value] of Object.entries(form)) {
    if (value?.blob) made.append(name, value.blob, value.name);
    else made.append(name, value);
  }
  return made;
}

// More than URLs need is encoded, so that an address can stand in a shell's quotes.
export function encoded(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function filled({ path, query = {} }, appKey) {
  const asked = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const tail = asked.map(([name, value]) => `${encoded(name)}=${encoded(value)}`).join("&");
  return `${path.replace("{appKey}", appKey)}${tail && `?${tail}`}`;
}

// The same request for a shell, the keys as variables: it can be pasted anywhere without giving them away.
export function asCurl({ method, path, query, json, form }) {
  const url = new URL("./", document.baseURI).href + filled({ path, query }, "$APP_KEY");
  const lines = [`curl${method === "GET" || form || json ? "" : ` -X ${method}`} "${url}"`, '-H "Authorization: $SECRET_KEY"'];
  if (json) lines.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(json))}`);
  for (const [name, value] of Object.entries(form ?? {})) lines.push(part(name, value));
  return lines.join(" \\\n  ");
}

function part(name, value) {
  if (!value?.blob) return `--form-string ${quoted(`${name}=${value}`)}`;
  return `-F ${quoted(`${name}=@"${value.name.replace(/["\\]/g, "\\$&")}"`)}`;
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
