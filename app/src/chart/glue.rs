//! Hands the options to the canvas. The chart's JavaScript is fetched when a page first shows a chart; until then, and
//! without it, the page shows the same candles as SVG.

use super::{Redraw, options, palette::palette, redraw};
use crate::live::Series;
use leptos::{html::Div, prelude::*, task::spawn_local};
use market::{Bar, Symbol, Timeframe};
use wasm_bindgen::prelude::*;
use web_sys::Element;

#[wasm_bindgen(inline_js = "export function load_chart() { return import('../../chart.js'); }")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn load_chart() -> Result<JsValue, JsValue>;

    /// The module `app/js/chart.js`.
    #[derive(Clone)]
    type ChartModule;
    #[wasm_bindgen(method)]
    fn mount(
        this: &ChartModule,
        element: &Element,
        option: &str,
        looks: &str,
        on_hover: &Closure<dyn FnMut(f64)>,
    ) -> Handle;

    /// One drawn chart.
    type Handle;
    #[wasm_bindgen(method)]
    fn reset(this: &Handle, option: &str, looks: &str, keep_view: bool);
    #[wasm_bindgen(method)]
    fn data(this: &Handle, option: &str, looks: &str);
    #[wasm_bindgen(method)]
    fn live(this: &Handle, candle: &str);
    #[wasm_bindgen(method)]
    fn dispose(this: &Handle);
}

/// What a chart shows.
#[derive(Clone, Debug, PartialEq)]
struct Subject {
    symbol: Symbol,
    timeframe: Timeframe,
    dark: bool,
}

struct Canvas {
    handle: Handle,
    drawn: Vec<Bar>,
    subject: Subject,
    _on_hover: Closure<dyn FnMut(f64)>,
}

impl Drop for Canvas {
    fn drop(&mut self) {
        self.handle.dispose();
    }
}

/// How far the canvas has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    #[default]
    Loading,
    Drawn,
    /// The chart's JavaScript could not be fetched.
    Failed,
}

/// Keeps the canvas inside `stage` up to date as long as the calling component lives.
pub fn attach(
    stage: NodeRef<Div>,
    symbol: Signal<Symbol>,
    timeframe: Signal<Timeframe>,
    series: Signal<ArcRwSignal<Series>>,
    dark: Signal<bool>,
    hovered: RwSignal<Option<usize>>,
) -> ReadSignal<Progress> {
    let progress = RwSignal::new(Progress::Loading);
    let module = RwSignal::new_local(None::<ChartModule>);
    let canvas = StoredValue::new_local(None::<Canvas>);
    on_cleanup(move || canvas.set_value(None));

    Effect::new(move |_| {
        spawn_local(async move {
            match load_chart().await {
                Ok(loaded) => {
                    module.try_set(Some(loaded.unchecked_into()));
                }
                Err(_) => {
                    progress.try_set(Progress::Failed);
                }
            }
        });
    });
    Effect::new(move |_| {
        let (Some(module), Some(stage)) = (module.get(), stage.get()) else { return };
        let subject = Subject { symbol: symbol.get(), timeframe: timeframe.get(), dark: dark.get() };
        series.get().with(|series| {
            if series.bars.is_empty() {
                return;
            }
            canvas.update_value(|canvas| match canvas {
                Some(canvas) => canvas.update(&series.bars, subject),
                None => *canvas = Some(Canvas::mount(&module, &stage, &series.bars, subject, hovered)),
            });
            progress.set(Progress::Drawn);
        });
    });
    progress.read_only()
}

impl Canvas {
    fn mount(
        module: &ChartModule,
        stage: &Element,
        bars: &[Bar],
        subject: Subject,
        hovered: RwSignal<Option<usize>>,
    ) -> Self {
        let on_hover = Closure::<dyn FnMut(f64)>::new(move |index: f64| {
            hovered.try_set((index >= 0.0).then_some(index as usize));
        });
        let colors = palette(subject.dark);
        let handle = module.mount(
            stage,
            &options::option(bars, colors).to_string(),
            &options::looks(bars, colors, subject.timeframe).to_string(),
            &on_hover,
        );
        Self { handle, drawn: bars.to_vec(), subject, _on_hover: on_hover }
    }

    fn update(&mut self, bars: &[Bar], subject: Subject) {
        let colors = palette(subject.dark);
        let looks = || options::looks(bars, colors, subject.timeframe).to_string();
        if self.subject != subject {
            let keep_view = (&self.subject.symbol, self.subject.timeframe) == (&subject.symbol, subject.timeframe);
            self.handle.reset(&options::option(bars, colors).to_string(), &looks(), keep_view);
        } else {
            match redraw(&self.drawn, bars) {
                Redraw::Nothing => return,
                Redraw::Live => {
                    if let Some(forming) = bars.last() {
                        self.handle.live(&options::live(forming).to_string());
                    }
                }
                Redraw::Base => self.handle.data(&options::data(bars, colors).to_string(), &looks()),
            }
        }
        self.drawn = bars.to_vec();
        self.subject = subject;
    }
}
