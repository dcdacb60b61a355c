//! The dashboard's candlestick chart as an ECharts option: a pure function of bars and theme. Candles are on grid 0
//! because charming's candlestick has no axis index; volume bars are on grid 1.
//!
//! What charming has no field for is added to its JSON in [`complete`]. Functions (axis labels) cannot be data: the
//! glue adds them.

use crate::{chart::palette::Palette, format};
use charming::{
    Chart,
    component::{Axis, DataZoom, DataZoomType, Grid},
    datatype::{CompositeValue, DataPoint, DataPointItem},
    element::{
        AxisLabel, AxisLine, AxisPointer, AxisPointerLink, AxisPointerType, AxisTick, AxisType, Color, ItemStyle,
        Label, LineStyle, LineStyleType, SplitLine, Tooltip, Trigger,
    },
    series::{Bar as Columns, Candlestick},
};
use market::{Bar, Timeframe};
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};

/// Candles in view at first; the slider shows the rest.
const IN_VIEW: usize = 120;
const NUMBER_FONT: &str = "\"IBM Plex Mono\", ui-monospace, monospace";
/// Room for prices on the right.
const RIGHT: f64 = 66.0;

fn color(value: &str) -> Color {
    value.into()
}

fn candle(bar: &Bar) -> CompositeValue {
    let price = |value: rust_decimal::Decimal| value.to_f64().unwrap_or_default();
    vec![price(bar.open), price(bar.close), price(bar.low), price(bar.high)].into()
}

/// The last item is drawn by the glue's overlay: in the base it only takes its place, so that axes reach over it.
fn points(bars: &[Bar], value: impl Fn(&Bar) -> CompositeValue) -> Vec<DataPoint> {
    let forming = bars.len().saturating_sub(1);
    let point = |(index, bar): (usize, &Bar)| {
        if index == forming {
            DataPointItem::new(value(bar)).item_style(ItemStyle::new().opacity(0.0)).into()
        } else {
            DataPoint::Value(value(bar))
        }
    };
    bars.iter().enumerate().map(point).collect()
}

fn label_style(palette: &Palette) -> AxisLabel {
    AxisLabel::new().font_family(NUMBER_FONT).font_size(11).color(color(palette.muted))
}

fn time_axis(bars: &[Bar], grid: f64, palette: &Palette) -> Axis {
    Axis::new()
        .type_(AxisType::Category)
        .grid_index(grid)
        .boundary_gap(true)
        .data(bars.iter().map(|bar| format::category(bar.time)).collect::<Vec<_>>())
        .axis_line(AxisLine::new().show(false))
        .axis_tick(AxisTick::new().show(false))
        .axis_label(label_style(palette).show(grid > 0.0))
        .split_line(SplitLine::new().show(true).line_style(LineStyle::new().color(color(palette.hairline))))
        .axis_pointer(AxisPointer::new().label(Label::new().show(grid > 0.0)))
}

fn value_axis(grid: f64, palette: &Palette) -> Axis {
    let candles = grid == 0.0;
    Axis::new()
        .type_(AxisType::Value)
        .grid_index(grid)
        .position("right")
        .scale(candles)
        .split_number(if candles { 5 } else { 2 })
        .axis_line(AxisLine::new().show(false))
        .axis_tick(AxisTick::new().show(false))
        .axis_label(label_style(palette))
        .split_line(SplitLine::new().show(candles).line_style(LineStyle::new().color(color(palette.hairline))))
}

