// A drawn chart as a PNG to keep, under a line that says what it is and where it came from.

const HEAD = 48;
const EDGE = 12;

/** Resolves to the picture's Blob. `chart`: the canvas that shows it; `text`: { title, about, mark: a word that must not be missed, or "" }. */
export function picture(chart, width, height, ratio, text, { palette, font }) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round((height + HEAD) * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = palette.surface;
  context.fillRect(0, 0, width, height + HEAD);
  context.drawImage(chart, 0, HEAD, width, height);
  head(context, width, text, palette, font);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function head(context, width, { title, about, mark }, palette, font) {
  context.textBaseline = "alphabetic";
  context.fillStyle = palette.text;
  context.font = `500 15px ${font}`;
  context.fillText(title, EDGE, 20);
  context.fillStyle = palette.muted;
  context.font = `400 11px ${font}`;
  context.fillText(about, EDGE, 38);
  if (!mark) return;
  context.font = `500 12px ${font}`;
  const wide = context.measureText(mark).width;
  context.strokeStyle = palette.warn;
  context.fillStyle = palette.warn;
  context.lineWidth = 1;
  context.strokeRect(width - wide - 2 * EDGE - 0.5, 6.5, wide + EDGE, 19);
  context.fillText(mark, width - wide - 1.5 * EDGE, 20);
}

/** Lets the browser keep it under a name. */
export function keep(blob, name) {
  if (!blob) return;
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser has taken it when the click is over; some take it a moment later.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
