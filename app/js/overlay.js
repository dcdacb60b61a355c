// What is seen of a chart: the base, and on it what moves. The forming candle with its volume and the last piece of each
// line, the price line, the marks, and the crosshair of another chart. The base is drawn by the charting library, and only
// when a bar closes, an axis is left or the user zooms. It is not shown itself but copied: a browser without a graphics card
// pays for every layer that it has to blend, in every frame and for all of its area.

import { price } from "./axis.js";

const CANDLE_SHARE = 0.7;
/** Size of a mark, and its distance from the candle, in pixels. */
const MARK = 4;
const AIR = 7;

export class Overlay {
  #context;
  #ratio = 1;
  #width = 0;
  #height = 0;
  #label = { length: 0, font: "", width: 0 };

  constructor(parent) {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "chart-overlay";
    this.canvas.setAttribute("aria-hidden", "true");
    this.#context = this.canvas.getContext("2d", { alpha: false });
    parent.append(this.canvas);
  }

  resize(width, height) {
    this.#ratio = window.devicePixelRatio || 1;
    this.#width = width;
    this.#height = height;
    this.canvas.width = Math.round(width * this.#ratio);
    this.canvas.height = Math.round(height * this.#ratio);
  }

  /**
   * @param frame { rects: one per grid; y: a function per grid; x(index); band: width of one bar; last: index of the
   *   forming bar, or -1 when it is not in view; candle: [open, close, low, high]; filled: whether it is drawn as a
   *   candle; volume; lines: [{ grid, kind, color, width, from, value }]; marks: [{ index, high, low, severity, revised }];
   *   pointer: index of the bar that another chart looks at, or -1 } or null when nothing moves
   * @param layers the canvases of the base
   */
  draw(frame, looks, layers) {
    const context = this.#context;
    context.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    context.fillStyle = looks.palette.surface;
    context.fillRect(0, 0, this.#width, this.#height);
    for (const layer of layers) context.drawImage(layer, 0, 0, this.#width, this.#height);
    if (!frame) return;
    if (frame.last >= 0) {
      if (frame.filled) this.#candle(frame, looks.palette);
      this.#column(frame, 1, frame.volume, looks.palette.border, 0.7);
      for (const line of frame.lines) {
        if (line.kind === "columns") this.#column(frame, line.grid, line.value, line.color, 0.6);
        else this.#inside(frame.rects[line.grid], () => this.#piece(frame, line));
      }
    }
    if (frame.marks.length > 0) {
      this.#inside(frame.rects[0], () => frame.marks.forEach((mark) => this.#mark(frame, mark, looks.palette)));
    }
    if (frame.pointer >= 0) this.#pointer(frame, looks.palette);
    this.#priceLine(frame, looks);
  }

  #inside(rect, paint) {
    const context = this.#context;
    context.save();
    context.beginPath();
    context.rect(rect.x, rect.y, rect.width, rect.height);
    context.clip();
    paint();
    context.restore();
  }

  /** Candle and column keep inside their grids by themselves: a clip would cost more than they do. */
  #candle({ x, y, rects, band, last, candle }, palette) {
    const context = this.#context;
    const [open, close, low, high] = candle;
    const [at, half] = [x(last), Math.max(0.5, (band * CANDLE_SHARE) / 2)];
    const scale = (value) => within(y[0](value), rects[0]);
    const [top, bottom] = [scale(Math.max(open, close)), scale(Math.min(open, close))];
    context.strokeStyle = close < open ? palette.down : palette.up;
    context.fillStyle = close < open ? palette.down : palette.surface;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(crisp(at - 0.5), scale(high));
    context.lineTo(crisp(at - 0.5), scale(low));
    context.stroke();
    const [left, width] = [crisp(at - half), Math.max(1, Math.round(half * 2) - 1)];
    const height = Math.max(0.5, Math.round(bottom - top));
    context.fillRect(left, crisp(top), width, height);
    context.strokeRect(left, crisp(top), width, height);
  }

  #column({ x, y, rects, band, last }, grid, value, color, opacity) {
    if (!Number.isFinite(value)) return;
    const half = Math.max(0.5, (band * CANDLE_SHARE) / 2);
    const [zero, top] = [within(y[grid](0), rects[grid]), within(y[grid](value), rects[grid])];
    this.#context.globalAlpha = opacity;
    this.#context.fillStyle = color;
    this.#context.fillRect(x(last) - half, Math.min(zero, top), half * 2, Math.abs(zero - top));
    this.#context.globalAlpha = 1;
  }

  /** From the value of the bar before to that of the forming one. */
  #piece(frame, { grid, kind, color, width, from, value }) {
    if (!Number.isFinite(value) || !Number.isFinite(from)) return;
    const context = this.#context;
    const [left, right, scale] = [frame.x(frame.last - 1), frame.x(frame.last), frame.y[grid]];
    if (kind === "area") {
      const bottom = frame.rects[grid].y + frame.rects[grid].height;
      context.globalAlpha = 0.12;
      context.fillStyle = color;
      context.beginPath();
      context.moveTo(left, scale(from));
      context.lineTo(right, scale(value));
      context.lineTo(right, bottom);
      context.lineTo(left, bottom);
      context.fill();
      context.globalAlpha = 1;
    }
    context.strokeStyle = color;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(left, scale(from));
    context.lineTo(right, scale(value));
    context.stroke();
  }

