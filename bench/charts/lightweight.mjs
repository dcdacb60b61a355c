// lightweight-charts as its documentation shows it: one `update` per series and change.

import { CandlestickSeries, HistogramSeries, createChart } from "lightweight-charts";
import { bench, inView } from "./feed.mjs";

const candle = ({ time, open, high, low, close }) => ({ time, open, high, low, close });
const column = ({ time, volume }) => ({ time, value: volume });

window.bench = bench({
  create(element, bars) {
    const chart = createChart(element, {
      width: element.clientWidth,
      height: element.clientHeight,
      layout: { background: { color: "#151b23" }, textColor: "#9aa7b4", attributionLogo: false },
      grid: { vertLines: { color: "rgba(230,237,243,0.12)" }, horzLines: { color: "rgba(230,237,243,0.12)" } },
      timeScale: { timeVisible: true },
    });
    const prices = chart.addSeries(CandlestickSeries, { upColor: "#151b23", borderUpColor: "#3fc380", wickUpColor: "#3fc380", downColor: "#ff7b72", borderDownColor: "#ff7b72", wickDownColor: "#ff7b72" });
    const volumes = chart.addSeries(HistogramSeries, { color: "#6b7785", priceScaleId: "volume", lastValueVisible: false, priceLineVisible: false });
    volumes.priceScale().applyOptions({ scaleMargins: { top: 0.8, bottom: 0 } });
    prices.setData(bars.map(candle));
    volumes.setData(bars.map(column));
    chart.timeScale().setVisibleLogicalRange({ from: bars.length - inView, to: bars.length - 1 });
    return { prices, volumes };
  },
  update({ prices, volumes }, bar) {
    prices.update(candle(bar));
    volumes.update(column(bar));
  },
  close({ prices, volumes }, bars) {
    for (const bar of bars.slice(-2)) {
      prices.update(candle(bar));
      volumes.update(column(bar));
    }
  },
});
