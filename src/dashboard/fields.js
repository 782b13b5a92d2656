// Fields of forms for keys and teams, and the bodies that the admin API gets of them.

import { h, newId } from "./dom.js";

const NUMBERS = ["rpm", "tpm", "concurrency"];
const TEXTS = ["name", "owner", "tier", "role", "team", "expires"];
const PERIODS = [
  ["day", "a day"],
  ["month", "a month"],
  ["total", "in all"],
];
const NO_BUDGET = ["none", "no budget"];

/** A labelled field. `tag` is what kind of element it is; a `hint` is read with it. */
export function field(label, name, attributes = {}, { tag = "input", hint = "", children = [] } = {}) {
  const id = newId(name);
  const { value, ...rest } = attributes;
  const input = h(tag, { id, name, "aria-describedby": hint ? `${id}-hint` : null, ...rest }, children);
  if (value !== undefined && value !== null) input.value = value;
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    hint ? h("small", { id: `${id}-hint`, class: "muted" }, hint) : null,
  );
}

/** A field to choose from [value, text]. */
export function choiceField(label, name, choices, value, hint = "") {
  const children = choices.map(([each, text]) => h("option", { value: each, selected: each === value }, text));
  return field(label, name, {}, { tag: "select", children, hint });
}

/** The fields that keys and teams have, with the values of `old`, which is empty for a new one. */
export function limitFields(old, periods = PERIODS) {
  const [amount = "", per = "month"] = old.budget?.split("/") ?? [];
  const number = (label, name) => field(label, name, { type: "number", min: 0, step: 1, value: old[name] });
  return [
    h(
      "div",
      { class: "row" },
      number("Requests a minute", "rpm"),
      number("Tokens a minute", "tpm"),
      number("Requests at once", "concurrency"),
    ),
    h(
      "div",
      { class: "row" },
      field("Budget in USD", "budget", { inputmode: "decimal", value: amount }),
      choiceField("Per", "per", periods, per),
    ),
  ];
}

/** A name and an owner. An owner cannot be taken away, only replaced. */
export const nameFields = (old) =>
  h(
    "div",
    { class: "row" },
    field("Name", "name", { required: true, maxlength: 200, value: old.name }),
    field("Owner", "owner", { required: Boolean(old.owner), maxlength: 200, value: old.owner }),
  );

/** The fields of a key. `teams` are those of the gateway, `rules` its tiers and guardrails. */
export function keyFields(old, teams, rules) {
  const isNew = !old.key_id;
  return [
    nameFields(old),
    h(
      "div",
      { class: "row" },
      choiceField("Team", "team", [["", "none"], ...teams.map((each) => [each.team_id, each.name])], old.team ?? ""),
      choiceField(
        "Role",
        "role",
        [
          ["user", "user"],
          ["admin", "admin"],
        ],
        old.role ?? "user",
      ),
      isNew
        ? choiceField(
            "Tier",
            "tier",
            Object.entries(rules.tiers).map(([name, text]) => [name, `${name}: ${text}`]),
            "default",
          )
        : null,
    ),
    limitFields(old, isNew ? [...PERIODS, NO_BUDGET] : PERIODS),
    isNew ? h("p", { class: "muted" }, "Limits that are left empty are those of the tier; 0 removes one.") : null,
    h("p", { class: "muted" }, "A budget of 0 allows only what costs nothing."),
    field(
      "Models",
      "models",
      { value: old.models?.join(", ") },
      { hint: "Names or globs such as gpt-*, claude-*. Empty: all" },
    ),
    field(
      "Expires",
      "expires",
      { value: old.expires_at },
      { hint: "A day (2026-12-31), a time, or from now (30d). Empty: never" },
    ),
    checks("Guardrails", "guardrails", known(rules.guardrails, old.guardrails), old.guardrails ?? []),
    h(
      "details",
      {},
      h("summary", {}, "More"),
      field(
        "Seconds in the cache",
        "cache_seconds",
        { type: "number", min: 0, max: 86400, step: 1, value: old.cache_seconds ?? 0 },
        { hint: "For how long equal requests get one response. 0: never" },
      ),
      checks("Models without a price", "allow_unpriced", [["on", "allowed although the key has a budget"]], [
        old.allow_unpriced ? "on" : "",
      ]),
      checks(
        "Credentials of its own",
        "credentials",
        known(rules.credentials, old.credentials),
        old.credentials ?? [],
      ),
    ),
  ];
}

/** The names of the catalog, and those that the key has although the catalog has them no more. */
function known(names, own = []) {
  return [...new Set([...names, ...own])];
}

function checks(label, name, choices, chosen) {
  if (!choices.length) return null;
  return h(
    "fieldset",
    {},
    h("legend", {}, label),
    choices.map((choice) => {
      const [value, text] = Array.isArray(choice) ? choice : [choice, choice];
      const box = h("input", { type: "checkbox", name, value, checked: chosen.includes(value) });
      return h("label", { class: "check" }, box, text);
    }),
  );
}

/** What a form says, as the admin API has it: null where a field is empty. */
function values(form) {
  const found = {};
  for (const name of TEXTS) if (form.has(name)) found[name] = form.get(name).trim() || null;
  for (const name of NUMBERS) found[name] = form.get(name) === "" ? null : Number(form.get(name));
  const amount = form.get("budget").trim();
  found.budget = form.get("per") === "none" ? "none" : amount ? `${amount}/${form.get("per")}` : null;
  if (form.has("models")) {
    const models = form
      .get("models")
      .split(",")
      .map((each) => each.trim())
      .filter(Boolean);
    found.models = models.length ? models : null;
    found.guardrails = form.getAll("guardrails").sort();
    found.credentials = form.getAll("credentials").sort();
    found.cache_seconds = Number(form.get("cache_seconds"));
    found.allow_unpriced = form.has("allow_unpriced");
  }
  return found;
}

/** The body that creates a key or a team: without what is empty. */
export function newBody(form) {
  const given = Object.entries(values(form)).filter(([, value]) => value !== null && value?.length !== 0);
  return Object.fromEntries(given.map(([name, value]) => [name, value === "none" ? null : value]));
}

/** The body that changes `old`: what differs from it. */
export function changedBody(form, old) {
  const models = old.models?.length ? old.models : null;
  const before = { ...old, expires: old.expires_at, models };
  for (const name of ["guardrails", "credentials"]) before[name] = old[name]?.toSorted();
  return Object.fromEntries(
    Object.entries(values(form)).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name] ?? null),
    ),
  );
}
