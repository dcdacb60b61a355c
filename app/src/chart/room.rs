//! How much room a chart leaves for what is below its prices. A low chart, one of many, leaves less, and has no slider.

use serde_json::{Value, json};

/// Pixels below the prices.
pub(super) struct Room {
    /// For times, and for the slider.
    pub foot: f64,
    /// For each pane above them, with its margin and without.
    pub pane: f64,
    pub pane_height: f64,
    pub slider: bool,
}

/// As `_chart_panel.scss` makes room for panes.
pub(super) const USUAL: Room = Room { foot: 62.0, pane: 74.0, pane_height: 62.0, slider: true };
const LOW: Room = Room { foot: 22.0, pane: 42.0, pane_height: 34.0, slider: false };
/// The height up to which a chart is low; `_candle_chart.scss` has it too.
const LOW_UP_TO: f64 = 299.0;

impl Room {
    /// Where a grid ends above the chart's lower edge, when so many panes are below the prices.
    pub fn bottom(&self, grid: usize, panes: usize) -> f64 {
        self.foot + self.pane * (panes - grid) as f64
    }

    fn option(&self, panes: usize) -> Value {
        let grid = |grid| match grid {
            0 => json!({ "bottom": self.bottom(0, panes) }),
            _ => json!({ "bottom": self.bottom(grid, panes), "height": self.pane_height }),
        };
        json!({ "grid": (0..=panes).map(grid).collect::<Vec<_>>(), "dataZoom": [{}, { "show": self.slider }] })
    }
}

/// ECharts' media queries: as the chart's height asks for.
pub(super) fn media(panes: usize) -> Value {
    json!([{ "query": { "maxHeight": LOW_UP_TO }, "option": LOW.option(panes) }, { "option": USUAL.option(panes) }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_above_all_panes_and_these_do_not_touch() {
        for room in [USUAL, LOW] {
            assert!(room.bottom(0, 2) > room.bottom(1, 2) + room.pane_height);
            assert!(room.bottom(1, 2) > room.bottom(2, 2) + room.pane_height);
        }
        assert_eq!(media(2)[0]["option"]["grid"].as_array().map(Vec::len), Some(3));
        assert_eq!(media(1)[0]["option"]["dataZoom"][1]["show"], json!(false));
    }
}
