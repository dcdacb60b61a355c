// The only code that touches the charting library. The options come from Rust as JSON; what cannot be JSON (label
// functions) is added here. Bundled into pkg/chart.js and imported by the page when it first needs a chart.

import { BarChart, CandlestickChart, LineChart } from "echarts/charts";
import { AxisPointerComponent, DataZoomComponent, GridComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { axisLabels, compact, isBreak, pointerLabel, price } from "./axis.js";
import { draw, forget, later } from "./frames.js";
import { geometryOf, viewOf } from "./geometry.js";
import { Overlay } from "./overlay.js";
import { keep, picture } from "./picture.js";
import { Scale } from "./scale.js";

use([
  BarChart, CandlestickChart, LineChart, AxisPointerComponent, DataZoomComponent, GridComponent, TooltipComponent, CanvasRenderer,
]);

/** The narrowest view, in bars. */
const NARROWEST = 10;
/** Bars before the view at which older ones are asked for. */
const OLDER_AHEAD = 40;

/**
 * Draws a chart into an element. All indices are those of categories: `hover` gets the index of the bar under the
 * crosshair, or -1; `activate` that of the bar that was clicked, or looked at by the keyboard when Enter was pressed;
 * `older` is called while the view is near the first bar; `view` gets the first and the last bar in
 * view, and whether the user has zoomed or moved there.
 */
export function mount(element, option, looks, hover, activate, older, view) {
  return new CandleChart(element, JSON.parse(option), JSON.parse(looks), { hover, activate, older, view });
}

class CandleChart {
  #element;
  #base;
  #overlay;
  #observer;
  #chart = null;
  #option;
  #looks;
  #on;
  #categories = [];
  /** Data of each series: candles, volumes, then one per line. The last of each is the forming bar. */
  #data = [];
  #forming = null;
  #scale = new Scale();
  #marks = [];
  /** The bar that another chart's crosshair is at; -1 for none. */
  #pointer = -1;
  #geometry = null;
  #labels = { key: "", map: new Map() };
  /** The bar that the keyboard looks at; -1 for none. */
  #cursor = -1;
  /** What the base lacks: nothing, the data in `#update`, or everything. */
  #stale = "";
  #update = null;
  #keys = (event) => this.#pressed(event);
  #paint = () => this.#drawOverlay();
  #repaint = () => this.#drawBase();
  #renew = () => this.#drawRebased();

  constructor(element, option, looks, on) {
    this.#element = element;
    this.#looks = looks;
    this.#on = on;
    this.#option = option;
    this.#take(option);
    this.#base = document.createElement("div");
    this.#base.className = "chart-base";
    element.append(this.#base);
    this.#overlay = new Overlay(element);
    element.addEventListener("keydown", this.#keys);
    // A chart that is not visible has no size; it starts when it gets one.
    this.#observer = new ResizeObserver(() => later(this.#resize));
    this.#observer.observe(element);
  }

  /** Everything anew: other bars, lines or colours. `keepView` leaves the zoom as the user set it. */
  reset(option, looks, keepView) {
    const view = keepView ? viewOf(this.#chart) : null;
    const before = this.#categories;
    this.#option = JSON.parse(option);
    this.#looks = JSON.parse(looks);
    this.#take(this.#option);
    if (view) this.#option.dataZoom.forEach((zoom) => Object.assign(zoom, this.#moved(view, before)));
    this.#stale = "all";
    draw(this.#repaint, true);
  }

  /** A bar closed or was corrected, or older ones came. Whoever follows the newest bar goes on following; others keep the bars they look at. */
  data(option, looks) {
    const view = this.#update?.view ?? viewOf(this.#chart);
    const before = this.#update?.before ?? this.#categories;
    const update = JSON.parse(option);
    this.#looks = JSON.parse(looks);
    this.#take(update);
    this.#option.xAxis.forEach((axis, index) => (axis.data = update.xAxis[index].data));
    this.#option.series.forEach((series, index) => (series.data = update.series[index].data));
    this.#update = { view, before };
    this.#stale ||= "data";
    draw(this.#repaint, true);
  }

  /** The forming bar moved: { candle: [open, close, low, high], volume, values: one per line, null for none }. */
  live(text) {
    this.#forming = JSON.parse(text);
    draw(this.#paint, false);
  }

  /** What is to be seen at bars: [{ index, high, low, severity: its name or null, revised }]. */
  marks(text) {
    this.#marks = JSON.parse(text);
    draw(this.#paint, false);
  }

  /** Another chart's crosshair is at this bar, or, with -1, nowhere. */
  point(index) {
    if (this.#pointer === index) return;
    this.#pointer = index;
    later(this.#paint);
  }

  /** Brings the bars `first..=last` into view. */
  show(first, last) {
    const view = { startValue: first, endValue: last };
    if (this.#update) this.#update.exact = view;
    this.#option.dataZoom.forEach((zoom) => Object.assign(zoom, view));
    if (this.#chart && !this.#stale) {
      this.#chart.setOption({ dataZoom: this.#option.dataZoom.map(() => view), ...this.#rebased(first) });
      this.#tell();
      this.#chart.getZr().flush();
      this.#geometry = null;
      this.#drawOverlay();
    }
    if (first < OLDER_AHEAD) this.#on.older();
  }

  /** Goes to the newest bar, and leaves the one that the keyboard looks at. */
  newest() {
    const view = viewOf(this.#chart);
    if (!view) return;
    this.#leave();
    const newest = this.#categories.length - 1;
    this.show(Math.max(0, newest - (view[1] - view[0])), newest);
  }

  /** Lets the browser keep a picture of what is in view under a name. */
  keep(text, name) {
    if (!this.#chart) return;
    const { clientWidth: width, clientHeight: height } = this.#element;
    const ratio = window.devicePixelRatio || 1;
    picture(this.#overlay.canvas, width, height, ratio, JSON.parse(text), this.#looks).then((blob) => keep(blob, name));
  }

  dispose() {
    this.#element.removeEventListener("keydown", this.#keys);
    this.#observer.disconnect();
    for (const job of [this.#paint, this.#repaint, this.#renew, this.#resize]) forget(job);
    this.#chart?.dispose();
    this.#chart = null;
    this.#overlay.remove();
    this.#base.remove();
  }

  /**
   * Arrows walk from bar to bar, Home and End go to the edges, + and - zoom, Enter activates
   * the bar looked at, or the newest in view.
   */
  #pressed(event) {
    const view = viewOf(this.#chart);
    if (!view || event.ctrlKey || event.metaKey || event.altKey) return;
    const newest = this.#categories.length - 1;
    const from = this.#cursor < 0 ? view[1] : Math.min(this.#cursor, newest);
    const moves = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: newest };
    const zooms = { "+": 0.75, "=": 0.75, "-": 1 / 0.75 };
    if (event.key in moves) {
      this.#cursor = Math.max(0, Math.min(newest, moves[event.key]));
      this.#show(view, this.#cursor);
      this.#chart.dispatchAction({ type: "showTip", seriesIndex: 0, dataIndex: this.#cursor });
    } else if (event.key in zooms) {
      const span = Math.max(NARROWEST, Math.round((view[1] - view[0]) * zooms[event.key]));
      const middle = this.#cursor < 0 ? view[1] : this.#cursor;
      const first = Math.max(0, Math.round(middle - (span * (middle - view[0])) / Math.max(1, view[1] - view[0])));
      this.#zoom(first, Math.min(newest, first + span));
    } else if (event.key === "Escape") {
      this.#leave();
      return;
    } else if (event.key === "Enter") {
      this.#on.activate(from);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #clicked(pixel) {
    const grids = this.#option.grid.keys();
    const grid = [...grids].find((index) => this.#chart.containPixel({ gridIndex: index }, pixel));
    if (grid === undefined) return;
    const [index] = this.#chart.convertFromPixel({ gridIndex: grid }, pixel);
    if (index >= 0 && index < this.#categories.length) this.#on.activate(index);
  }

  #leave() {
    this.#cursor = -1;
    this.#chart.dispatchAction({ type: "hideTip" });
    this.#on.hover(-1);
  }

  /** Moves the view just so far that the bar is in it. */
  #show([start, end], bar) {
    if (bar < start) this.#zoom(bar, bar + end - start);
    if (bar > end) this.#zoom(bar - (end - start), bar);
  }

  #zoom(startValue, endValue) {
    this.#chart.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, startValue, endValue });
  }

  /** The view is another one now, and not by the user. Told later: whoever gave the order is still at work. */
  #tell() {
    queueMicrotask(() => {
      const view = viewOf(this.#chart);
      if (view) this.#on.view(view[0], view[1], false);
    });
  }

  /** The series as percents of another bar, or nothing when they stay. */
  #rebased(start) {
    return this.#scale.rebase(start) ? { series: this.#data.map((_, series) => ({ data: this.#scale.items(series) })) } : {};
  }

  #zoomed() {
    this.#geometry = null;
    later(this.#paint);
    const view = viewOf(this.#chart);
    if (!view) return;
    if (this.#looks.percent) later(this.#renew);
    if (view[0] < OLDER_AHEAD) this.#on.older();
    this.#on.view(view[0], view[1], true);
  }

  #take(option) {
    this.#categories = option.xAxis[0].data ?? [];
    this.#data = option.series.map((series) => series.data ?? []);
    this.#labels.key = "";
    this.#forming = this.#looks.forming;
    this.#scale.take(this.#looks, this.#data);
  }

  #resize = () => {
    const { clientWidth: width, clientHeight: height } = this.#element;
    if (width === 0 || height === 0) return;
    this.#overlay.resize(width, height);
    if (this.#chart) {
      this.#chart.resize();
    } else {
      this.#start();
    }
    this.#geometry = null;
    this.#drawOverlay();
  };

  #start() {
    this.#chart = init(this.#base, null, { renderer: "canvas" });
    this.#chart.setOption(this.#whole());
    this.#stale = "";
    this.#update = null;
    this.#tell();
    // What the library draws by itself, which is its crosshair, is seen when the overlay has copied it.
    this.#chart.on("rendered", () => later(this.#paint));
    this.#chart.on("updateAxisPointer", (event) => this.#on.hover(event.axesInfo?.[0]?.value ?? -1));
    this.#chart.on("globalout", () => this.#on.hover(-1));
    this.#chart.on("datazoom", () => this.#zoomed());
    this.#chart.getZr().on("mouseout", () => this.#on.hover(-1));
    // Not the candle's own click: its whole column counts, and a drag is none.
    this.#chart.getZr().on("click", ({ offsetX, offsetY }) => this.#clicked([offsetX, offsetY]));
  }

  /** The option with its data as they are drawn. */
  #whole() {
    const option = this.#decorate(this.#option);
    if (!this.#looks.percent) return option;
    this.#scale.rebase(option.dataZoom[0].startValue);
    return { ...option, series: option.series.map((series, index) => ({ ...series, data: this.#scale.items(index) })) };
  }

  #decorate(option) {
    const { minutes, places, percent } = this.#looks;
    const unit = percent ? "%" : "";
    for (const axis of option.xAxis) {
      axis.axisLabel.interval = (index) => this.#labelsNow().has(index);
      axis.axisLabel.formatter = (category, index) => this.#labelsNow().get(index) ?? this.#labelOf(category);
      axis.splitLine.interval = (index) => isBreak(this.#categories, index, minutes);
      axis.axisPointer.label.formatter = ({ value }) => pointerLabel(value, minutes);
    }
    const [prices, volumes, ...panes] = option.yAxis;
    const label = (axis, text, pointer = text) => {
      axis.axisLabel.formatter = text;
      axis.axisPointer = { label: { formatter: ({ value }) => pointer(value) } };
    };
    label(prices, (value) => price(value, places) + unit);
    label(volumes, (value) => (value > 0 ? compact(value) : ""), compact);
    for (const pane of panes) label(pane, (value) => price(value, value % 1 === 0 ? 0 : 2), (value) => price(value, 2));
    return option;
  }

  /** The view that shows the same as `[start, end]` did before the bars changed. */
  #moved([start, end], before) {
    const newest = this.#categories.length - 1;
    const span = end - start;
    let first = newest - span;
    if (end < before.length - 1) {
      const same = this.#categories.indexOf(before[start]);
      // Other names for as many bars: another zone.
      const renamed = before.length === this.#categories.length ? start : 0;
      first = same < 0 ? renamed : same;
    }
    first = Math.max(0, first);
    return { startValue: first, endValue: Math.min(newest, first + span) };
  }

  #labelsNow() {
    const [start, end] = viewOf(this.#chart) ?? [0, this.#categories.length - 1];
    const rect = this.#chart?.getModel()?.getComponent("grid", 0)?.coordinateSystem?.getRect();
    const width = rect?.width ?? this.#element.clientWidth;
    const key = `${start} ${end} ${width}`;
    if (this.#labels.key !== key) {
      this.#labels = { key, map: axisLabels(this.#categories, start, end, width, this.#looks.minutes) };
    }
    return this.#labels.map;
  }

  #labelOf(category) {
    return this.#labelsNow().get(this.#categories.indexOf(category)) ?? "";
  }

  #drawBase() {
    if (!this.#chart) return;
    if (this.#stale === "all") {
      this.#chart.setOption(this.#whole(), { notMerge: true });
    } else if (this.#stale === "data") {
      const { view, before, exact } = this.#update;
      const zoom = exact ?? (view ? this.#moved(view, before) : null);
      if (zoom) this.#scale.rebase(zoom.startValue);
      const option = {
        xAxis: this.#option.xAxis.map(({ data }) => ({ data })),
        series: this.#data.map((_, series) => ({ data: this.#scale.items(series) })),
      };
      if (zoom) option.dataZoom = this.#option.dataZoom.map(() => zoom);
      this.#chart.setOption(option);
    }
    this.#stale = "";
    this.#update = null;
    this.#tell();
    this.#chart.getZr().flush();
    this.#geometry = null;
    this.#drawOverlay();
  }

  /** The user has moved the view: percents are of another bar. */
  #drawRebased() {
    const view = viewOf(this.#chart);
    if (!view || this.#stale) return;
    const option = this.#rebased(view[0]);
    if (!option.series) return;
    this.#chart.setOption(option);
    this.#chart.getZr().flush();
    this.#geometry = null;
    this.#drawOverlay();
  }

  #drawOverlay() {
    if (!this.#chart || this.#overlay.canvas.width === 0) return;
    this.#geometry ??= geometryOf(this.#chart, this.#option.grid.length);
    if (this.#geometry && this.#escapes(this.#geometry)) this.#stretch();
    this.#overlay.draw(this.#geometry && this.#frame(this.#geometry), this.#looks, this.#base.getElementsByTagName("canvas"));
  }

  /** Whether the forming bar leaves what the axes show. */
  #escapes({ view, rects, y }) {
    const last = this.#categories.length - 1;
    if (!this.#forming || view[1] < last || this.#stale) return false;
    const [, , low, high] = this.#scale.forming(this.#forming).candle;
    const [prices, volumes] = rects;
    // Half a pixel of rounding is no escape.
    return (
      y[0](high) < prices.y - 0.5 || y[0](low) > prices.y + prices.height + 0.5 || y[1](this.#forming.volume) < volumes.y - 0.5
    );
  }

  /** The axes are drawn anew around the forming bar. */
  #stretch() {
    const put = (series, value) => (this.#data[series][this.#data[series].length - 1] = { ...this.#data[series].at(-1), value });
    put(0, this.#forming.candle);
    put(1, this.#forming.volume);
    this.#chart.setOption({ series: [{ data: this.#scale.items(0) }, { data: this.#scale.items(1) }] });
    this.#chart.getZr().flush();
    this.#geometry = geometryOf(this.#chart, this.#option.grid.length);
  }

  #frame(geometry) {
    const { view } = geometry;
    const last = this.#categories.length - 1;
    if (!this.#forming || last < 0) return null;
    const { lines } = this.#looks;
    const forming = this.#scale.forming(this.#forming);
    const inView = (index) => index >= view[0] && index <= view[1];
    return {
      ...geometry,
      last: inView(last) ? last : -1,
      ...forming,
      filled: this.#looks.candles,
      lines: lines.map((line, index) => ({
        ...line,
        from: this.#scale.price(index + 2, this.#data[index + 2]?.[last - 1]),
        value: forming.values[index] ?? NaN,
      })),
      marks: this.#marks
        .filter(({ index }) => inView(index))
        .map((mark) => ({ ...mark, high: this.#scale.price(0, mark.high), low: this.#scale.price(0, mark.low) })),
      pointer: inView(this.#pointer) ? this.#pointer : -1,
    };
  }
}
