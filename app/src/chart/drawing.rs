//! The part of charming's `Chart` that is drawn here. Charming's own can be any chart there is, and a browser that only
//! draws candles would download how each of them is written.

use charming::{
    component::{Axis, DataZoom, Grid},
    element::{AxisPointer, Tooltip},
};
use serde::Serialize;
use serde_json::Value;

/// A chart of charming's components; its JSON is that of `charming::Chart`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chart {
    animation: bool,
    tooltip: Option<Tooltip>,
    axis_pointer: Vec<AxisPointer>,
    data_zoom: Vec<DataZoom>,
    grid: Vec<Grid>,
    x_axis: Vec<Axis>,
    y_axis: Vec<Axis>,
    series: Vec<Value>,
}

impl Chart {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn tooltip(self, tooltip: Tooltip) -> Self {
        Self { tooltip: Some(tooltip), ..self }
    }

    pub fn axis_pointer(mut self, pointer: AxisPointer) -> Self {
        self.axis_pointer.push(pointer);
        self
    }

    pub fn data_zoom(mut self, zoom: DataZoom) -> Self {
        self.data_zoom.push(zoom);
        self
    }

    pub fn grid(mut self, grid: Grid) -> Self {
        self.grid.push(grid);
        self
    }

    pub fn x_axis(mut self, axis: Axis) -> Self {
        self.x_axis.push(axis);
        self
    }

    pub fn y_axis(mut self, axis: Axis) -> Self {
        self.y_axis.push(axis);
        self
    }

    /// One of charming's series.
    pub fn series(mut self, series: impl Serialize) -> Self {
        self.series.push(serde_json::to_value(series).expect("a series has only string keys and finite numbers"));
        self
    }
}
