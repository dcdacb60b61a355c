//! Hands the plot to the canvas. The chart's JavaScript is fetched when a page first shows a chart; until then, and
//! without it, the page shows the same candles as SVG.

use super::{Crosshair, Pointed, caption::Caption, look::Look, notes::Notes, options, palette::palette, plot::Plot};
use crate::{query::Side, span::Span, zone::Zone};
use chrono::{DateTime, Utc};
use leptos::{html::Div, prelude::*, task::spawn_local};
use market::{Severity, Symbol, Timeframe};
use serde_json::json;
use std::{cell::RefCell, rc::Rc};
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
        on_activate: &Closure<dyn FnMut(f64)>,
        on_older: &Closure<dyn FnMut()>,
        on_view: &Closure<dyn FnMut(f64, f64, bool)>,
    ) -> Handle;

    /// One drawn chart.
    type Handle;
    #[wasm_bindgen(method)]
    fn reset(this: &Handle, option: &str, looks: &str, keep_view: bool);
    #[wasm_bindgen(method)]
    fn data(this: &Handle, option: &str, looks: &str);
    #[wasm_bindgen(method)]
    fn live(this: &Handle, forming: &str);
    #[wasm_bindgen(method)]
    fn marks(this: &Handle, marks: &str);
    #[wasm_bindgen(method)]
    fn point(this: &Handle, index: f64);
    #[wasm_bindgen(method)]
    fn show(this: &Handle, first: f64, last: f64);
    #[wasm_bindgen(method)]
    fn newest(this: &Handle);
    #[wasm_bindgen(method)]
    fn keep(this: &Handle, text: &str, name: &str);
    #[wasm_bindgen(method)]
    fn dispose(this: &Handle);
}

/// What a canvas shows, and what it tells.
#[derive(Clone, Copy)]
pub struct Content {
    pub side: Side,
    pub symbol: Signal<Symbol>,
    pub plot: RwSignal<Plot>,
    pub notes: Signal<Notes>,
    pub dark: Signal<bool>,
    pub safe_colors: Signal<bool>,
    pub crosshair: Crosshair,
    /// Receives the start of the bar that was clicked, or looked at when Enter was pressed.
    pub activated: Callback<DateTime<Utc>>,
    /// Called while the view is near the first bar.
    pub older: Callback<()>,
    /// The time to be in view, once its bars are here.
    pub framed: Signal<Option<Span>>,
    /// Counts the orders to go to the newest bar.
    pub newest: RwSignal<u32>,
    /// Receives what the user has in view now.
    pub viewed: Callback<Viewed>,
    /// Receives the starts of the first and the last bar in view, whoever moved the view.
    pub seen: RwSignal<Option<(DateTime<Utc>, DateTime<Utc>)>>,
    /// Counts the pictures asked for.
    pub picture: RwSignal<u32>,
    /// Whether the prices are made up.
    pub simulated: Signal<bool>,
}

/// What the user has in view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewed {
    /// Starts of the first and the last bar.
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
    /// Whether the last is the newest.
    pub newest: bool,
}

/// What a drawing is of: another subject is another drawing.
#[derive(Clone, Debug, PartialEq)]
struct Subject {
    symbol: Symbol,
    timeframe: Timeframe,
    look: Look,
    zone: Zone,
    colors: (bool, bool),
}

