// Usage reports, and how they are added up.

import { call } from "./api.js";

/** Days that a reader can choose. The gateway keeps usage for 30 days. */
export const CHOICES = [
  [7, "7 days"],
  [14, "14 days"],
  [30, "30 days"],
];
const FIGURES = ["requests", "errors", "input_tokens", "output_tokens", "cached_tokens", "unknown"];

/** What of `GET /v1/usage` is asked: of these days, of the own key or of `*`, which is every key. */
export const usageQuery = (days, groups, key = null) => ({
  from: days[0],
  to: days.at(-1),
  group_by: groups,
  key_id: key,
});

/** A usage report. */
export const usageOf = (days, groups, key = null) => call("GET", "v1/usage", { query: usageQuery(days, groups, key) });

/** Rows of a chart, with the value of each. */
export const dayRows = (data, group, value) =>
  data.map((row) => ({ day: row.day, name: row[group], value: value(row) }));

/** The sums of each name of a group, the most expensive first. */
export function sums(data, group) {
  const found = new Map();
  for (const row of data) {
    const sum = found.get(row[group]) ?? {
      name: row[group],
      cost_usd: 0,
      ...Object.fromEntries(FIGURES.map((each) => [each, 0])),
    };
    for (const each of FIGURES) sum[each] += row[each];
    sum.cost_usd += Number(row.cost_usd);
    found.set(row[group], sum);
  }
  return [...found.values()].sort((a, b) => b.cost_usd - a.cost_usd || b.requests - a.requests);
}
