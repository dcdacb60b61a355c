// What a chart's prices are drawn as: themselves, or, with several symbols on one scale, percents of change since the
// first bar in view. Knows no canvas.

const close = (item) => {
  const value = item?.value ?? item;
  return Array.isArray(value) ? value[1] : value;
};

/** The first price at or after the bar `start`, or NaN. */
export function baseOf(items, start) {
  for (let index = Math.max(0, start); index < items.length; index += 1) {
    const value = close(items[index]);
    if (Number.isFinite(value) && value > 0) return value;
  }
  return NaN;
}

/** One price, or the four of a candle. What is none stays as it is. */
export function percentOf(value, base) {
  if (Array.isArray(value)) return value.map((price) => percentOf(price, base));
  return Number.isFinite(value) && Number.isFinite(base) ? (value / base - 1) * 100 : value;
}

/** An item of a series, as the charting library takes it. */
function rebased(item, base) {
  const wrapped = item !== null && typeof item === "object" && !Array.isArray(item);
  return wrapped ? { ...item, value: percentOf(item.value, base) } : percentOf(item, base);
}

export class Scale {
  #looks = { percent: false, lines: [], candles: true };
  #data = [];
  #start = -1;
  /** Per series the price that its percents are of; null for series that have no prices. */
  #bases = [];

  /** Other data: candles, volumes, then one series per line. */
  take(looks, data) {
    this.#looks = looks;
    this.#data = data;
    this.#start = -1;
  }

  /** `start` is the first bar in view. Returns whether everything is drawn as something else now. */
  rebase(start) {
    if (!this.#looks.percent || this.#start === start) return false;
    const { lines, candles } = this.#looks;
    const own = baseOf(this.#data[candles ? 0 : 2] ?? [], start);
    this.#bases = this.#data.map((items, series) => {
      if (series === 0) return own;
      const line = lines[series - 2];
      if (line?.grid !== 0) return null;
      return line.other ? baseOf(items, start) : own;
    });
    this.#start = start;
    return true;
  }

  #base(series) {
    return this.#looks.percent ? (this.#bases[series] ?? null) : null;
  }

  /** The items of a series as they are drawn. */
  items(series) {
    const base = this.#base(series);
    return base === null ? this.#data[series] : this.#data[series].map((item) => rebased(item, base));
  }

  /** A price of a series as it is drawn. */
  price(series, value) {
    const base = this.#base(series);
    return base === null || value === null ? value : percentOf(value, base);
  }

  /** The forming bar as it is drawn. */
  forming(bar) {
    if (!this.#looks.percent || !bar) return bar;
    const { candle, volume, values } = bar;
    return { candle: this.price(0, candle), volume, values: values.map((value, index) => this.price(index + 2, value)) };
  }
}