  /** Findings stand above the candle: a circle for info, a triangle for a warning, a square for critical. A revision stands below: a diamond. */
  #mark({ x, y }, { index, high, low, severity, revised }, palette) {
    const context = this.#context;
    const at = x(index);
    context.lineWidth = 1.5;
    if (severity) {
      const middle = y[0](high) - AIR - MARK;
      context.fillStyle = { info: palette.accent, warning: palette.warn, critical: palette.down }[severity];
      context.beginPath();
      if (severity === "critical") {
        context.rect(at - MARK, middle - MARK, MARK * 2, MARK * 2);
      } else if (severity === "warning") {
        polygon(context, [[at, middle - MARK], [at + MARK + 1, middle + MARK], [at - MARK - 1, middle + MARK]]);
      } else {
        context.arc(at, middle, MARK, 0, Math.PI * 2);
      }
      context.fill();
    }
    if (revised) {
      const middle = y[0](low) + AIR + MARK;
      context.strokeStyle = palette.accent;
      context.fillStyle = palette.surface;
      context.beginPath();
      polygon(context, [[at, middle - MARK], [at + MARK, middle], [at, middle + MARK], [at - MARK, middle]]);
      context.fill();
      context.stroke();
    }
  }

  /** Where the other chart's crosshair is, through all grids. */
  #pointer({ rects, x, pointer }, palette) {
    const context = this.#context;
    const at = crisp(x(pointer) - 0.5);
    const [first, last] = [rects[0], rects[rects.length - 1]];
    context.strokeStyle = palette.muted;
    context.lineWidth = 1;
    context.setLineDash([4, 4]);
    context.beginPath();
    context.moveTo(at, first.y);
    context.lineTo(at, last.y + last.height);
    context.stroke();
    context.setLineDash([]);
  }

  #priceLine({ rects, y, candle }, { palette, places, percent, font }) {
    const context = this.#context;
    const [rect] = rects;
    const [open, close] = candle;
    const at = y[0](close);
    if (!(at >= rect.y - 1 && at <= rect.y + rect.height + 1)) return;
    const line = Math.round(at) + 0.5;
    const right = rect.x + rect.width;
    const color = close < open ? palette.down : palette.up;
    context.strokeStyle = color;
    context.lineWidth = 1;
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(rect.x, line);
    context.lineTo(right, line);
    context.stroke();
    context.setLineDash([]);
    const text = price(close, places) + (percent ? "%" : "");
    context.font = `500 11px ${font}`;
    // Every digit is as wide as any other.
    if (this.#label.length !== text.length || this.#label.font !== font) {
      this.#label = { length: text.length, font, width: context.measureText(text).width + 10 };
    }
    const { width } = this.#label;
    context.fillStyle = color;
    context.fillRect(right + 3, line - 9, width, 18);
    context.fillStyle = palette.surface;
    context.textBaseline = "middle";
    context.fillText(text, right + 8, line + 0.5);
  }

  remove() {
    this.canvas.remove();
  }
}

const crisp = (value) => Math.round(value) + 0.5;
const within = (y, rect) => Math.min(Math.max(y, rect.y), rect.y + rect.height);

function polygon(context, [first, ...others]) {
  context.moveTo(...first);
  for (const point of others) context.lineTo(...point);
  context.closePath();
}
