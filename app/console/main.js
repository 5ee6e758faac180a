// Puts the console together: who is signed in, which page is open, in which language.

import { accuracyPage, rateAt } from "./accuracy.js";
import { Refusal, Session } from "./api.js";
import { comparePage } from "./compare.js";
import { detectPage } from "./detect.js";
import { button, choice, element, field } from "./dom.js";
import { groupPage } from "./group.js";
import { groupsPage } from "./groups.js";
import { told } from "./panes.js";
import { systemPage } from "./system.js";
import { LANGUAGES, phrase } from "./words.js";

const PAGES = { detect: detectPage, compare: comparePage, groups: groupsPage, accuracy: accuracyPage, system: systemPage };
const IDLE = 15 * 60 * 1000; // ms without a key or a click until the keys are forgotten
const THEMES = ["system", "light", "dark"];
const GROUP_ID = /^[a-z0-9-]{1,255}$/;

const root = document.getElementById("app");
const aloud = element("div", { class: "toast", role: "status", "aria-live": "polite" });

// Language and theme are all that outlives the page; keys never do.
function kept(name, known, otherwise) {
  try {
    const value = localStorage.getItem(`facereco.${name}`);
    return known.includes(value) ? value : otherwise;
  } catch {
    return otherwise;
  }
}

function keep(name, value) {
  try {
    localStorage.setItem(`facereco.${name}`, value);
  } catch {
    // It lasts as long as the page, then.
  }
}

const app = {
  session: null,
  spoofing: false,
  key: "",
  pages: new Map(),
  language: kept("language", LANGUAGES, navigator.language.startsWith("ko") ? "ko" : "en"),
  theme: kept("theme", THEMES, "system"),

  t: (key, values = {}) => phrase(app.language, key, values),
  heading: (key) => app.t(key).replace(/^./u, (first) => first.toUpperCase()),
  means: (code) => phrase(app.language, `code${code}`) ?? app.t("code_other"),
  number: (value, digits) => new Intl.NumberFormat(app.language, { maximumFractionDigits: digits }).format(value),
  share: (rate) => new Intl.NumberFormat(app.language, { style: "percent", maximumSignificantDigits: 2 }).format(rate),
  oneIn: (rate) => (rate > 0 ? app.t("one_in", { n: new Intl.NumberFormat(app.language, { maximumSignificantDigits: 2 }).format(1 / rate) }) : app.t("never_seen")),
  turn: ({ x, y, z }) => [["yaw", x], ["pitch", y], ["roll", z]].map(([name, degrees]) => `${app.t(name)} ${Math.round(degrees)}°`).join(" "),

  // What a threshold means for strangers, where the pack in use says so.
  strangers(threshold) {
    const pack = app.rates?.find(({ isDefault }) => isDefault);
    const rate = pack ? rateAt(pack.similarity, pack.falseMatches, threshold) : 0;
    return rate > 0 ? app.t("strangers", { threshold, rate: app.oneIn(rate) }) : "";
  },

  // What still runs when somebody signs out ends with a refusal instead of an answer.
  ask(...asked) {
    awake();
    return app.session ? app.session.ask(...asked) : Promise.reject(new Refusal(-41005, "SignedOut", null));
  },

  async system() {
    const data = await app.ask("GET", "console/appkeys/{appKey}/system");
    app.spoofing = data.packs.some((pack) => pack.isDefault && pack.spoofing);
    app.key = data.key.name;
    return data;
  },

  async curves() {
    app.rates ??= (await app.ask("GET", "console/appkeys/{appKey}/accuracy")).packs;
    return app.rates;
  },

  say(text) {
    aloud.textContent = text;
    clearTimeout(app.quiet);
    app.quiet = setTimeout(() => (aloud.textContent = ""), 4000);
  },

  go: (hash) => (location.hash === hash ? show() : (location.hash = hash)),
};

function signOut() {
  Object.assign(app, { session: null, key: "", rates: null, spoofing: false });
  app.pages.clear();
  show();
}