struct Canvas {
    handle: Handle,
    subject: Subject,
    /// The plot's count when it was drawn.
    built: u64,
    /// Times of the places on the axis, which the canvas knows by index.
    times: Rc<RefCell<Vec<DateTime<Utc>>>>,
    _on_hover: Closure<dyn FnMut(f64)>,
    _on_activate: Closure<dyn FnMut(f64)>,
    _on_older: Closure<dyn FnMut()>,
    _on_view: Closure<dyn FnMut(f64, f64, bool)>,
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
pub fn attach(stage: NodeRef<Div>, content: Content) -> ReadSignal<Progress> {
    let progress = RwSignal::new(Progress::Loading);
    let module = RwSignal::new_local(None::<ChartModule>);
    let canvas = StoredValue::new_local(None::<Canvas>);
    // What was brought into view, or left by the user: from then on the view is theirs.
    let settled = StoredValue::new(None::<Span>);
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
        let colors = (content.dark.get(), content.safe_colors.get());
        content.plot.with(|plot| {
            if plot.bars.is_empty() {
                return;
            }
            let subject = Subject {
                symbol: content.symbol.get_untracked(),
                timeframe: plot.timeframe,
                look: plot.look.clone(),
                zone: plot.zone,
                colors,
            };
            canvas.update_value(|canvas| match canvas {
                Some(canvas) => {
                    if canvas.update(plot, subject) {
                        settled.set_value(None);
                    }
                }
                None => *canvas = Some(Canvas::mount(&module, &stage, plot, subject, content, settled)),
            });
        });
        if canvas.with_value(Option::is_some) {
            progress.set(Progress::Drawn);
        }
    });
    // Marks stand at places of the axis, which change when the plot is built anew, and not with the forming bar.
    let built = Memo::new(move |_| content.plot.with(|plot| plot.built));
    Effect::new(move |_| {
        if progress.get() != Progress::Drawn {
            return;
        }
        built.track();
        let marks = content.notes.with(|notes| content.plot.with_untracked(|plot| marks(plot, notes)));
        canvas.with_value(|canvas| canvas.as_ref().inspect(|canvas| canvas.handle.marks(&marks)).is_some());
    });
    frame(content, progress, built, canvas, settled);
    keep_pictures(content, canvas);
    Effect::new(move |_| {
        if progress.get() != Progress::Drawn {
            return;
        }
        let elsewhere = content.crosshair.0.get().filter(|pointed| pointed.side != content.side);
        let slot = elsewhere.and_then(|pointed| content.plot.with_untracked(|plot| plot.slot_at(pointed.time)));
        let index = slot.map_or(-1.0, |slot| slot as f64);
        canvas.with_value(|canvas| canvas.as_ref().inspect(|canvas| canvas.handle.point(index)).is_some());
    });
    progress.read_only()
}

/// Brings the time that is asked for into view, older bars included, and goes to the newest bar when told.
fn frame(
    content: Content,
    progress: RwSignal<Progress>,
    built: Memo<u64>,
    canvas: StoredValue<Option<Canvas>, LocalStorage>,
    settled: StoredValue<Option<Span>>,
) {
    let order = move |order: &dyn Fn(&Handle)| {
        canvas.with_value(|canvas| canvas.as_ref().inspect(|canvas| order(&canvas.handle)).is_some());
    };
    Effect::new(move |before: Option<Option<Span>>| {
        let span = content.framed.get();
        built.track();
        let before = before.flatten();
        let (Some(wanted), true) = (span, progress.get() == Progress::Drawn) else { return before };
        if settled.get_value() == span {
            return span;
        }
        let (view, whole) = content.plot.with_untracked(|plot| plot.frame(wanted));
        match view {
            // The first drawing is at the newest bars by itself.
            Some(_) if before.is_none() && matches!(wanted, Span::Live(None) | Span::Replay { .. }) => {}
            Some((first, last)) => order(&|handle| handle.show(first as f64, last as f64)),
            None => {}
        }
        if whole {
            settled.set_value(span);
        } else {
            content.older.run(());
        }
        span
    });
    Effect::new(move |before: Option<u32>| {
        let count = content.newest.get();
        if before.is_some_and(|before| before != count) {
            order(&Handle::newest);
        }
        count
    });
}

/// Lets the browser keep a picture of what is in view whenever one is asked for.
fn keep_pictures(content: Content, canvas: StoredValue<Option<Canvas>, LocalStorage>) {
    Effect::new(move |before: Option<u32>| {
        let count = content.picture.get();
        if before.is_some_and(|before| before != count) {
            let seen = content.seen.get_untracked();
            let caption = content.plot.with_untracked(|plot| {
                Caption::of(&content.symbol.get_untracked(), plot, seen, content.simulated.get_untracked())
            });
            let text = json!({ "title": caption.title, "about": caption.about, "mark": caption.mark }).to_string();
            canvas.with_value(|canvas| {
                canvas.as_ref().inspect(|canvas| canvas.handle.keep(&text, &caption.file)).is_some()
            });
        }
        count
    });
}

