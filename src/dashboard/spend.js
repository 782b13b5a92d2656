// What all keys spent, by key, team, model or provider. For admins.

import { ApiError, call, text } from "./api.js";
import { barChart } from "./charts.js";
import { announce, h } from "./dom.js";
import { compact, count, lastDays, usd } from "./format.js";
import { button, choice, download, emptyState, errorNote, heading, loadInto, panel, table } from "./parts.js";
import { CHOICES, dayRows, sums, usageOf, usageQuery } from "./usage.js";

export const title = "Spend";
const GROUPS = [
  ["key", "Key"],
  ["team", "Team"],
  ["model", "Model"],
  ["provider", "Provider"],
];
const NONE = { team: "no team", provider: "none answered", key: "", model: "" };
const EVERY_KEY = "*";

export function render() {
  let number = CHOICES.at(-1)[0];
  let group = GROUPS[0][0];
  const box = h("div", { class: "panels" });
  const load = () => loadInto(box, () => spendPanels(lastDays(number), group));
  load();
  return h(
    "div",
    { class: "view" },
    heading(
      title,
      choice("By", GROUPS, group, (chosen) => {
        group = chosen;
        load();
      }),
      choice("Days", CHOICES, number, (chosen) => {
        number = chosen;
        load();
      }),
    ),
    box,
  );
}

async function spendPanels(days, group) {
  const [{ data, total }, names] = await Promise.all([usageOf(days, `day,${group}`, EVERY_KEY), namesOf(group)]);
  if (!total.requests) return panel("Spend", { wide: true }, emptyState(`No requests in the last ${days.length} days`));
  const named = data.map((row) => ({ ...row, [group]: names[row[group]] ?? (row[group] || NONE[group]) }));
  const caption = `Spend by ${group}`;
  const byName = sums(named, group);
  const rows = dayRows(named, group, (row) => Number(row.cost_usd));
  const note = h("div");
  const save = button("Download CSV", () => saveCsv(days, group, note));
  return [
    panel(
      `${usd(total.cost_usd)} in ${days.length} days`,
      { wide: true, tools: [save] },
      note,
      barChart({ title: caption, days, names: byName.map((each) => each.name), format: usd, rows }),
    ),
    panel(caption, { wide: true }, groupTable(caption, byName, Number(total.cost_usd))),
  ];
}

function groupTable(caption, rows, whole) {
  const heads = [
    { text: "Name" },
    ...["Requests", "Failed", "Input", "Output", "Spend", "Share"].map((each) => ({ text: each, number: true })),
  ];
  return table(
    caption,
    heads,
    rows.map((row) => [
      row.name,
      count(row.requests),
      count(row.errors),
      compact(row.input_tokens),
      compact(row.output_tokens),
      usd(row.cost_usd),
      whole ? `${((row.cost_usd / whole) * 100).toFixed(1)} %` : "–",
    ]),
  );
}

/** The names of keys or teams by their ids; none if the admin API is off, so that ids are shown. */
async function namesOf(group) {
  if (group !== "key" && group !== "team") return {};
  try {
    const { data } = await call("GET", `admin/v1/${group}s`);
    return Object.fromEntries(data.map((each) => [each[`${group}_id`], `${each.name} (${each[`${group}_id`]})`]));
  } catch (error) {
    if (error instanceof ApiError && error.code === "unknown_url") return {};
    throw error;
  }
}

async function saveCsv(days, group, note) {
  try {
    const content = await text("v1/usage", { ...usageQuery(days, `day,${group}`, EVERY_KEY), format: "csv" });
    download(`usage-by-${group}-${days[0]}-to-${days.at(-1)}.csv`, content, "text/csv");
    announce("The file is downloaded.");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    note.replaceChildren(errorNote(error));
  }
}