let idle;
function awake() {
  clearTimeout(idle);
  if (app.session) idle = setTimeout(() => (signOut(), app.say(app.t("idle"))), IDLE);
}

// "#/groups/staff" as the page it names, made when first opened and kept with what was done on it.
function opened() {
  const [name, id] = location.hash.replace(/^#\//, "").split("/");
  const known = Object.hasOwn(PAGES, name) ? name : "detect";
  const group = known === "groups" && GROUP_ID.test(id ?? "") ? id : null;
  const key = group ? `groups/${group}` : known;
  if (!app.pages.has(key)) app.pages.set(key, group ? groupPage(app, group) : PAGES[known](app));
  return { name: known, page: app.pages.get(key) };
}

function preferences() {
  const languages = [["en", "English"], ["ko", "한국어"]];
  return element(
    "div",
    { class: "row preferences" },
    choice(languages, app.language, (value) => (keep("language", (app.language = value)), show("language")), { id: "language", "aria-label": "Language 언어" }),
    choice(THEMES.map((name) => [name, app.t(`theme_${name}`)]), app.theme, (value) => (keep("theme", (app.theme = value)), dress()), { id: "theme", "aria-label": app.t("theme") }),
  );
}

function dress() {
  document.documentElement.style.colorScheme = app.theme === "system" ? "light dark" : app.theme;
}

function brand() {
  return element("a", { class: "brand", href: "#/detect" }, "facereco");
}

function signIn() {
  const appKey = element("input", { id: "app-key", required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
  const secretKey = element("input", { id: "secret-key", type: "password", required: true, autocomplete: "off" });
  const problem = element("div");
  const enter = element("button", { type: "submit", class: "main" }, app.t("sign_in"));

  async function submit(event) {
    event.preventDefault();
    enter.disabled = true;
    app.session = new Session(appKey.value.trim(), secretKey.value.trim());
    try {
      await app.system();
      await app.curves();
      awake();
      show();
    } catch (error) {
      app.session = null;
      enter.disabled = false;
      problem.replaceChildren(told(app, error));
    }
  }

  return [
    element("header", { class: "top" }, brand(), preferences()),
    element(
      "main",
      { class: "door" },
      element("section", { class: "card" },
        element("h1", { tabindex: "-1" }, app.t("console")),
        element("form", { class: "stack", onsubmit: submit }, field("appKey", appKey), field("secretKey", secretKey), problem, enter),
        element("p", { class: "hint" }, app.t("keys_in_memory"))),
    ),
  ];
}

function shell() {
  const { name, page } = opened();
  const link = (one) => element("a", { href: `#/${one}`, "aria-current": one === name ? "page" : null }, app.t(`page_${one}`));
  const main = element("main", { id: "main" }, element("h1", { tabindex: "-1" }, app.t(`page_${name}`)), page.view());
  app.paste = page.paste;
  return [
    button(app.t("skip"), () => main.querySelector("h1").focus(), { class: "skip" }),
    element(
      "header",
      { class: "top" },
      brand(),
      element("nav", { "aria-label": app.t("console") }, Object.keys(PAGES).map(link)),
      preferences(),
      element("div", { class: "row who" }, element("span", { class: "hint", id: "who" }, app.key), button(app.t("sign_out"), signOut, { class: "small" })),
    ),
    main,
  ];
}

function show(focus = null) {
  document.documentElement.lang = app.language;
  document.title = `${app.session ? app.t(`page_${opened().name}`) : app.t("sign_in")} · facereco`;
  root.replaceChildren(...(app.session ? shell() : signIn()), aloud);
  const first = app.session ? root.querySelector("h1") : document.getElementById("app-key");
  (focus ? document.getElementById(focus) : first)?.focus();
}

window.addEventListener("hashchange", () => show());
for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, awake, { passive: true });
document.addEventListener("paste", ({ clipboardData }) => {
  const files = [...clipboardData.files].filter(({ type }) => type.startsWith("image/"));
  if (files.length && app.session) app.paste?.(files);
});
// A picture dropped beside its place would otherwise replace the page, and with it the keys.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
dress();
show();
