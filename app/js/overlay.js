// The thin layer above the chart: the forming candle, its volume and the price line. It follows every change; the base
// below it is drawn only when a bar closes, an axis is left or the user zooms.

import { price } from "./axis.js";

const CANDLE_SHARE = 0.7;

export class Overlay {
  constructor(parent) {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "chart-overlay";
    this.canvas.setAttribute("aria-hidden", "true");
    parent.append(this.canvas);
  }

  resize(width, height) {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.ratio = ratio;
  }

  /**
   * @param frame { prices, volumes: grid rectangles; x: centre of the candle; band: width of one bar;
   *   y(price), v(volume): pixels; candle: [open, close, low, high]; volume } or null to draw nothing
   */
  draw(frame, looks) {
    const context = this.canvas.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!frame) return;
    const [open, close, low, high] = frame.candle;
    const { palette } = looks;
    const color = close < open ? palette.down : palette.up;
    const half = Math.max(0.5, (frame.band * CANDLE_SHARE) / 2);
    const crisp = (value) => Math.round(value) + 0.5;

    const inside = (rect, paint) => {
      context.save();
      context.beginPath();
      context.rect(rect.x, rect.y, rect.width, rect.height);
      context.clip();
      paint();
      context.restore();
    };
    inside(frame.prices, () => {
      const [top, bottom] = [frame.y(Math.max(open, close)), frame.y(Math.min(open, close))];
      const left = crisp(frame.x - half);
      const width = Math.max(1, Math.round(half * 2) - 1);
      context.strokeStyle = color;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(crisp(frame.x - 0.5), frame.y(high));
      context.lineTo(crisp(frame.x - 0.5), top);
      context.moveTo(crisp(frame.x - 0.5), bottom);
      context.lineTo(crisp(frame.x - 0.5), frame.y(low));
      context.stroke();
      context.fillStyle = close < open ? palette.down : palette.surface;
      context.beginPath();
      context.rect(left, crisp(top), width, Math.max(0.5, Math.round(bottom - top)));
      context.fill();
      context.stroke();
    });
    inside(frame.volumes, () => {
      context.globalAlpha = 0.7;
      context.fillStyle = palette.border;
      const top = frame.v(frame.volume);
      context.fillRect(frame.x - half, top, half * 2, frame.v(0) - top);
    });
    this.#priceLine(context, frame, looks, color);
  }

  #priceLine(context, frame, { palette, places, font }, color) {
    const [, close] = frame.candle;
    const at = crispWithin(frame.y(close), frame.prices);
    if (at === null) return;
    const right = frame.prices.x + frame.prices.width;
    context.strokeStyle = color;
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(frame.prices.x, at);
    context.lineTo(right, at);
    context.stroke();
    context.setLineDash([]);
    const text = price(close, places);
    context.font = `500 11px ${font}`;
    const width = context.measureText(text).width + 10;
    context.fillStyle = color;
    context.fillRect(right + 3, at - 9, width, 18);
    context.fillStyle = palette.surface;
    context.textBaseline = "middle";
    context.fillText(text, right + 8, at + 0.5);
  }

  remove() {
    this.canvas.remove();
  }
}

function crispWithin(y, rect) {
  return y >= rect.y - 1 && y <= rect.y + rect.height + 1 ? Math.round(y) + 0.5 : null;
}