/// Where something is to be said, as the canvas marks it.
fn marks(plot: &Plot, notes: &Notes) -> String {
    let mark = |(time, notes): (&DateTime<Utc>, &Vec<super::notes::Note>)| {
        let index = plot.slot_at(*time)?;
        // A minute without a bar has its mark where the bar before it is.
        let candle = (0..=index).rev().find_map(|slot| plot.candles.get(plot.slots.get(slot)?.bar?))?;
        let severity = notes.iter().filter_map(|note| note.severity).max().map(Severity::as_str);
        let revised = notes.iter().any(|note| note.severity.is_none());
        Some(
            json!({ "index": index, "high": candle.high, "low": candle.low, "severity": severity, "revised": revised }),
        )
    };
    serde_json::Value::from(notes.iter().filter_map(mark).collect::<Vec<_>>()).to_string()
}

fn times(plot: &Plot) -> Vec<DateTime<Utc>> {
    plot.slots.iter().map(|slot| slot.time).collect()
}

impl Canvas {
    fn mount(
        module: &ChartModule,
        stage: &Element,
        plot: &Plot,
        subject: Subject,
        content: Content,
        settled: StoredValue<Option<Span>>,
    ) -> Self {
        let times = Rc::new(RefCell::new(times(plot)));
        let time_at = |times: &Rc<RefCell<Vec<DateTime<Utc>>>>| {
            let times = times.clone();
            move |index: f64| times.borrow().get(index as usize).copied().filter(|_| index >= 0.0)
        };
        let (hovered, clicked) = (time_at(&times), time_at(&times));
        let viewed = times.clone();
        let Content { side, crosshair, activated, older, .. } = content;
        let on_hover = Closure::<dyn FnMut(f64)>::new(move |index: f64| {
            let pointed = hovered(index).map(|time| Pointed { side, time });
            crosshair.0.try_maybe_update(|known| {
                // Only who points may stop pointing.
                let changed = *known != pointed && (pointed.is_some() || known.is_some_and(|known| known.side == side));
                if changed {
                    *known = pointed;
                }
                (changed, ())
            });
        });
        let on_activate = Closure::<dyn FnMut(f64)>::new(move |index: f64| {
            if let Some(time) = clicked(index) {
                activated.try_run(time);
            }
        });
        let on_older = Closure::<dyn FnMut()>::new(move || {
            older.try_run(());
        });
        let on_view = Closure::<dyn FnMut(f64, f64, bool)>::new(move |first: f64, last: f64, by_user: bool| {
            let times = viewed.borrow();
            let at = |index: f64| times.get(index as usize).copied();
            let (Some(start), Some(end)) = (at(first), at(last)) else { return };
            content.seen.try_maybe_update(|seen| (seen.replace((start, end)) != Some((start, end)), ()));
            if by_user {
                settled.try_set_value(content.framed.get_untracked());
                let newest = last as usize + 1 >= times.len();
                content.viewed.try_run(Viewed { first: start, last: end, newest });
            }
        });
        let colors = palette(subject.colors.0, subject.colors.1);
        let handle = module.mount(
            stage,
            &options::option(plot, &colors).to_string(),
            &options::looks(plot, &colors).to_string(),
            &on_hover,
            &on_activate,
            &on_older,
            &on_view,
        );
        Self {
            handle,
            subject,
            built: plot.built,
            times,
            _on_hover: on_hover,
            _on_activate: on_activate,
            _on_older: on_older,
            _on_view: on_view,
        }
    }

    /// Returns whether the view is another one now than the user's.
    fn update(&mut self, plot: &Plot, subject: Subject) -> bool {
        let mut anew = false;
        let colors = palette(subject.colors.0, subject.colors.1);
        let looks = || options::looks(plot, &colors).to_string();
        if self.subject != subject {
            let keep_view = (&self.subject.symbol, self.subject.timeframe) == (&subject.symbol, subject.timeframe);
            self.handle.reset(&options::option(plot, &colors).to_string(), &looks(), keep_view);
            anew = !keep_view;
        } else if self.built != plot.built {
            self.handle.data(&options::data(plot).to_string(), &looks());
        } else {
            self.handle.live(&options::live(plot).to_string());
            return false;
        }
        self.times.replace(times(plot));
        self.built = plot.built;
        self.subject = subject;
        anew
    }
}
