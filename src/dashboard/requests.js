// The last requests of a key, each with its attempts and what guardrails did.

import { ApiError, call } from "./api.js";
import { announce, h, newId, replace } from "./dom.js";
import { count, duration, time, usd } from "./format.js";
import { badge, button, choice, emptyState, errorNote, facts, heading, loadInto, panel } from "./parts.js";

export const title = "Requests";
const PAGE = 20;
const COLUMNS = [
  ["Time", ""],
  ["Model", ""],
  ["Provider", "wide-only"],
  ["Result", ""],
  ["Tokens", "wide-only number"],
  ["First token", "wide-only number"],
  ["Cost", "number"],
];

/** `query` may name the `key` whose requests an admin reads. */
export function render({ session, query }) {
  const key = query.get("key") ?? session.key_id;
  const box = h("div");
  const list = new RequestList(key);
  loadInto(box, () => list.start());
  return h(
    "div",
    { class: "view" },
    heading(
      title,
      session.is_management_key ? keyChooser(key) : null,
      choice(
        "Shown",
        [
          [false, "All"],
          [true, "Failed"],
        ],
        false,
        (failed) => list.show(failed),
      ),
    ),
    panel(key === session.key_id ? "Latest first" : `Of key ${key}`, { wide: true }, box),
  );
}

/** Where an admin names another key. */
function keyChooser(key) {
  const field = h("input", { id: "of-key", value: key, size: 14, autocomplete: "off", spellcheck: "false" });
  const go = (event) => {
    event.preventDefault();
    location.hash = `#/requests?key=${encodeURIComponent(field.value.trim())}`;
  };
  return h(
    "form",
    { class: "inline", on: { submit: go } },
    h("label", { for: "of-key" }, "Key"),
    field,
    h("button", {}, "Show"),
  );
}

class RequestList {
  constructor(key) {
    this.key = key;
    this.rows = [];
    this.next = null;
    this.failedOnly = false;
    this.body = h("div");
  }

  async start() {
    await this.load();
    this.draw();
    return this.body;
  }

  async load() {
    const query = { key_id: this.key, limit: PAGE, before: this.next };
    const { data, next } = await call("GET", "v1/requests", { query });
    this.rows.push(...data);
    this.next = next;
  }

  show(failedOnly) {
    this.failedOnly = failedOnly;
    this.draw();
    announce(`${this.shown.length} of ${this.rows.length} requests shown.`);
  }

  get shown() {
    return this.failedOnly ? this.rows.filter((row) => row.error_code) : this.rows;
  }

  draw() {
    if (!this.rows.length) {
      replace(
        this.body,
        emptyState("No requests yet", "Each request of the last 30 days is listed here, without its texts."),
      );
      return;
    }
    replace(
      this.body,
      this.shown.length ? requestTable(this.shown) : emptyState("No failed request among those loaded"),
      h(
        "div",
        { class: "more" },
        h("span", { class: "muted" }, `${this.shown.length} of ${this.rows.length} loaded`),
        this.next ? button("Load older", (event) => this.loadMore(event.currentTarget)) : null,
      ),
    );
  }

  async loadMore(pressed) {
    pressed.disabled = true;
    const before = this.rows.length;
    try {
      await this.load();
      this.draw();
      announce(`${this.rows.length - before} more requests loaded.`);
      this.body.querySelector(".more button")?.focus();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      pressed.disabled = false;
      pressed.before(errorNote(error));
    }
  }
}

function requestTable(rows) {
  return h(
    "table",
    { class: "requests" },
    h("caption", { class: "hidden" }, "Requests, latest first"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        COLUMNS.map(([name, kind]) => h("th", { scope: "col", class: kind }, name)),
      ),
    ),
    h("tbody", {}, rows.flatMap(requestRow)),
  );
}