/// The chart that charming can describe.
pub fn chart(bars: &[Bar], palette: &Palette) -> Chart {
    let pointer_line = LineStyle::new().color(color(palette.muted)).width(1).type_(LineStyleType::Dashed);
    let zoom = |kind| {
        let first = bars.len().saturating_sub(IN_VIEW);
        DataZoom::new()
            .type_(kind)
            .x_axis_index(CompositeValue::from(vec![0, 1]))
            .start_value(first as f64)
            .end_value(bars.len().saturating_sub(1) as f64)
            .min_value_span(10)
    };
    Chart::new()
        .animation(false)
        .tooltip(Tooltip::new().trigger(Trigger::Axis).axis_pointer(
            AxisPointer::new().type_(AxisPointerType::Cross).animation(false).line_style(pointer_line.clone()),
        ))
        .axis_pointer(
            AxisPointer::new().link(vec![AxisPointerLink::new().x_axis_index("all")]).label(
                Label::new()
                    .font_family(NUMBER_FONT)
                    .font_size(11)
                    .color(color(palette.surface))
                    .background_color(color(palette.muted))
                    .padding((3.0, 5.0, 3.0, 5.0)),
            ),
        )
        .grid(Grid::new().left(4).right(RIGHT).top(8).bottom(136))
        .grid(Grid::new().left(4).right(RIGHT).bottom(62).height(62))
        .x_axis(time_axis(bars, 0.0, palette))
        .x_axis(time_axis(bars, 1.0, palette))
        .y_axis(value_axis(0.0, palette))
        .y_axis(value_axis(1.0, palette))
        .data_zoom(zoom(DataZoomType::Inside))
        .data_zoom(
            zoom(DataZoomType::Slider)
                .left(4)
                .right(RIGHT)
                .bottom(6)
                .border_color(color(palette.hairline))
                .filler_color(color(palette.hairline))
                .brush_select(false),
        )
        .series(Candlestick::new().name("price").data(points(bars, candle)))
        .series(
            Columns::new()
                .name("volume")
                .x_axis_index(1)
                .y_axis_index(1)
                .bar_width("70%")
                .item_style(ItemStyle::new().color(color(palette.border)).opacity(0.7))
                .data(points(bars, |bar| CompositeValue::from(bar.volume))),
        )
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// Adds to charming's JSON what charming has no field for.
fn complete(option: &mut Value, palette: &Palette) {
    merge(&mut option["tooltip"], json!({ "showContent": false }));
    merge(
        &mut option["tooltip"]["axisPointer"],
        json!({ "crossStyle": { "color": palette.muted, "width": 1, "type": "dashed" } }),
    );
    // The night's mark is a line; the edges of the view are none.
    for axis in 0..2 {
        merge(&mut option["xAxis"][axis]["splitLine"], json!({ "showMinLine": false, "showMaxLine": false }));
    }
    // The two value axes touch: their outermost labels would too.
    merge(&mut option["yAxis"][0]["axisLabel"], json!({ "showMinLabel": false, "showMaxLabel": false }));
    merge(&mut option["yAxis"][1]["axisLabel"], json!({ "showMaxLabel": false }));
    // Rising candles are hollow, falling ones filled. Above 600 items ECharts would draw plain sticks: not here.
    merge(
        &mut option["series"][0],
        json!({
            "barWidth": "70%", "large": false, "progressive": 0, "clip": true,
            "itemStyle": {
                "color": palette.surface, "color0": palette.down,
                "borderColor": palette.up, "borderColor0": palette.down, "borderWidth": 1
            },
            "emphasis": { "disabled": true }
        }),
    );
    merge(&mut option["series"][1], json!({ "large": false, "emphasis": { "disabled": true } }));
    let shade =
        json!({ "lineStyle": { "color": palette.border, "width": 1, "opacity": 0.9 }, "areaStyle": { "opacity": 0 } });
    merge(
        &mut option["dataZoom"][1],
        json!({
            "height": 28, "showDetail": false, "moveHandleSize": 0, "handleSize": "80%",
            "handleStyle": { "color": palette.raised, "borderColor": palette.border },
            "emphasis": { "handleStyle": { "color": palette.raised, "borderColor": palette.accent } },
            "dataBackground": shade, "selectedDataBackground": shade
        }),
    );
    merge(
        &mut option["dataZoom"][0],
        json!({ "zoomOnMouseWheel": true, "moveOnMouseMove": true, "preventDefaultMouseMove": true }),
    );
}

/// The whole option of a chart that is drawn for the first time, or in other colours.
pub fn option(bars: &[Bar], palette: &Palette) -> Value {
    let mut option =
        serde_json::to_value(chart(bars, palette)).expect("a chart has only string keys and finite numbers");
    complete(&mut option, palette);
    option
}

/// The part of the option that new bars change. It says nothing about the zoom: that is the user's.
pub fn data(bars: &[Bar], palette: &Palette) -> Value {
    let mut whole = option(bars, palette);
    let data = |part: &mut Value| json!({ "data": part["data"].take() });
    json!({
        "xAxis": [data(&mut whole["xAxis"][0]), data(&mut whole["xAxis"][1])],
        "series": [data(&mut whole["series"][0]), data(&mut whole["series"][1])],
    })
}

/// What the glue needs beside the option: colours for the overlay, decimals for the axis, the length of a bar.
pub fn looks(bars: &[Bar], palette: &Palette, timeframe: Timeframe) -> Value {
    json!({
        "palette": palette,
        "places": format::price_places(bars),
        "minutes": timeframe.duration().num_minutes(),
        "font": NUMBER_FONT,
    })
}

/// The forming candle, as the overlay draws it.
pub fn live(bar: &Bar) -> Value {
    json!({
        "candle": serde_json::to_value(candle(bar)).unwrap_or_default(),
        "volume": bar.volume,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::palette::{DARK, LIGHT};
    use chrono::DateTime;
    use rust_decimal::Decimal;

    fn bars(count: i64) -> Vec<Bar> {
        (0..count)
            .map(|minute| Bar {
                time: DateTime::from_timestamp(1_705_415_400 + minute * 60, 0).unwrap(),
                open: Decimal::new(15_300 + minute, 2),
                high: Decimal::new(15_310 + minute, 2),
                low: Decimal::new(15_290 + minute, 2),
                close: Decimal::new(15_305 + minute, 2),
                volume: 1_000 + minute,
            })
            .collect()
    }

    #[test]
    fn candles_are_open_close_low_high_and_the_last_one_is_left_to_the_overlay() {
        let option = option(&bars(3), &DARK);
        let candles = &option["series"][0]["data"];
        assert_eq!(candles[0], json!([153.0, 153.05, 152.9, 153.1]));
        assert_eq!(candles[2], json!({ "value": [153.02, 153.07, 152.92, 153.12], "itemStyle": { "opacity": 0.0 } }));
        assert_eq!(option["series"][1]["data"][0], json!(1000));
        assert_eq!(option["series"][1]["xAxisIndex"], json!(1.0));
        assert_eq!(option["xAxis"][0]["data"], json!(["2024-01-16 09:30", "2024-01-16 09:31", "2024-01-16 09:32"]));
    }

    #[test]
    fn rising_candles_are_hollow_in_both_themes() {
        for palette in [DARK, LIGHT] {
            let style = &option(&bars(3), &palette)["series"][0]["itemStyle"];
            assert_eq!((&style["color"], &style["borderColor"]), (&json!(palette.surface), &json!(palette.up)));
            assert_eq!(style["color0"], style["borderColor0"]);
        }
    }

    #[test]
    fn the_first_view_ends_at_the_newest_bar() {
        let whole = option(&bars(300), &DARK);
        for zoom in [&whole["dataZoom"][0], &whole["dataZoom"][1]] {
            assert_eq!((&zoom["startValue"], &zoom["endValue"]), (&json!(180.0), &json!(299.0)));
        }
        assert_eq!(whole["dataZoom"][1]["type"], json!("slider"));
    }

    #[test]
    fn new_bars_never_touch_the_zoom() {
        let update = data(&bars(4), &DARK);
        let keys: Vec<_> = update.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["series", "xAxis"]);
        assert_eq!(update["series"][0].as_object().unwrap().len(), 1);
        assert_eq!(update["series"][0]["data"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn an_option_without_bars_is_still_an_option() {
        assert_eq!(option(&[], &DARK)["series"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn nothing_in_it_would_need_eval() {
        let text = option(&bars(3), &DARK).to_string();
        assert!(!text.contains("function") && !text.contains("=>"));
    }
}
