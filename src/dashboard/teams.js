// Teams: all of them, and one with its limits, its keys and its changes. For admins.

import { call } from "./api.js";
import { confirmDialog, formDialog } from "./dialogs.js";
import { announce, h } from "./dom.js";
import { changedBody, limitFields, nameFields, newBody } from "./fields.js";
import { date } from "./format.js";
import { limitsText } from "./keys.js";
import { limitsOf } from "./limits.js";
import { auditTable, button, emptyState, facts, heading, loadInto, panel, table } from "./parts.js";

export const title = "Teams";
const TEAMS = "admin/v1/teams";

/** `query` may name the `team` that is shown. */
export function render({ query }) {
  return query.has("team") ? renderTeam(query.get("team")) : renderList();
}

function renderList() {
  const box = h("div");
  const load = () =>
    loadInto(box, async () => {
      const { data } = await call("GET", TEAMS);
      return data.length
        ? teamTable(data)
        : emptyState("No teams yet", "A team has limits and a budget of its own, which its keys share.");
    });
  load();
  return h(
    "div",
    { class: "view" },
    heading(
      title,
      button("New team", () => createTeam(load), { kind: "primary" }),
    ),
    panel("All teams", { wide: true }, box),
  );
}

function teamTable(teams) {
  const heads = ["Name", "Owner", "Limits", "Budget", "Created"].map((text) => ({ text }));
  return table(
    "Teams",
    heads,
    teams.map((team) => [
      h(
        "span",
        {},
        h("a", { href: `#/teams?team=${team.team_id}` }, team.name),
        h("small", { class: "muted id" }, team.team_id),
      ),
      team.owner ?? "–",
      limitsText(team),
      team.budget ?? "–",
      date(team.created_at),
    ]),
  );
}

function teamFields(old) {
  return [nameFields(old), limitFields(old)];
}

function createTeam(reload) {
  formDialog({
    title: "New team",
    fields: teamFields({}),
    action: "Create",
    submit: async (form) => {
      const team = await call("POST", TEAMS, { body: newBody(form) });
      announce(`The team ${team.name} is created.`);
      reload();
    },
  });
}

function renderTeam(id) {
  const path = `${TEAMS}/${encodeURIComponent(id)}`;
  const box = h("div", { class: "panels" });
  const load = () =>
    loadInto(box, async () => {
      const [team, { data: audit }] = await Promise.all([call("GET", path), call("GET", `${path}/audit`)]);
      return [
        panel(
          team.name,
          { tools: actions(team, path, load) },
          h("p", {}, h("code", {}, team.team_id)),
          facts(["Owner", team.owner], ["Created", date(team.created_at)]),
          h("h3", {}, "Keys"),
          members(team.keys),
        ),
        panel("Limits now", {}, limitsOf(team)),
        panel("Changes", { wide: true }, auditTable(audit)),
      ];
    });
  load();
  return h("div", { class: "view" }, heading("Team", h("a", { href: "#/teams" }, "All teams")), box);
}

function members(keys) {
  if (!keys.length) return h("p", { class: "muted" }, "No key belongs to this team.");
  return h(
    "ul",
    { class: "plain" },
    keys.map((id) => h("li", {}, h("a", { href: `#/keys?key=${id}` }, id))),
  );
}

function actions(team, path, load) {
  const ask = (action, text, act, kind) =>
    button(action, () => confirmDialog({ title: `${action} ${team.name}?`, text, action, act }), { kind });
  return [
    button("Edit", () =>
      formDialog({
        title: `Edit ${team.name}`,
        fields: teamFields(team),
        action: "Save",
        submit: async (form) => {
          await call("PATCH", path, { body: changedBody(form, team) });
          announce("The team is changed.");
          load();
        },
      }),
    ),
    ask(
      "Reset",
      "Its limits and its budget are refilled.",
      async () => {
        await call("POST", `${path}/reset`);
        announce("The team is reset.");
        load();
      },
      "",
    ),
    ask(
      "Delete",
      "A team can be deleted once no key belongs to it. Its changes stay.",
      async () => {
        await call("DELETE", path);
        location.hash = "#/teams";
      },
      "danger",
    ),
  ];
}
