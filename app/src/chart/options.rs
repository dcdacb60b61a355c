//! A chart as an ECharts option: a pure function of its plot and its colours. Candles are on grid 0 because charming's
//! candlestick has no axis index, volume is on grid 1, and studies that have no scale of prices are on grids of their own
//! below.
//!
//! What charming has no field for is added to its JSON in [`complete`]. Functions (axis labels) cannot be data: the
//! glue adds them.

use crate::{
    chart::{
        drawing::Chart,
        look::Kind,
        palette::Palette,
        plot::{Line, Plot},
        room::{self, USUAL},
    },
    format,
};
use charming::{
    component::{Axis, DataZoom, DataZoomType, Grid},
    datatype::CompositeValue,
    element::{
        AxisLabel, AxisLine, AxisPointer, AxisPointerLink, AxisPointerType, AxisTick, AxisType, Color, ItemStyle,
        Label, LineStyle, LineStyleType, SplitLine, Symbol, Tooltip, Trigger,
    },
    series::{Bar as Columns, Candlestick, Line as Curve},
};
use market::indicator::{Candle, Study};
use serde_json::{Value, json};

/// Candles in view at first; the slider shows the rest.
pub(super) const IN_VIEW: usize = 120;
const NUMBER_FONT: &str = "\"IBM Plex Mono\", ui-monospace, monospace";
/// Room for prices on the right.
const RIGHT: f64 = 66.0;
/// Decimals of percents.
const PERCENT_PLACES: u32 = 2;
/// Steps of a logarithmic axis: one percent, and powers of it.
const LOG_BASE: f64 = 1.01;

fn color(value: &str) -> Color {
    value.into()
}

/// Open, close, low, high: the order of ECharts.
fn candle(candle: &Candle) -> Value {
    json!([candle.open, candle.close, candle.low, candle.high])
}

/// What ECharts takes for an item that is not there.
const NOTHING: &str = "-";

/// One item per place on the axis, nothing where no bar is. The last one is drawn by the glue's overlay: in the base it
/// only takes its place, so that axes reach over it.
fn points(plot: &Plot, value: impl Fn(usize) -> Value) -> Value {
    let forming = plot.bars.len().saturating_sub(1);
    let point = |bar: Option<usize>| match bar {
        None => NOTHING.into(),
        Some(bar) if bar == forming => json!({ "value": value(bar), "itemStyle": { "opacity": 0 } }),
        Some(bar) => value(bar),
    };
    plot.slots.iter().map(|slot| point(slot.bar)).collect()
}

/// The items of each series, in their order.
fn items(plot: &Plot) -> Vec<Value> {
    let forming = plot.bars.len().saturating_sub(1);
    let candles = plot.look.kind.is_candles();
    // A line chart has one candle, the forming bar's close, for the axis to reach over.
    let close = |bar: usize| plot.bars.get(bar).map_or(NOTHING.into(), |bar| candle(&flat(&bar.into())));
    let price = |bar: usize| match candles {
        true => plot.candles.get(bar).map_or(NOTHING.into(), candle),
        false if bar == forming => close(bar),
        false => NOTHING.into(),
    };
    let mut items = vec![points(plot, price), points(plot, |bar| json!(plot.bars.get(bar).map(|bar| bar.volume)))];
    for &line in &plot.lines {
        let value = |bar: Option<usize>| bar.filter(|bar| *bar != forming).and_then(|bar| plot.value(line, bar));
        items.push(plot.slots.iter().map(|slot| value(slot.bar).map_or(NOTHING.into(), Value::from)).collect());
    }
    items
}

fn flat(candle: &Candle) -> Candle {
    let close = candle.close;
    Candle { open: close, high: close, low: close, close }
}

fn categories(plot: &Plot) -> Value {
    plot.slots.iter().map(|slot| Value::from(plot.zone.category(slot.time, plot.timeframe))).collect()
}

