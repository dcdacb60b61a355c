// Where things are on a drawn chart. Read from the charting library once per change of the base, so that a live candle
// asks it nothing.

/** The bars in view, as indices of the first and the last; null before there are any. */
export function viewOf(chart) {
  const range = chart?.getModel()?.getComponent("dataZoom", 0)?.getValueRange();
  return range && range.every(Number.isFinite) ? range : null;
}

/**
 * { view, rects: one per grid, band: width of one bar, x(index), y: a function from value to pixel per grid }, or null
 * when nothing is drawn.
 */
export function geometryOf(chart, grids) {
  const view = viewOf(chart);
  if (!view) return null;
  const model = chart.getModel();
  const rects = [];
  const y = [];
  for (let grid = 0; grid < grids; grid += 1) {
    const rect = model.getComponent("grid", grid)?.coordinateSystem?.getRect();
    const axis = model.getComponent("yAxis", grid)?.axis;
    if (!rect || !axis) return null;
    rects.push({ x: rect.x, y: rect.y, width: rect.width, height: rect.height });
    y.push((value) => axis.toGlobalCoord(axis.dataToCoord(value)));
  }
  const band = rects[0].width / (view[1] - view[0] + 1);
  const x = (index) => rects[0].x + (index - view[0] + 0.5) * band;
  return { view, rects, band, x, y };
}
