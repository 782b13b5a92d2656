// Keys: all of them, and one with its limits, its changes and what can be done with it. For admins.

import { ApiError, call, useKey } from "./api.js";
import { confirmDialog, errorDialog, formDialog, secretDialog } from "./dialogs.js";
import { announce, h } from "./dom.js";
import { changedBody, field, keyFields, newBody } from "./fields.js";
import { count, date, time } from "./format.js";
import { keyFacts, limitsOf } from "./limits.js";
import { auditTable, badge, button, emptyState, facts, heading, loadInto, panel, table } from "./parts.js";

export const title = "Keys";
const KEYS = "admin/v1/keys";
const STATUS = { active: "good", revoked: "bad", expired: "warn" };

/** `query` may name the `key` that is shown. */
export function render({ session, query }) {
  return query.has("key") ? renderKey(query.get("key"), session) : renderList();
}

function renderList() {
  const box = h("div");
  const load = () =>
    loadInto(box, async () => {
      const [{ data }, { data: teams }] = await Promise.all([call("GET", KEYS), call("GET", "admin/v1/teams")]);
      return data.length ? keyTable(data, teams) : emptyState("No keys yet");
    });
  load();
  return h(
    "div",
    { class: "view" },
    heading(
      title,
      button("New key", () => createKey(load), { kind: "primary" }),
    ),
    panel("All keys", { wide: true }, box),
  );
}

function keyTable(keys, teams) {
  const names = Object.fromEntries(teams.map((each) => [each.team_id, each.name]));
  const heads = ["Name", "Status", "Owner", "Team", "Role", "Limits", "Budget", "Created"].map((text) => ({ text }));
  return table(
    "Keys",
    heads,
    keys.map((key) => [
      h(
        "span",
        {},
        h("a", { href: `#/keys?key=${key.key_id}` }, key.name),
        h("small", { class: "muted id" }, key.key_id),
      ),
      badge(key.status, STATUS[key.status]),
      key.owner ?? "–",
      names[key.team] ?? key.team ?? "–",
      key.role,
      limitsText(key),
      key.budget ?? "–",
      h("span", { class: "nowrap" }, date(key.created_at)),
    ]),
  );
}

/** The limits of a key or a team in short. */
export function limitsText({ rpm, tpm, concurrency }) {
  const parts = [
    rpm && `${count(rpm)} requests/min`,
    tpm && `${count(tpm)} tokens/min`,
    concurrency && `${count(concurrency)} at once`,
  ];
  return parts.filter(Boolean).join(", ") || "–";
}

async function choices() {
  const [{ data: teams }, rules] = await Promise.all([
    call("GET", "admin/v1/teams"),
    call("GET", "admin/v1/catalog", { query: { pattern: "no model" } }),
  ]);
  return [teams, rules];
}

/** Open a dialog that needs the teams and what the catalog has for keys to name. */
async function withChoices(open) {
  try {
    open(...(await choices()));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    errorDialog(error);
  }
}

function createKey(reload) {
  return withChoices((teams, rules) =>
    formDialog({
      title: "New key",
      fields: keyFields({}, teams, rules),
      action: "Create",
      submit: async (form) => {
        const { key, name } = await call("POST", KEYS, { body: newBody(form) });
        reload();
        return () => secretDialog(`Key ${name}`, key);
      },
    }),
  );
}

function renderKey(id, session) {
  const path = `${KEYS}/${encodeURIComponent(id)}`;
  const box = h("div", { class: "panels" });
  const load = () =>
    loadInto(box, async () => {
      const [key, { data: audit }] = await Promise.all([call("GET", path), call("GET", `${path}/audit`)]);
      return [
        panel(
          key.name,
          { tools: actions(key, path, load, key.key_id === session.key_id) },
          h(
            "p",
            {},
            badge(key.status, STATUS[key.status]),
            " ",
            h("code", {}, key.key_id),
            ` ${key.role}`,
            key.previous_secret_until ? `, the former secret works until ${time(key.previous_secret_until)}` : "",
          ),
          keyFacts(key.state),
          facts(["Guardrails", key.guardrails.join(", ")], ["Own credentials", key.credentials.join(", ")]),
          h("p", {}, h("a", { href: `#/requests?key=${key.key_id}` }, "Requests of this key")),
        ),
        panel("Limits now", {}, limitsOf(key.state)),
        panel("Changes", { wide: true }, auditTable(audit)),
      ];
    });
  load();
  return h("div", { class: "view" }, heading("Key", h("a", { href: "#/keys" }, "All keys")), box);
}

function actions(key, path, load, isOwn) {
  const post = (verb, said) => async () => {
    await call("POST", `${path}/${verb}`);
    announce(said);
    load();
  };
  const ask = (action, text, act) =>
    button(action, () => confirmDialog({ title: `${action} ${key.name}?`, text, action, act }), {
      kind: action === "Reset" ? "" : "danger",
    });
  const own = isOwn ? " It is the key that you are signed in with." : "";
  return [
    button("Edit", () => editKey(key, path, load)),
    button("Rotate", () => rotateKey(key, path, load, isOwn)),
    ask("Reset", "Its limits and its budget are refilled.", post("reset", "The key is reset.")),
    key.status === "revoked"
      ? null
      : ask(
          "Revoke",
          `Its next request is refused. This cannot be undone.${own}`,
          post("revoke", "The key is revoked."),
        ),
    ask("Delete", `The key is gone at once; its usage and its changes stay.${own}`, async () => {
      await call("DELETE", path);
      location.hash = "#/keys";
    }),
  ];
}

function editKey(key, path, load) {
  return withChoices((teams, rules) =>
    formDialog({
      title: `Edit ${key.name}`,
      fields: keyFields(key, teams, rules),
      action: "Save",
      submit: async (form) => {
        await call("PATCH", path, { body: changedBody(form, key) });
        announce("The key is changed.");
        load();
      },
    }),
  );
}

function rotateKey(key, path, load, isOwn) {
  const overlap = field(
    "The former secret works for",
    "overlap",
    { value: "24h", required: true },
    { hint: "Such as 24h, 7d or 0m" },
  );
  formDialog({
    title: `Rotate ${key.name}`,
    fields: [overlap],
    action: "Rotate",
    submit: async (form) => {
      const rotated = await call("POST", `${path}/rotate`, { body: { overlap: form.get("overlap").trim() } });
      if (isOwn) useKey(rotated.key); // the former secret may have ended, which would end the session and its dialogs
      load();
      return () => secretDialog(`New secret of ${key.name}`, rotated.key);
    },
  });
}
