// Usage of the key over days, and its limits as they stand.

import { call } from "./api.js";
import { barChart } from "./charts.js";
import { h } from "./dom.js";
import { compact, count, lastDays, usd } from "./format.js";
import { keyFacts, limitsOf } from "./limits.js";
import { choice, emptyState, heading, loadInto, panel, table } from "./parts.js";
import { CHOICES, dayRows, sums, usageOf } from "./usage.js";

export const title = "Overview";

export function render() {
  const limits = h("div");
  const usage = h("div", { class: "panels" });
  const load = (days) => loadInto(usage, () => usagePanels(days));
  loadInto(limits, async () => {
    const { data } = await call("GET", "v1/key");
    return h("div", { class: "view" }, keyFacts(data), limitsOf(data));
  });
  load(CHOICES[0][0]);
  return h(
    "div",
    { class: "view" },
    heading(title, choice("Days", CHOICES, CHOICES[0][0], load)),
    panel("Limits now", {}, limits),
    usage,
  );
}

async function usagePanels(number) {
  const days = lastDays(number);
  const { data, total } = await usageOf(days, "day,model");
  if (!total.requests) {
    return panel(
      "Usage",
      { wide: true },
      emptyState(
        `No requests in the last ${number} days`,
        "Usage appears here after the first one. ",
        h("a", { href: "#/playground" }, "Send one in the playground"),
        ".",
      ),
    );
  }
  const byModel = sums(data, "model");
  const names = byModel.map((each) => each.name);
  const chart = (title, format, value) =>
    panel(title, {}, barChart({ title, days, names, format, rows: dayRows(data, "model", value) }));
  const tokens = data.flatMap((row) => [
    { day: row.day, name: "input", value: row.input_tokens },
    { day: row.day, name: "output", value: row.output_tokens },
  ]);
  return [
    tiles(total),
    chart("Spend by model", usd, (row) => Number(row.cost_usd)),
    chart("Requests by model", compact, (row) => row.requests),
    panel("Tokens", {}, barChart({ title: "Tokens", days, names: ["input", "output"], format: compact, rows: tokens })),
    panel("Models", {}, models(byModel)),
  ];
}

function tiles(total) {
  const failed = total.requests ? (total.errors / total.requests) * 100 : 0;
  const tile = (name, value, note) =>
    h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, value), h("dd", { class: "muted" }, note));
  return h(
    "dl",
    { class: "tiles" },
    tile(
      "Spend",
      usd(total.cost_usd),
      total.unknown ? `${count(total.unknown)} requests without a known price` : "settled",
    ),
    tile("Requests", count(total.requests), `${count(total.errors)} failed (${failed.toFixed(1)} %)`),
    tile("Input tokens", compact(total.input_tokens), `${compact(total.cached_tokens)} from a cache`),
    tile(
      "Output tokens",
      compact(total.output_tokens),
      total.estimated ? `${count(total.estimated)} estimated` : "counted",
    ),
  );
}

function models(rows) {
  const heads = [
    { text: "Model" },
    ...["Requests", "Failed", "Tokens", "Spend"].map((text) => ({ text, number: true })),
  ];
  return table(
    "Usage by model",
    heads,
    rows.map((row) => [
      row.name,
      count(row.requests),
      count(row.errors),
      compact(row.input_tokens + row.output_tokens),
      usd(row.cost_usd),
    ]),
  );
}
