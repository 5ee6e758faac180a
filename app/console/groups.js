// Groups: made, listed and deleted.

import { button, card, confirmed, element, field, row, table } from "./dom.js";
import { told } from "./panes.js";
import { pager } from "./pager.js";

export const GROUPS = "nhn-face-reco/v1.0/appkeys/{appKey}/groups";
export const FACES = "v2.0/appkeys/{appKey}/groups";
const PAGE = 25;

export async function deleted(app, groupId) {
  const sure = await confirmed(app, app.t("delete_group", { group: groupId }), app.t("delete_group_means"), groupId);
  if (!sure) return false;
  await app.ask("DELETE", `${FACES}/${groupId}`);
  app.say(app.t("group_deleted", { group: groupId }));
  return true;
}

export function groupsPage(app) {
  const pages = pager((token) => app.ask("GET", GROUPS, { query: { limit: PAGE, "next-token": token } }));

  return {
    view() {
      const output = element("div", { class: "stack" });
      const problem = element("div");
      const complain = (error) => problem.replaceChildren(told(app, error));

      async function list(turn = "first") {
        try {
          const { groups } = await pages[turn]();
          output.replaceChildren(
            groups.length
              ? table(app.t("groups"), [app.t("group"), app.t("model"), ""], groups.map(entry))
              : element("p", { class: "hint", id: "no-groups" }, app.t("no_groups")),
            pages.bar(app, list),
          );
        } catch (error) {
          complain(error);
        }
      }

      function entry({ groupId, modelVersion }) {
        const remove = async () => {
          try {
            if (await deleted(app, groupId)) await list();
          } catch (error) {
            complain(error);
          }
        };
        return row(
          element("a", { href: `#/groups/${groupId}` }, groupId),
          element("code", {}, modelVersion ?? "–"),
          button(app.t("delete"), remove, { class: "small danger-text", "aria-label": app.t("delete_group", { group: groupId }) }),
        );
      }

      async function create(event) {
        event.preventDefault();
        const groupId = name.value.trim();
        try {
          await app.ask("POST", FACES, { json: { groupId } });
          name.value = "";
          problem.replaceChildren();
          app.say(app.t("group_made", { group: groupId }));
          await list();
        } catch (error) {
          complain(error);
        }
      }

      const name = element("input", { id: "group-id", required: true, maxlength: 255, autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
      list();
      return [
        card(
          app.t("new_group"),
          element("form", { class: "row", onsubmit: create }, field(app.t("group_id"), name, app.t("group_id_rule")), element("button", { type: "submit", class: "main" }, app.t("create"))),
          problem,
        ),
        card(app.t("groups"), output),
      ];
    },
  };
}