/// Volume, and one for each study that has its own.
fn panes(plot: &Plot) -> usize {
    1 + plot.look.panes().count()
}

fn label_style(palette: &Palette) -> AxisLabel {
    AxisLabel::new().font_family(NUMBER_FONT).font_size(11).color(color(palette.muted))
}

fn time_axis(grid: usize, lowest: bool, palette: &Palette) -> Axis {
    Axis::new()
        .type_(AxisType::Category)
        .grid_index(grid as f64)
        .boundary_gap(true)
        .axis_line(AxisLine::new().show(false))
        .axis_tick(AxisTick::new().show(false))
        .axis_label(label_style(palette).show(lowest))
        .split_line(SplitLine::new().show(true).line_style(LineStyle::new().color(color(palette.hairline))))
        .axis_pointer(AxisPointer::new().label(Label::new().show(lowest)))
}

fn value_axis(grid: usize, log: bool, palette: &Palette) -> Axis {
    let candles = grid == 0;
    let axis =
        if log { Axis::new().type_(AxisType::Log).log_base(LOG_BASE) } else { Axis::new().type_(AxisType::Value) };
    axis.grid_index(grid as f64)
        .position("right")
        .scale(grid != 1)
        .split_number(if candles { 5 } else { 2 })
        .axis_line(AxisLine::new().show(false))
        .axis_tick(AxisTick::new().show(false))
        .axis_label(label_style(palette))
        .split_line(SplitLine::new().show(candles).line_style(LineStyle::new().color(color(palette.hairline))))
}

/// The chart that charming can describe, without its data.
pub fn chart(plot: &Plot, palette: &Palette) -> Chart {
    let pointer_line = LineStyle::new().color(color(palette.muted)).width(1).type_(LineStyleType::Dashed);
    let panes = panes(plot);
    let zoom = |kind| {
        let first = plot.slots.len().saturating_sub(IN_VIEW);
        DataZoom::new()
            .type_(kind)
            .x_axis_index(CompositeValue::from((0..=panes as i64).collect::<Vec<_>>()))
            .start_value(first as f64)
            .end_value(plot.slots.len().saturating_sub(1) as f64)
            .min_value_span(10)
    };
    let mut chart = Chart::new()
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
        .data_zoom(zoom(DataZoomType::Inside))
        .data_zoom(
            zoom(DataZoomType::Slider)
                .left(4)
                .right(RIGHT)
                .bottom(6)
                .border_color(color(palette.hairline))
                .filler_color(color(palette.hairline))
                .brush_select(false),
        );
    for grid in 0..=panes {
        let place = Grid::new().left(4).right(RIGHT).bottom(USUAL.bottom(grid, panes));
        chart = chart
            .grid(if grid == 0 { place.top(8) } else { place.height(USUAL.pane_height) })
            .x_axis(time_axis(grid, grid == panes, palette))
            .y_axis(value_axis(grid, grid == 0 && plot.look.is_log(), palette));
    }
    chart = chart.series(Candlestick::new().name("price")).series(
        Columns::new()
            .name("volume")
            .x_axis_index(1)
            .y_axis_index(1)
            .bar_width("70%")
            .item_style(ItemStyle::new().color(color(palette.border)).opacity(0.7)),
    );
    plot.lines.iter().fold(chart, |chart, line| {
        let style = style(plot, *line, palette);
        if style.kind == "columns" {
            return chart.series(
                Columns::new()
                    .x_axis_index(line.grid as f64)
                    .y_axis_index(line.grid as f64)
                    .bar_width("70%")
                    .item_style(ItemStyle::new().color(color(style.color)).opacity(0.6)),
            );
        }
        let curve = Curve::new()
            .x_axis_index(line.grid as f64)
            .y_axis_index(line.grid as f64)
            .symbol(Symbol::None)
            .silent(true)
            .line_style(LineStyle::new().color(color(style.color)).width(style.width));
        let area = charming::element::AreaStyle::new().color(color(style.color)).opacity(0.12);
        chart.series(if style.kind == "area" { curve.area_style(area) } else { curve })
    })
}