function requestRow(row) {
  const id = newId("request");
  const details = h("tr", { id, hidden: true }, h("td", { colspan: COLUMNS.length }));
  const expand = h(
    "button",
    {
      type: "button",
      class: "expand",
      "aria-expanded": "false",
      "aria-controls": id,
      on: {
        click: () => {
          details.hidden = !details.hidden;
          expand.setAttribute("aria-expanded", String(!details.hidden));
          if (!details.hidden) replace(details.firstChild, detailsOf(row));
        },
      },
    },
    time(row.created_at),
  );
  const cells = [
    expand,
    row.model,
    row.provider_name || "none",
    result(row),
    tokensOf(row),
    row.generation_time === null ? "–" : duration(row.latency),
    usd(row.total_cost),
  ];
  return [
    h(
      "tr",
      {},
      cells.map((cell, index) =>
        h(index ? "td" : "th", { class: COLUMNS[index][1], scope: index ? null : "row" }, cell),
      ),
    ),
    details,
  ];
}

const tokensOf = (row) => `${count(row.tokens_prompt)} / ${count(row.tokens_completion)}`;

function result(row) {
  if (row.cancelled) return badge("stopped", "warn");
  return row.error_code ? badge(row.error_code, "bad") : badge(row.finish_reason ?? "done", "good");
}

function detailsOf(row) {
  const whole = row.latency + (row.generation_time ?? 0);
  return h(
    "div",
    { class: "details" },
    facts(
      ["Request", h("code", {}, row.request_id)],
      ["Operation", `${row.operation}${row.streamed ? ", streamed" : ""}`],
      ["Status", row.status],
      ["Provider", row.provider_name],
      ["Provider's model", row.upstream_model],
      ["First token", row.generation_time === null ? null : duration(row.latency)],
      ["Whole time", duration(whole)],
      ["Tokens", `${tokensOf(row)}${row.estimated ? ", estimated" : ""}`],
      ["From a cache", row.native_tokens_cached || null],
      ["Reasoning", row.native_tokens_reasoning || null],
      ["Cost", `${usd(row.total_cost)}${row.cost_source ? ` (${row.cost_source})` : ""}`],
      ["Note", row.cost_note],
      ["Error", row.error_code],
    ),
    h("h3", {}, "Attempts"),
    trace(row, whole),
    h("h3", {}, "Guardrails"),
    guardrails(row),
  );
}

/** The attempts. A request with one attempt has no list of its own: the row says what it was. */
function trace(row, whole) {
  const only = {
    model: row.model,
    provider: row.provider_name,
    upstream_model: row.upstream_model,
    error_code: row.error_code,
    ms: whole,
    cost_usd: row.total_cost,
  };
  const attempts = row.attempts.length ? row.attempts : row.provider_name ? [only] : [];
  if (!attempts.length) return h("p", { class: "muted" }, "No provider was asked.");
  const longest = Math.max(1, ...attempts.map((each) => each.ms));
  return h(
    "ol",
    { class: "trace" },
    attempts.map((each) =>
      h(
        "li",
        {},
        h("span", {}, h("b", {}, each.provider), ` ${each.upstream_model || each.model}`),
        each.error_code ? badge(each.error_code, "bad") : badge("answered", "good"),
        h(
          "span",
          { class: "bar", "aria-hidden": "true" },
          h("i", { style: { width: `${(each.ms / longest) * 100}%` } }),
        ),
        h("span", { class: "number" }, duration(each.ms)),
        h("span", { class: "number" }, usd(each.cost_usd)),
      ),
    ),
  );
}

function guardrails(row) {
  if (!row.guardrails.length) return h("p", { class: "muted" }, "None changed or blocked this request.");
  return h(
    "ul",
    { class: "plain" },
    row.guardrails.map((each) =>
      h(
        "li",
        {},
        h("b", {}, each.name),
        each.action === "block" ? " blocked the " : " masked parts of the ",
        each.stage === "input" ? "request" : "answer",
      ),
    ),
  );
}
