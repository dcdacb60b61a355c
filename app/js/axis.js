// What the axes say. Pure functions: the charting library calls them, the tests call them directly.
// A category is a bar's start in exchange time, "2024-01-16 09:31".

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 390];
/** Pixels that a label needs, with the air around it. */
const LABEL_WIDTH = 62;
const DAY_MINUTES = 1440;

const day = (category) => category.slice(0, 10);
const month = (category) => category.slice(0, 7);
const dayLabel = (category) => `${Number(category.slice(8, 10))} ${MONTHS[Number(category.slice(5, 7)) - 1]}`;
const minuteOfDay = (category) => Number(category.slice(11, 13)) * 60 + Number(category.slice(14, 16));

/** Whether the category begins a new day (for daily bars: a new month): the night before it is collapsed. */
export function isBreak(categories, index, minutes) {
  if (index <= 0 || index >= categories.length) return false;
  const part = minutes >= DAY_MINUTES ? month : day;
  return part(categories[index]) !== part(categories[index - 1]);
}

/**
 * The labels of the bars `start..=end` on an axis `width` pixels wide: index -> text. Dates stand at breaks only, and
 * give way to nothing; times of day stand at round times in between, where there is room.
 */
export function axisLabels(categories, start, end, width, minutes) {
  const labels = new Map();
  const first = Math.max(0, start);
  const last = Math.min(categories.length - 1, end);
  if (last < first || width <= 0) return labels;
  const gap = Math.max(1, Math.ceil((LABEL_WIDTH * (last - first + 1)) / width));
  const daily = minutes >= DAY_MINUTES;
  const placed = [];
  const free = (index) => placed.every((other) => Math.abs(other - index) >= gap);
  const place = (index, text) => {
    placed.push(index);
    labels.set(index, text);
  };
  for (let index = first; index <= last; index += 1) {
    if (isBreak(categories, index, minutes) && free(index)) {
      const text = daily && categories[index].slice(5, 7) === "01" ? categories[index].slice(0, 4) : null;
      place(index, text ?? (daily ? MONTHS[Number(categories[index].slice(5, 7)) - 1] : dayLabel(categories[index])));
    }
  }
  const step = STEPS.find((candidate) => candidate / minutes >= gap) ?? Infinity;
  for (let index = first; index <= last; index += 1) {
    const round = daily ? true : minuteOfDay(categories[index]) % step === 0;
    // Half a label at either end would be cut off.
    if (round && index - first >= gap / 2 - 1 && last - index >= gap / 2 - 1 && free(index)) {
      place(index, daily ? dayLabel(categories[index]) : categories[index].slice(11));
    }
  }
  return labels;
}

/** Fixed decimals, thin-space grouping, a true minus. */
export function price(value, places) {
  if (!Number.isFinite(value)) return "—";
  const [whole, fraction] = Math.abs(value).toFixed(places).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u2009");
  return (value < 0 ? "−" : "") + grouped + (fraction ? `.${fraction}` : "");
}

/** 1 234 567 -> 1.2M: for the volume axis, where there is no room. */
export function compact(value) {
  if (!Number.isFinite(value)) return "—";
  for (const [limit, unit] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]]) {
    if (value >= limit) return `${Number((value / limit).toFixed(value >= limit * 10 ? 0 : 1))}${unit}`;
  }
  return String(Math.round(value));
}

/** The crosshair's label: the day only where bars are days, otherwise day and time. */
export function pointerLabel(category, minutes) {
  if (typeof category !== "string") return "";
  return minutes >= DAY_MINUTES
    ? `${dayLabel(category)} ${category.slice(0, 4)}`
    : `${dayLabel(category)} ${category.slice(11)}`;
}