/// How a line looks, for the base and for the overlay alike.
struct Style {
    kind: &'static str,
    color: &'static str,
    width: f64,
}

fn style(plot: &Plot, line: Line, palette: &Palette) -> Style {
    let Some(study) = line.study else {
        if let Some(other) = line.value.checked_sub(1) {
            // Behind the colours of the studies.
            let color = palette.lines[(plot.look.studies.len() + other) % palette.lines.len()];
            return Style { kind: "line", color, width: 1.5 };
        }
        let kind = if plot.look.kind == Kind::Area { "area" } else { "line" };
        return Style { kind, color: palette.accent, width: 1.5 };
    };
    let place = plot.look.studies.iter().position(|known| *known == study).unwrap_or_default();
    let nth = |place: usize| palette.lines[place % palette.lines.len()];
    match (study, line.value) {
        (Study::Macd, 2) => Style { kind: "columns", color: palette.border, width: 1.0 },
        (Study::Macd, 1) => Style { kind: "line", color: nth(place + 1), width: 1.0 },
        (Study::Bollinger(_), 1 | 2) => Style { kind: "line", color: nth(place), width: 1.0 },
        _ => Style { kind: "line", color: nth(place), width: 1.5 },
    }
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
fn complete(option: &mut Value, plot: &Plot, palette: &Palette) {
    merge(&mut option["tooltip"], json!({ "showContent": false }));
    merge(
        &mut option["tooltip"]["axisPointer"],
        json!({ "crossStyle": { "color": palette.muted, "width": 1, "type": "dashed" } }),
    );
    for grid in 0..=panes(plot) {
        // The night's mark is a line; the edges of the view are none.
        merge(&mut option["xAxis"][grid]["splitLine"], json!({ "showMinLine": false, "showMaxLine": false }));
        // The value axes touch: their outermost labels would too.
        // A logarithmic axis may have no others.
        let log = grid == 0 && plot.look.is_log();
        let outermost = json!({ "showMinLabel": grid == 1 || log, "showMaxLabel": log });
        merge(&mut option["yAxis"][grid]["axisLabel"], outermost);
    }
    for (pane, study) in plot.look.panes().enumerate() {
        if matches!(study, Study::Rsi(_)) {
            // Wilder's bounds of overbought and oversold.
            let axis = json!({
                "min": 0, "max": 100, "axisTick": { "customValues": [30, 70] },
                "axisLabel": { "customValues": [30, 70], "showMinLabel": true, "showMaxLabel": true },
                "splitLine": { "show": true }
            });
            merge(&mut option["yAxis"][pane + 2], axis);
        }
    }
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
    let series = option["series"].as_array_mut().expect("a chart has series");
    for series in series.iter_mut().skip(1) {
        merge(series, json!({ "large": false, "emphasis": { "disabled": true } }));
    }
    for (series, items) in series.iter_mut().zip(items(plot)) {
        series["data"] = items;
    }
    let categories = categories(plot);
    for axis in option["xAxis"].as_array_mut().expect("a chart has axes") {
        axis["data"] = categories.clone();
    }
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
    option["media"] = room::media(panes(plot));
    merge(
        &mut option["dataZoom"][0],
        json!({ "zoomOnMouseWheel": true, "moveOnMouseMove": true, "preventDefaultMouseMove": true }),
    );
}

/// The whole option of a chart that is drawn for the first time, or in other colours.
pub fn option(plot: &Plot, palette: &Palette) -> Value {
    let mut option =
        serde_json::to_value(chart(plot, palette)).expect("a chart has only string keys and finite numbers");
    complete(&mut option, plot, palette);
    option
}

/// The part of the option that new bars change. It says nothing about the zoom: that is the user's.
pub fn data(plot: &Plot) -> Value {
    let series: Vec<_> = items(plot).into_iter().map(|data| json!({ "data": data })).collect();
    let axis = json!({ "data": categories(plot) });
    json!({ "xAxis": vec![axis; panes(plot) + 1], "series": series })
}

/// What the glue needs beside the option: colours and lines for the overlay, decimals for the axis, the length of a bar, the
/// forming bar.
pub fn looks(plot: &Plot, palette: &Palette) -> Value {
    let line = |line: &Line| {
        let style = style(plot, *line, palette);
        let mut described =
            json!({ "grid": line.grid, "kind": style.kind, "color": style.color, "width": style.width });
        if line.study.is_none() && line.value > 0 {
            described["other"] = true.into();
        }
        described
    };
    let mut looks = json!({
        "palette": palette,
        "places": format::price_places(&plot.bars),
        "minutes": plot.timeframe.duration().num_minutes(),
        "font": NUMBER_FONT,
        "candles": plot.look.kind.is_candles(),
        "lines": plot.lines.iter().map(line).collect::<Vec<_>>(),
        "forming": live(plot),
    });
    if plot.look.is_percent() {
        looks["percent"] = true.into();
        looks["places"] = PERCENT_PLACES.into();
    }
    looks
}

/// The forming bar, as the overlay draws it; `null` without bars.
pub fn live(plot: &Plot) -> Value {
    plot.forming().map_or(Value::Null, |forming| {
        let shown = if plot.look.kind.is_candles() { forming.candle } else { flat(&forming.candle) };
        json!({ "candle": candle(&shown), "volume": forming.volume, "values": forming.values })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chart::{
            look::Look,
            palette::{DARK, LIGHT},
        },
        live::Series,
    };
    use chrono::DateTime;
    use market::{Bar, Timeframe};
    use rust_decimal::Decimal;

    fn plot_of(count: i64, look: Look) -> Plot {
        let bar = |minute: i64| Bar {
            time: DateTime::from_timestamp(1_705_415_400 + minute * 60, 0).unwrap(),
            open: Decimal::new(15_300 + minute, 2),
            high: Decimal::new(15_310 + minute, 2),
            low: Decimal::new(15_290 + minute, 2),
            close: Decimal::new(15_305 + minute, 2),
            volume: 1_000 + minute,
        };
        let mut series = Series::default();
        series.seed((0..count).map(bar).collect());
        Plot::new(&series, Timeframe::MINUTE_1, look)
    }

    fn plot(count: i64) -> Plot {
        plot_of(count, Look::default())
    }

    #[test]
    fn candles_are_open_close_low_high_and_the_last_one_is_left_to_the_overlay() {
        let option = option(&plot(3), &DARK);
        let candles = &option["series"][0]["data"];
        assert_eq!(candles[0], json!([153.0, 153.05, 152.9, 153.1]));
        assert_eq!(candles[2], json!({ "value": [153.02, 153.07, 152.92, 153.12], "itemStyle": { "opacity": 0 } }));
        assert_eq!(option["series"][1]["data"][0], json!(1000));
        assert_eq!(option["series"][1]["xAxisIndex"], json!(1.0));
        assert_eq!(option["xAxis"][0]["data"], json!(["2024-01-16 09:30", "2024-01-16 09:31", "2024-01-16 09:32"]));
    }

    #[test]
    fn rising_candles_are_hollow_in_both_themes() {
        for palette in [DARK, LIGHT] {
            let style = &option(&plot(3), &palette)["series"][0]["itemStyle"];
            assert_eq!((&style["color"], &style["borderColor"]), (&json!(palette.surface), &json!(palette.up)));
            assert_eq!(style["color0"], style["borderColor0"]);
        }
    }

    #[test]
    fn the_first_view_ends_at_the_newest_bar() {
        let whole = option(&plot(300), &DARK);
        for zoom in [&whole["dataZoom"][0], &whole["dataZoom"][1]] {
            assert_eq!((&zoom["startValue"], &zoom["endValue"]), (&json!(180.0), &json!(299.0)));
        }
        assert_eq!(whole["dataZoom"][1]["type"], json!("slider"));
    }

    #[test]
    fn new_bars_never_touch_the_zoom() {
        let update = data(&plot(4));
        let keys: Vec<_> = update.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["series", "xAxis"]);
        assert_eq!(update["series"][0].as_object().unwrap().len(), 1);
        assert_eq!(update["series"][0]["data"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn studies_are_lines_over_prices_or_have_panes_below_and_leave_the_last_bar_to_the_overlay() {
        let plot = plot_of(30, Look::read(None, Some("log"), Some("sma5,rsi,macd")));
        let option = option(&plot, &DARK);
        let on: Vec<_> = option["series"].as_array().unwrap()[2..].iter().map(|s| s["yAxisIndex"].as_f64()).collect();
        assert_eq!(on, [Some(0.0), Some(2.0), Some(3.0), Some(3.0), Some(3.0)]);
        let sma = option["series"][2]["data"].as_array().unwrap();
        assert_eq!((&sma[3], &sma[29]), (&json!(NOTHING), &json!(NOTHING)));
        assert!((sma[4].as_f64().unwrap() - 153.07).abs() < 1e-9);
        assert_eq!(option["grid"].as_array().unwrap().len(), 4);
        assert_eq!(option["yAxis"][0]["type"], json!("log"));
        let looks = looks(&plot, &DARK);
        assert_eq!(looks["lines"].as_array().unwrap().len(), 5);
        assert!(looks["forming"]["values"][0].is_f64());
    }

    #[test]
    fn symbols_compared_with_are_lines_of_their_own_scale_and_percents_have_no_logarithm() {
        let mut plot = plot_of(30, Look::read(None, Some("log"), Some("sma5,bb")).comparing(Some("MSFT,AAPL")));
        plot.compare(|_, bars| bars.iter().map(|_| Some(42.0)).collect());
        let (option, looks) = (option(&plot, &DARK), looks(&plot, &DARK));
        assert_ne!(option["yAxis"][0]["type"], json!("log"));
        assert_eq!(option["series"][2]["data"][3], json!(42.0));
        assert_eq!((&looks["percent"], &looks["places"]), (&json!(true), &json!(2)));
        let other: Vec<_> = looks["lines"].as_array().unwrap().iter().map(|line| line["other"].is_boolean()).collect();
        assert_eq!(other, [true, true, false, false, false, false]);
        let colors: std::collections::BTreeSet<_> =
            [0, 1, 2, 3].map(|line| looks["lines"][line]["color"].to_string()).into();
        assert_eq!(colors.len(), 4);
    }

    #[test]
    fn a_line_chart_has_one_flat_candle_for_the_axis() {
        let plot = plot_of(3, Look::read(Some("area"), None, None));
        let option = option(&plot, &DARK);
        assert_eq!(option["series"][0]["data"][0], json!(NOTHING));
        assert_eq!(option["series"][0]["data"][2]["value"], json!([153.07, 153.07, 153.07, 153.07]));
        assert_eq!(option["series"][2]["data"], json!([153.05, 153.06, NOTHING]));
        assert_eq!(live(&plot)["values"], json!([153.07]));
    }

    #[test]
    fn the_benchmark_draws_what_the_page_draws() {
        let wanted = json!({ "option": option(&plot(0), &DARK), "looks": looks(&plot(0), &DARK) });
        let there: Value = serde_json::from_str(include_str!("../../../bench/charts/option.json")).unwrap();
        assert!(there == wanted, "bench/charts/option.json must be:\n{wanted}");
    }

    #[test]
    fn an_option_without_bars_is_still_an_option() {
        assert_eq!(option(&plot(0), &DARK)["series"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn nothing_in_it_would_need_eval() {
        let text = option(&plot_of(30, Look::read(None, None, Some("bb,macd"))), &DARK).to_string();
        assert!(!text.contains("function") && !text.contains("=>"));
    }
}
