// Stacked bars over days. One stop of the Tab key each; arrow keys go through the days, and a table has all figures.

import { h, newId, svg } from "./dom.js";
import { day } from "./format.js";
import { table } from "./parts.js";

const SERIES = 5;
const REST = "other";
const GAP = 0.22;
/** The part of a day's width that stays empty. */

/**
 * A chart of `rows` ({day, name, value}) for these days. The first names are series, so that charts with the same
 * `names` have the same colours; the rest is one series. `format` writes a value.
 */
export function barChart({ title, days, rows, names, format }) {
  const series = names.length > SERIES + 1 ? [...names.slice(0, SERIES), REST] : names;
  const columns = days.map((each) => columnOf(each, rows, series));
  const top = ceiling(Math.max(...columns.map((column) => column.total)));
  const tip = h("div", { class: "tip", "aria-hidden": "true", hidden: true });
  const label = newId("chart");
  return h(
    "figure",
    { class: "chart", "aria-labelledby": label },
    h("figcaption", { id: label, class: "hidden" }, title),
    h(
      "div",
      { class: "chart-body" },
      h(
        "div",
        { class: "scale", "aria-hidden": "true" },
        [top, top / 2, 0].map((value) => h("span", {}, format(value))),
      ),
      plot(title, columns, series, top, tip, format),
      axis(days),
    ),
    series.length > 1 || series[0] !== "" ? legend(series) : null,
    asTable(title, columns, series, format),
  );
}

function columnOf(each, rows, series) {
  const values = series.map(() => 0);
  for (const row of rows) {
    if (row.day !== each) continue;
    const index = series.indexOf(row.name);
    values[index < 0 ? series.length - 1 : index] += row.value;
  }
  return { day: each, values, total: values.reduce((sum, value) => sum + value, 0) };
}

/** The next number that has one of these digits and zeros, so that its half is short too; 1 for nothing. */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 6, 8, 10].find((step) => step * power >= value * 0.999) * power;
}

function plot(title, columns, series, top, tip, format) {
  const marker = svg("rect", { class: "marker", y: 0, width: 1, height: 100, visibility: "hidden" });
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${columns.length} 100`, preserveAspectRatio: "none", "aria-hidden": "true" },
    marker,
    columns.map((column, index) => bars(column, index, top)),
  );
  const slider = h(
    "div",
    {
      class: "plot",
      tabindex: 0,
      role: "slider",
      "aria-label": `${title}: days`,
      "aria-valuemin": 1,
      "aria-valuemax": columns.length,
      "aria-orientation": "horizontal",
    },
    picture,
    tip,
  );
  let at = columns.length - 1;
  const describe = () => {
    slider.setAttribute("aria-valuenow", at + 1);
    slider.setAttribute("aria-valuetext", sentence(columns[at], series, format));
  };
  const show = (index) => {
    at = Math.min(columns.length - 1, Math.max(0, index));
    marker.setAttribute("x", at);
    marker.setAttribute("visibility", "visible");
    tip.replaceChildren(...tipOf(columns[at], series, format));
    tip.hidden = false;
    const middle = (at + 0.5) / columns.length;
    tip.style.setProperty("left", `${middle * 100}%`);
    tip.style.setProperty("transform", `translateX(-${Math.round(middle * 100)}%)`);
    describe();
  };
  const hide = () => {
    tip.hidden = true;
    marker.setAttribute("visibility", "hidden");
  };
  describe();
  slider.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    show(Math.floor(((event.clientX - box.left) / box.width) * columns.length));
  });
  slider.addEventListener("pointerleave", hide);
  slider.addEventListener("focus", () => show(at));
  slider.addEventListener("blur", hide);
  slider.addEventListener("keydown", (event) => {
    const steps = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      Home: 0,
      End: columns.length - 1,
    };
    if (event.key === "Escape") hide();
    if (!(event.key in steps)) return;
    event.preventDefault();
    show(steps[event.key]);
  });
  return slider;
}

function bars(column, index, top) {
  let below = 0;
  return column.values.map((value, number) => {
    const height = (value / top) * 100;
    below += height;
    return (
      value > 0 && svg("rect", { class: `fill-${number}`, x: index + GAP / 2, width: 1 - GAP, y: 100 - below, height })
    );
  });
}

function sentence(column, series, format) {
  const parts = series
    .map((name, number) => [name, column.values[number]])
    .filter(([name, value]) => name && value > 0);
  return [
    `${day(column.day)}: ${format(column.total)}`,
    ...parts.map(([name, value]) => `${name} ${format(value)}`),
  ].join(", ");
}

function tipOf(column, series, format) {
  const named = series
    .map((name, number) => [name, number])
    .filter(([name, number]) => name && column.values[number] > 0);
  return [
    h("div", { class: "tip-head" }, h("span", {}, day(column.day)), h("b", {}, format(column.total))),
    ...named.map(([name, number]) =>
      h(
        "div",
        {},
        h("span", { class: `dot fill-${number}` }),
        h("span", {}, name),
        h("b", {}, format(column.values[number])),
      ),
    ),
  ];
}

function axis(days) {
  const shown = [0, Math.floor((days.length - 1) / 2), days.length - 1];
  return h(
    "div",
    { class: "axis", "aria-hidden": "true" },
    shown.map((index) => h("span", {}, day(days[index]))),
  );
}

function legend(series) {
  return h(
    "ul",
    { class: "legend" },
    series.map((name, number) => h("li", {}, h("span", { class: `dot fill-${number}` }), name || "not known")),
  );
}

function asTable(title, columns, series, format) {
  const named = series.length > 1;
  const used = columns.filter((column) => column.total > 0).reverse();
  const heads = ["Day", ...(named ? series : []), "Total"];
  return h(
    "details",
    { class: "as-table" },
    h("summary", {}, "Figures as a table"),
    table(
      title,
      heads.map((text, index) => ({ text, number: index > 0 })),
      used.map((column) => [day(column.day), ...(named ? column.values.map(format) : []), format(column.total)]),
    ),
  );
}
