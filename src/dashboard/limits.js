// Limits and budgets as they stand: of a key, and of its team.

import { h } from "./dom.js";
import { count, date, until, usd } from "./format.js";
import { facts, meter } from "./parts.js";

const NAMES = [
  ["requests", "Requests this minute"],
  ["tokens", "Tokens this minute"],
  ["concurrency", "Requests at once"],
];

/** Meters of what `GET /v1/key` returns, or the same of a team; those of a key's team stand beside. */
export function limitsOf(state) {
  if (!state.team) return meters(state);
  const part = (title, of) => h("div", {}, h("h3", {}, title), meters(of));
  return h("div", { class: "two" }, part("This key", state), part(`Team ${state.team.name}`, state.team));
}

function meters(state) {
  const found = NAMES.filter(([name]) => state.limits[name]).map(([name, label]) => {
    const { limit, used, resets_at: resets } = state.limits[name];
    const refill = resets && used > 0 ? `Refilled ${until(resets)}` : "";
    return meter(label, used, limit, `${count(used)} of ${count(limit)}`, refill);
  });
  const without = NAMES.filter(([name]) => !state.limits[name]).map(([, label]) => label.toLowerCase());
  if (state.limit === null) without.push("spend");
  return h(
    "div",
    { class: "meters" },
    budget(state),
    found,
    without.length ? h("p", { class: "muted" }, `No limit of ${without.join(", ")}.`) : null,
  );
}

function budget({ limit, limit_remaining: remaining, limit_reset: resets }) {
  if (limit === null) return null;
  const refill = resets ? `refilled ${until(resets)} (${date(resets)})` : "never refilled";
  const note = `${usd(Math.max(0, remaining))} left, ${refill}`;
  return meter("Budget", limit - remaining, limit, `${usd(limit - remaining)} of ${usd(limit)}`, note);
}

/** What a key has spent, and what it is. */
export function keyFacts(state) {
  return facts(
    ["Today", usd(state.usage_daily)],
    ["This week", usd(state.usage_weekly)],
    ["This month", usd(state.usage_monthly)],
    ["Expires", state.expires_at && date(state.expires_at)],
    ["Owner", state.owner],
    ["Tier", state.tier],
    ["Models", state.models?.join(", ") ?? "all"],
  );
}
