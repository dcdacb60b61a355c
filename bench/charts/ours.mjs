// The dashboard's chart, driven as the dashboard drives it: JSON texts for a closed bar and for the forming one.

import { mount } from "../../app/js/chart.js";
import { bench, inView } from "./feed.mjs";

const category = ({ time }) => new Date(time * 1000).toISOString().slice(0, 16).replace("T", " ");
const candle = ({ open, close, low, high }) => [open, close, low, high];
const forming = (bar) => ({ candle: candle(bar), volume: bar.volume, values: [] });

function data(bars) {
  const last = (value) => ({ value, itemStyle: { opacity: 0 } });
  const items = (of) => bars.map((bar, index) => (index === bars.length - 1 ? last(of(bar)) : of(bar)));
  const axis = { data: bars.map(category) };
  return { xAxis: [axis, axis], series: [{ data: items(candle) }, { data: items((bar) => bar.volume) }] };
}

const looks = (bars) => JSON.stringify({ ...window.template.looks, forming: forming(bars.at(-1)) });
const nothing = () => {};

window.bench = bench({
  create(element, bars) {
    const option = structuredClone(window.template.option);
    const { xAxis, series } = data(bars);
    option.xAxis.forEach((axis, index) => Object.assign(axis, xAxis[index]));
    option.series.forEach((one, index) => Object.assign(one, series[index]));
    for (const zoom of option.dataZoom) Object.assign(zoom, { startValue: bars.length - inView, endValue: bars.length - 1 });
    return mount(element, JSON.stringify(option), looks(bars), nothing, nothing, nothing, nothing);
  },
  update: (chart, bar) => chart.live(JSON.stringify(forming(bar))),
  close: (chart, bars) => chart.data(JSON.stringify(data(bars)), looks(bars)),
});
