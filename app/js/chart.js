// The only code that touches the charting library. The options come from Rust as JSON; what cannot be JSON (label
// functions) is added here. Bundled into pkg/chart.js and imported by the page when it first needs a chart.

import { BarChart, CandlestickChart } from "echarts/charts";
import { AxisPointerComponent, DataZoomComponent, GridComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { axisLabels, compact, isBreak, pointerLabel, price } from "./axis.js";
import { Overlay } from "./overlay.js";

use([BarChart, CandlestickChart, AxisPointerComponent, DataZoomComponent, GridComponent, TooltipComponent, CanvasRenderer]);

/** Draws a chart into an element. `onHover` gets the index of the bar under the crosshair, or -1. */
export function mount(element, option, looks, onHover) {
  return new CandleChart(element, JSON.parse(option), JSON.parse(looks), onHover);
}

class CandleChart {
  #element;
  #base;
  #overlay;
  #observer;
  #chart = null;
  #option;
  #looks;
  #onHover;
  #categories = [];
  #candles = [];
  #volumes = [];
  #labels = { key: "", map: new Map() };
  #frame = 0;
  /** The bar that the keyboard looks at; -1 for none. */
  #cursor = -1;
  #keys = (event) => this.#pressed(event);

  constructor(element, option, looks, onHover) {
    this.#element = element;
    this.#looks = looks;
    this.#onHover = onHover;
    this.#option = option;
    this.#take(option);
    this.#base = document.createElement("div");
    this.#base.className = "chart-base";
    element.append(this.#base);
    this.#overlay = new Overlay(element);
    element.addEventListener("keydown", this.#keys);
    // A chart that is not visible has no size; it starts when it gets one.
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(element);
  }

  /** Everything anew: other bars, or other colours. `keepView` leaves the zoom as the user set it. */
  reset(option, looks, keepView) {
    const view = keepView ? this.#view() : null;
    this.#option = JSON.parse(option);
    this.#looks = JSON.parse(looks);
    this.#take(this.#option);
    if (view) for (const zoom of this.#option.dataZoom) [zoom.startValue, zoom.endValue] = view;
    this.#chart?.setOption(this.#decorate(this.#option), { notMerge: true });
    this.#paint();
  }

  /** A bar closed or was corrected. Whoever follows the newest bar goes on following; others keep the bars they look at. */
  data(option, looks) {
    const view = this.#view();
    const before = this.#categories;
    const update = JSON.parse(option);
    this.#looks = JSON.parse(looks);
    this.#take(update);
    this.#option.xAxis.forEach((axis, index) => (axis.data = update.xAxis[index].data));
    this.#option.series.forEach((series, index) => (series.data = update.series[index].data));
    if (!this.#chart) return;
    if (view) update.dataZoom = this.#moved(view, before).map((zoom) => ({ ...zoom }));
    this.#chart.setOption(update);
    this.#paint();
  }

  /** The forming candle moved. */
  live(text) {
    const { candle, volume } = JSON.parse(text);
    const last = this.#candles.length - 1;
    if (last < 0) return;
    this.#candles[last] = { ...this.#candles[last], value: candle };
    this.#volumes[last] = { ...this.#volumes[last], value: volume };
    if (this.#chart && this.#escapes(candle, volume)) {
      this.#chart.setOption({ series: [{ data: this.#candles }, { data: this.#volumes }] });
    }
    this.#paint();
  }

  dispose() {
    this.#element.removeEventListener("keydown", this.#keys);
    this.#observer.disconnect();
    cancelAnimationFrame(this.#frame);
    this.#chart?.dispose();
    this.#chart = null;
    this.#overlay.remove();
    this.#base.remove();
  }

  /** Arrows walk from bar to bar, Home and End go to the edges, + and - zoom, l goes back to the newest bar. */
  #pressed(event) {
    const view = this.#view();
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
      const span = Math.max(10, Math.round((view[1] - view[0]) * zooms[event.key]));
      const middle = this.#cursor < 0 ? view[1] : this.#cursor;
      const first = Math.max(0, Math.round(middle - (span * (middle - view[0])) / Math.max(1, view[1] - view[0])));
      this.#zoom(first, Math.min(newest, first + span));
    } else if (event.key === "l") {
      this.#leave();
      this.#zoom(Math.max(0, newest - (view[1] - view[0])), newest);
    } else if (event.key === "Escape") {
      this.#leave();
      return;
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #leave() {
    this.#cursor = -1;
    this.#chart.dispatchAction({ type: "hideTip" });
    this.#onHover(-1);
  }

  /** Moves the view just so far that the bar is in it. */
  #show([start, end], bar) {
    if (bar < start) this.#zoom(bar, bar + end - start);
    if (bar > end) this.#zoom(bar - (end - start), bar);
  }

  #zoom(startValue, endValue) {
    this.#chart.dispatchAction({ type: "dataZoom", dataZoomIndex: 0, startValue, endValue });
  }

  #take(option) {
    this.#categories = option.xAxis[0].data ?? [];
    this.#candles = option.series[0].data ?? [];
    this.#volumes = option.series[1].data ?? [];
    this.#labels.key = "";
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#element;
    if (width === 0 || height === 0) return;
    this.#overlay.resize(width, height);
    if (this.#chart) {
      this.#chart.resize();
    } else {
      this.#start();
    }
    this.#schedule();
  }

  #start() {
    this.#chart = init(this.#base, null, { renderer: "canvas" });
    this.#chart.setOption(this.#decorate(this.#option));
    this.#chart.on("updateAxisPointer", (event) => this.#onHover(event.axesInfo?.[0]?.value ?? -1));
    this.#chart.on("globalout", () => this.#onHover(-1));
    this.#chart.on("datazoom", () => this.#schedule());
    this.#chart.getZr().on("mouseout", () => this.#onHover(-1));
  }

  #decorate(option) {
    const { minutes, places } = this.#looks;
    for (const axis of option.xAxis) {
      axis.axisLabel.interval = (index) => this.#labelsNow().has(index);
      axis.axisLabel.formatter = (category, index) => this.#labelsNow().get(index) ?? this.#labelOf(category);
      axis.splitLine.interval = (index) => isBreak(this.#categories, index, minutes);
      axis.axisPointer.label.formatter = ({ value }) => pointerLabel(value, minutes);
    }
    const [prices, volumes] = option.yAxis;
    prices.axisLabel.formatter = (value) => price(value, places);
    prices.axisPointer = { label: { formatter: ({ value }) => price(value, places) } };
    volumes.axisLabel.formatter = (value) => (value > 0 ? compact(value) : "");
    volumes.axisPointer = { label: { formatter: ({ value }) => compact(value) } };
    return option;
  }

  /** The bars in view, as indices of the first and the last. */
  #view() {
    const zoom = this.#chart?.getModel()?.getComponent("dataZoom", 0);
    const range = zoom?.getValueRange();
    return range && range.every(Number.isFinite) ? range : null;
  }

  #moved([start, end], before) {
    const newest = this.#categories.length - 1;
    const span = end - start;
    let first = newest - span;
    if (end < before.length - 1) {
      const same = this.#categories.indexOf(before[start]);
      first = same < 0 ? 0 : same;
    }
    first = Math.max(0, first);
    const zoom = { startValue: first, endValue: Math.min(newest, first + span) };
    return [zoom, zoom];
  }

  #labelsNow() {
    const [start, end] = this.#view() ?? [0, this.#categories.length - 1];
    const width = this.#rect(0)?.width ?? this.#element.clientWidth;
    const key = `${start} ${end} ${width}`;
    if (this.#labels.key !== key) {
      this.#labels = { key, map: axisLabels(this.#categories, start, end, width, this.#looks.minutes) };
    }
    return this.#labels.map;
  }

  #labelOf(category) {
    return this.#labelsNow().get(this.#categories.indexOf(category)) ?? "";
  }

  #rect(grid) {
    return this.#chart?.getModel()?.getComponent("grid", grid)?.coordinateSystem?.getRect() ?? null;
  }

  #extent(axis) {
    return this.#chart.getModel().getComponent("yAxis", axis).axis.scale.getExtent();
  }

  #escapes([, , low, high], volume) {
    const [bottom, top] = this.#extent(0);
    const [, most] = this.#extent(1);
    return low < bottom || high > top || volume > most;
  }

  /** Draws at once: the page calls at most once per animation frame, and its numbers change in that same frame. */
  #paint() {
    if (!this.#chart) return;
    this.#chart.getZr().flush();
    this.#overlay.draw(this.#overlayFrame(), this.#looks);
  }

  /** Draws in the next frame, however often the user's hand asks. */
  #schedule() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
    });
  }

  #overlayFrame() {
    const last = this.#candles.length - 1;
    const [prices, volumes, view] = [this.#rect(0), this.#rect(1), this.#view()];
    if (last < 0 || !prices || !volumes || !view) return null;
    const pixel = (finder, value) => this.#chart.convertToPixel(finder, value);
    return {
      prices,
      volumes,
      x: pixel({ xAxisIndex: 0 }, last),
      band: prices.width / (view[1] - view[0] + 1),
      y: (value) => pixel({ yAxisIndex: 0 }, value),
      v: (value) => pixel({ yAxisIndex: 1 }, value),
      candle: this.#candles[last].value ?? this.#candles[last],
      volume: this.#volumes[last].value ?? this.#volumes[last],
    };
  }
}
