// Figures, times and durations as texts.

const NUMBERS = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const DAY = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" });
const TIME = new Intl.DateTimeFormat("en", {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const DATE = new Intl.DateTimeFormat("en", { dateStyle: "medium" });
const NONE = "–";

export const count = (value) => (value === null || value === undefined ? NONE : NUMBERS.format(value));

export const compact = (value) => COMPACT.format(value);

/** USD: cents from ten cents on, below that as many digits as it takes; a cost that is not known is "unknown". */
export function usd(value) {
  if (value === null || value === undefined) return "unknown";
  const amount = Number(value);
  if (amount === 0) return "$0";
  if (Math.abs(amount) < 0.000001) return "<$0.000001";
  const digits = Math.abs(amount) >= 0.1 ? 2 : Math.min(6, 1 - Math.floor(Math.log10(Math.abs(amount))));
  return `${amount < 0 ? "-" : ""}$${Math.abs(amount).toLocaleString("en", {
    minimumFractionDigits: Math.min(2, digits),
    maximumFractionDigits: digits,
  })}`;
}

/** Milliseconds as ms or seconds. */
export function duration(ms) {
  if (ms === null || ms === undefined) return NONE;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/** A day in UTC, as usage is counted: `2026-11-21` as `Nov 21`. */
export const day = (text) => DAY.format(new Date(`${text}T00:00:00Z`));

/** A time in the zone of the reader. */
export const time = (text) => (text ? TIME.format(new Date(text)) : NONE);

export const date = (text) => (text ? DATE.format(new Date(text)) : NONE);

/** How long it is until a time: `in 40 s`, `in 3 h`. */
export function until(text) {
  const seconds = Math.max(0, (new Date(text) - Date.now()) / 1000);
  if (seconds < 90) return `in ${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `in ${Math.round(seconds / 60)} min`;
  return seconds < 129_600 ? `in ${Math.round(seconds / 3600)} h` : `in ${Math.round(seconds / 86_400)} days`;
}

/** The last days until today in UTC, oldest first, as `2026-11-21`. */
export function lastDays(number) {
  const now = Date.now();
  return Array.from({ length: number }, (_, index) =>
    new Date(now - (number - 1 - index) * 86_400_000).toISOString().slice(0, 10),
  );
}
