use crate::{desk::Desk, format, format::Direction};
use leptos::prelude::*;
use market::{Stats, Timeframe};

/// One number of the strip: what it is called and how it is computed.
#[derive(Clone, Copy)]
struct Kpi {
    key: &'static str,
    label: &'static str,
    formula: &'static str,
    value: fn(&Stats, u32) -> String,
    /// For values that have a direction.
    direction: fn(&Stats) -> Option<Direction>,
}

fn none(_: &Stats) -> Option<Direction> {
    None
}

const KPIS: [Kpi; 6] = [
    Kpi { key: "min", label: "Min", formula: "min(close)", value: |s, p| format::number(s.min, p), direction: none },
    Kpi { key: "max", label: "Max", formula: "max(close)", value: |s, p| format::number(s.max, p), direction: none },
    Kpi {
        key: "average",
        label: "Average",
        formula: "Σ close ÷ n",
        value: |s, p| format::number(s.average, p),
        direction: none,
    },
    Kpi {
        key: "variation",
        label: "Variation",
        formula: "(max − min) ÷ min × 100",
        value: |s, _| format::percent(s.variation_percent),
        direction: none,
    },
    Kpi {
        key: "change",
        label: "Change",
        formula: "(last − first) ÷ first × 100",
        value: |s, _| format::signed_percent(s.change_percent),
        direction: |s| s.change_percent.map(Direction::of),
    },
    Kpi {
        key: "stddev",
        label: "Std dev",
        formula: "√( Σ(close − mean)² ÷ (n − 1) )",
        value: |s, _| s.stddev.map_or_else(|| format::UNKNOWN.to_owned(), |value| format::number(value, 4)),
        direction: none,
    },
];

/// The statistics of the close over the window, each with its formula, its window and its row count.
#[component]
pub fn KpiStrip(
    #[prop(into)] stats: Signal<Option<Stats>>,
    #[prop(into)] places: Signal<u32>,
    #[prop(into)] timeframe: Signal<Timeframe>,
    /// Whether the window is still on its way.
    #[prop(into)]
    loading: Signal<bool>,
    /// Makes element ids unique on the page.
    prefix: String,
) -> impl IntoView {
    let rows = Memo::new(move |_| {
        stats.with(|stats| {
            stats.as_ref().map_or_else(|| format::UNKNOWN.to_owned(), |stats| format::count(stats.rows as i64))
        })
    });
    let zone = expect_context::<Desk>().zone;
    let window = Memo::new(move |_| {
        stats.with(|stats| {
            stats.as_ref().map_or_else(
                || format::UNKNOWN.to_owned(),
                |stats| zone.get().window(stats.from, stats.to, timeframe.get()),
            )
        })
    });
    let cell = move |kpi: Kpi| {
        let value = Memo::new(move |_| {
            let places = places.get();
            stats.with(|stats| {
                stats.as_ref().map_or_else(|| format::UNKNOWN.to_owned(), |stats| (kpi.value)(stats, places))
            })
        });
        let direction = Memo::new(move |_| stats.with(|stats| stats.as_ref().and_then(kpi.direction)));
        let tip = format!("{prefix}-{}", kpi.key);
        let described_by = tip.clone();
        view! {
            <div class="kpi tip-anchor" data-kpi=kpi.key tabindex="0" aria-describedby=described_by>
                <dt class="kpi-label">{kpi.label}</dt>
                <dd class="kpi-rows">"n " {rows}</dd>
                <dd class="kpi-value" class:skeleton=move || loading.get()>
                    <span class=move || direction.get().map_or("", Direction::class)>
                        {move || direction.get().map(|direction| view! { <span class="arrow" aria-hidden="true">{direction.arrow()}</span> })}
                        {value}
                    </span>
                </dd>
                <dd class="tip" role="tooltip" id=tip>
                    <span class="tip-line formula">{kpi.formula}</span>
                    <span class="tip-line">{rows} " closes of " {move || timeframe.get().to_string()} " bars"</span>
                    <span class="tip-line">{window}</span>
                </dd>
            </div>
        }
    };
    view! {
        <section class="kpi-strip" aria-label="Statistics of the close">
            <dl class="kpi-list">{KPIS.map(cell).into_iter().collect_view()}</dl>
            <p class="kpi-window">
                <span class="kpi-window-word">"window "</span> <span data-kpi="window">{window}</span> " · " <span data-kpi="rows">{rows}</span> " rows of "
                {move || timeframe.get().to_string()}
            </p>
        </section>
    }
}
