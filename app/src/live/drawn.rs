//! The last hop, which only the browser can measure: from the commit to the candle on this screen.

use super::Live;
use crate::components::Drawn;
use crate::pipeline::Percentiles;
use leptos::prelude::*;

/// Symbols that are followed for it.
#[cfg(feature = "hydrate")]
const FOLLOWED: usize = 4;
/// Measurements that are kept.
#[cfg(feature = "hydrate")]
const KEPT: usize = 5_000;
/// How long a measurement counts as new, in milliseconds.
#[cfg(feature = "hydrate")]
const MINUTE: f64 = 60_000.0;

/// Follows some symbols, and measures each change until the frame that shows it is over.
pub fn measure(live: Live) -> Drawn {
    let minute = RwSignal::new(None::<Percentiles>);
    let opened = RwSignal::new(None::<Percentiles>);
    let newest = RwSignal::new(None::<String>);
    #[cfg(feature = "hydrate")]
    follow(live, minute, opened, newest);
    #[cfg(not(feature = "hydrate"))]
    let _ = live;
    Drawn { minute: minute.into(), opened: opened.into(), newest: newest.into() }
}

#[cfg(feature = "hydrate")]
fn follow(
    live: Live,
    minute: RwSignal<Option<Percentiles>>,
    opened: RwSignal<Option<Percentiles>>,
    newest: RwSignal<Option<String>>,
) {
    use super::Wanted;
    use crate::{format, pipeline::percentiles};
    use chrono::TimeDelta;
    use market::Timeframe;

    let symbols: Vec<_> =
        live.symbols.with_untracked(|known| known.iter().take(FOLLOWED).map(|info| info.symbol.clone()).collect());
    if symbols.is_empty() {
        return;
    }
    // When each was taken, and how long it was, in milliseconds and microseconds.
    let taken = StoredValue::new(Vec::<(f64, u64)>::new());
    for symbol in &symbols {
        let (name, series) = (symbol.to_string(), live.series(symbol, Timeframe::MINUTE_1));
        Effect::new(move |_| {
            let change = series.with(|series| series.heard.map(|heard| (heard, series.bars.last().copied())));
            let Some((heard, bar)) = change else { return };
            if let Some(bar) = bar {
                let close = format::number(bar.close, 2);
                newest.set(Some(format!("{name}\u{a0}{close}")));
            }
            // A hidden page draws nothing.
            if document().hidden() {
                return;
            }
            let began = js_sys::Date::now();
            request_animation_frame(move || {
                let now = js_sys::Date::now();
                let drawing = TimeDelta::milliseconds((now - began) as i64);
                let took = heard.received_at - heard.committed_at + drawing;
                let micros = took.num_microseconds().and_then(|micros| u64::try_from(micros).ok()).unwrap_or(0);
                taken.try_update_value(|taken| {
                    if taken.len() == KEPT {
                        taken.remove(0);
                    }
                    taken.push((now, micros));
                    let recent: Vec<u64> =
                        taken.iter().filter(|(at, _)| now - at < MINUTE).map(|&(_, micros)| micros).collect();
                    minute.set(percentiles(&recent));
                    opened.set(percentiles(&taken.iter().map(|&(_, micros)| micros).collect::<Vec<_>>()));
                });
            });
        });
    }
    Effect::new(move |_| {
        live.wanted.set(Some(Wanted { symbols: symbols.clone(), timeframe: Timeframe::MINUTE_1, bars: 1 }));
    });
}
