// What several views are made of: panels and their states, tables, meters, buttons, dialogs.

import { ApiError } from "./api.js";
import { announce, focusHeading, h, newId, replace } from "./dom.js";
import { time } from "./format.js";

/** A section with a heading; `tools` stand beside it. */
export function panel(title, { tools = [], wide = false } = {}, ...children) {
  const id = newId("panel");
  return h(
    "section",
    { class: wide ? "panel wide" : "panel", "aria-labelledby": id },
    h("div", { class: "panel-head" }, h("h2", { id }, title), h("div", { class: "tools" }, tools)),
    ...children,
  );
}

/** The heading of a view. */
export function heading(title, ...tools) {
  return h("div", { class: "view-head" }, h("h1", {}, title), h("div", { class: "tools" }, tools));
}

/**
 * Show what `load` resolves to in `box`: until then a placeholder, and an error with a way to try again.
 * The newest load of a box wins.
 */
export async function loadInto(box, load) {
  const turn = newId("load");
  const hadFocus = box.contains(document.activeElement);
  box.dataset.turn = turn;
  box.setAttribute("aria-busy", "true");
  replace(box, skeleton());
  let content;
  try {
    content = await load();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    content = errorState(error, () => loadInto(box, load));
    announce(error.message);
  }
  if (box.dataset.turn !== turn) return;
  replace(box, content);
  box.removeAttribute("aria-busy");
  if (hadFocus && document.activeElement === document.body) focusHeading();
}

function skeleton() {
  return h("div", { class: "skeleton" }, h("span", { class: "hidden" }, "Loading"), h("i"), h("i"), h("i"));
}

/** What is shown where there is nothing yet. */
export function emptyState(title, ...more) {
  return h("div", { class: "state" }, h("p", { class: "state-title" }, title), more.length ? h("p", {}, more) : null);
}

/** What is shown of a failure. A gateway without the admin API says how to get it. */
export function errorState(error, retry) {
  if (error.status === 404 && error.code === "unknown_url") {
    return emptyState(
      "The admin API is off",
      "Keys and teams can be changed here once it is on: in AWS with the ",
      "parameter AdminApi=on, elsewhere with TOLLGATE_ADMIN_API=on. The command line works without it.",
    );
  }
  return h(
    "div",
    { class: "state error" },
    h("p", { class: "state-title" }, error.message),
    requestIdOf(error),
    retry ? button("Try again", retry) : null,
  );
}

function requestIdOf(error) {
  return error.requestId ? h("p", { class: "muted" }, "Request ", h("code", {}, error.requestId)) : null;
}

/** An error in a form or a dialog, which is read at once. */
export function errorNote(error) {
  return h("div", { class: "note error", role: "alert" }, h("p", {}, error.message), requestIdOf(error));
}

export function button(text, press, { kind = "", ...attributes } = {}) {
  return h("button", { type: "button", class: kind, on: { click: press }, ...attributes }, text);
}

/** A table. `heads` are {text, number}; a row is a list of cells, which are texts or elements. */
export function table(caption, heads, rows) {
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "hidden" }, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map(({ text, number }) => h("th", { scope: "col", class: number && "number" }, text)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((cells) =>
          h(
            "tr",
            {},
            cells.map((cell, index) =>
              h(index ? "td" : "th", { scope: index ? null : "row", class: heads[index].number && "number" }, cell),
            ),
          ),
        ),
      ),
    ),
  );
}

/** Names and values. */
export function facts(...pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs
      .filter((pair) => pair[1] !== null && pair[1] !== undefined && pair[1] !== "")
      .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

/** How much of a limit is used. `text` says it in words. */
export function meter(label, used, limit, text, note = "") {
  const part = limit > 0 ? Math.min(1, used / limit) : 1;
  const state = part >= 1 ? "full" : part >= 0.8 ? "near" : "";
  return h(
    "div",
    { class: `meter ${state}` },
    h("div", { class: "meter-head" }, h("span", {}, label), h("span", {}, text)),
    h(
      "div",
      {
        class: "bar",
        role: "meter",
        "aria-label": label,
        "aria-valuemin": 0,
        "aria-valuemax": limit,
        "aria-valuenow": Math.min(Math.max(used, 0), limit),
        "aria-valuetext": text,
      },
      h("i", { style: { width: `${part * 100}%` } }),
    ),
    note ? h("div", { class: "muted" }, note) : null,
  );
}

/** Buttons of which one is chosen. `choices` are [value, text]. */
export function choice(label, choices, chosen, choose) {
  const buttons = choices.map(([value, text]) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": String(value === chosen),
        on: {
          click: (event) => {
            for (const each of buttons) each.setAttribute("aria-pressed", String(each === event.currentTarget));
            choose(value);
          },
        },
      },
      text,
    ),
  );
  return h("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}

/** A word with a colour: `good`, `bad`, `warn` or none. */
export const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);

/** Offer a text as a file. */
export function download(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** The changes of a key or a team, latest first. */
export function auditTable(entries) {
  const heads = ["Time", "By", "Action", "Changed"].map((text) => ({ text }));
  return table(
    "Changes",
    heads,
    [...entries].reverse().map(({ at, by, action, ...changed }) => [
      time(at),
      by,
      action,
      Object.entries(changed)
        .map(([name, value]) => `${name}: ${value}`)
        .join(", "),
    ]),
  );
}
