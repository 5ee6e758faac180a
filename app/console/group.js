// One group: its faces, registering many pictures, searching it.

import { button, card, choice, confirmed, element, facts, field, row, table } from "./dom.js";
import { deleted, FACES, GROUPS } from "./groups.js";
import { pager } from "./pager.js";
import { told } from "./panes.js";
import { registering } from "./register.js";
import { searching } from "./search.js";

const TABS = ["faces", "register", "search"];
const FILTERS = ["external-image-id", "face-id", "image-id"];
const PAGE = 20;

export function groupPage(app, groupId) {
  const only = { by: FILTERS[0], value: "" };
  const query = (token) => (token ? { limit: PAGE, "next-token": token } : { limit: PAGE, [only.by]: only.value });
  const pages = pager((token) => app.ask("GET", `${FACES}/${groupId}/faces`, { query: query(token) }));
  const register = registering(app, groupId);
  const search = searching(app, groupId, remove);
  let tab = "faces";

  async function remove({ faceId, externalImageId }) {
    const sure = await confirmed(app, app.t("delete_face"), app.t("delete_face_means", { face: externalImageId ?? faceId }));
    if (!sure) return false;
    await app.ask("DELETE", `${FACES}/${groupId}/faces/${faceId}`);
    app.say(app.t("face_deleted"));
    return true;
  }

  return {
    paste: (files) => (tab === "register" ? register.paste(files) : tab === "search" ? search.paste(files) : null),
    view() {
      const about = element("div", { class: "stack" });
      const content = element("div", { class: "stack" });
      const tabs = element("div", { class: "tabs", role: "tablist", "aria-label": groupId });

      async function describe() {
        try {
          const { groups: [group] } = await app.ask("GET", `${GROUPS}/${groupId}`);
          about.replaceChildren(facts([
            [app.t("face_count"), element("span", { id: "face-count" }, app.number(group.faceCount, 0))],
            [app.t("created"), group.createTime.replace("T", " ")],
            [app.t("model"), element("code", {}, group.modelVersion ?? "–")],
          ]));
        } catch (error) {
          about.replaceChildren(told(app, error));
        }
      }

      async function removeGroup() {
        try {
          if (await deleted(app, groupId)) app.go("#/groups");
        } catch (error) {
          about.append(told(app, error));
        }
      }

      function open(name, focus = false) {
        tab = name;
        tabs.replaceChildren(...TABS.map((one) => button(app.t(`tab_${one}`), () => open(one, true), {
          role: "tab", id: `tab-${one}`, "aria-selected": String(one === tab), "aria-controls": "panel", tabindex: one === tab ? "0" : "-1",
        })));
        const views = { faces: listing, register: () => register.view(describe), search: search.view };
        content.replaceChildren(...views[name]());
        content.setAttribute("aria-labelledby", `tab-${name}`);
        if (focus) document.getElementById(`tab-${name}`).focus();
      }

      // Arrow keys go from tab to tab, as they do in every other tab list.
      tabs.addEventListener("keydown", ({ key }) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
        if (step) open(TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length], true);
      });

      function listing() {
        const output = element("div", { class: "stack" });
        const problem = element("div");
        async function list(turn = "first") {
          try {
            const { faces } = await pages[turn]();
            problem.replaceChildren();
            output.replaceChildren(
              faces.length
                ? table(app.t("faces"), [app.t("external_id"), app.t("face_id"), app.t("image_id"), app.t("confidence"), ""], faces.map(entry))
                : element("p", { class: "hint" }, only.value ? app.t("nothing_fits") : app.t("no_faces")),
              pages.bar(app, list),
            );
          } catch (error) {
            problem.replaceChildren(told(app, error));
          }
        }
        function entry(face) {
          const gone = async () => {
            try {
              if (await remove(face)) await Promise.all([list("again"), describe()]);
            } catch (error) {
              problem.replaceChildren(told(app, error));
            }
          };
          return row(
            face.externalImageId ?? "–",
            element("code", {}, face.faceId),
            element("code", {}, face.imageId),
            app.number(face.confidence, 2),
            element("span", { class: "row" },
              button(app.t("find_alike"), () => (open("search"), search.byFace(face)), { class: "small" }),
              button(app.t("delete"), gone, { class: "small danger-text" })),
          );
        }
        const value = element("input", { id: "filter", value: only.value, autocomplete: "off", spellcheck: "false" });
        const names = FILTERS.map((name) => [name, app.t(name)]);
        const by = choice(names, only.by, (name) => (only.by = name), { id: "filter-by" });
        list();
        return [
          element("form", { class: "row", onsubmit: (event) => (event.preventDefault(), (only.value = value.value.trim()), list()) },
            field(app.t("filter_by"), by), field(app.t("equals"), value), element("button", { type: "submit" }, app.t("filter"))),
          problem,
          output,
          element("p", { class: "hint" }, app.t("no_pictures_kept")),
        ];
      }

      content.setAttribute("role", "tabpanel");
      content.id = "panel";
      describe();
      open(tab);
      return [
        element("div", { class: "bar" }, element("a", { href: "#/groups" }, app.t("all_groups")), button(app.t("delete_this_group"), removeGroup, { class: "small danger-text" })),
        card(groupId, about),
        card(null, tabs, content),
      ];
    },
  };
}
