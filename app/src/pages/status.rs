use crate::{
    components::{FreshnessStrip, Nothing, ReportPage},
    format,
    freshness::{self, History, PATH, Span, budget},
    query::Theme,
};
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::hooks::use_query_map;
use market::wire::SourceMode;

/// How much of the time data was as fresh as it should be: the budget, and the history of keeping it.
#[component]
pub fn StatusPage() -> impl IntoView {
    let query = use_query_map();
    let theme = Memo::new(move |_| query.with(|query| Theme::parse(query.get_str("theme"))));
    let page = Resource::new_blocking(|| (), |()| freshness::load());
    view! {
        <Title text="Status" />
        <Meta name="description" content="How fresh the data is, and how much of the time it was within its budget." />
        <ReportPage theme link=move |theme: Theme| theme.link(PATH) current=PATH>
                <h1>"Status"</h1>
                <Suspense fallback=|| view! { <p class="report-lead">"…"</p> }>
                    {move || Suspend::new(async move {
                        match page.await {
                            Ok(history) => view! { <Found history theme /> }.into_any(),
                            Err(why) => {
                                view! {
                                    <Nothing title=why>
                                        <p>
                                            "The history is kept meanwhile and written down as soon as the database answers. Charts go on: "
                                            <a href=move || theme.get().link("/dashboard") rel="external">"dashboard"</a>
                                            ". Load this page again to ask again."
                                        </p>
                                    </Nothing>
                                }
                                    .into_any()
                            }
                        }
                    })}
                </Suspense>
        </ReportPage>
    }
}

#[component]
fn Found(history: History, theme: Memo<Theme>) -> impl IntoView {
    let history = RwSignal::new(history);
    #[cfg(feature = "hydrate")]
    crate::quality::refresh::repeat(move || async move {
        if let Some(now) = crate::quality::refresh::fetch::<History>(freshness::API).await
            && history.try_with_untracked(|before| *before != now) == Some(true)
        {
            history.try_set(now);
        }
    });
    let limit = Memo::new(move |_| history.with(|history| budget(history.budget_ms)));
    let origin = move || {
        history.with(|history| {
            let source = &history.source;
            let made_up = if source.simulated { "SIMULATED: prices come from a seeded generator. " } else { "" };
            let replay = match source.mode {
                SourceMode::Replay => format!(
                    "REPLAY {}×: bars of the past are committed anew, and their delays are real.",
                    source.speed.unwrap_or(1)
                ),
                SourceMode::Live => String::new(),
            };
            let text = format!("{made_up}{replay}");
            (!text.is_empty()).then(|| view! { <p class="status-origin">{text}</p> })
        })
    };
    let window = |span: Span| {
        view! {
            <div data-window=span.name()>
                <dt>{span.name()}</dt>
                <dd><b>{span.share()}</b></dd>
                <dd class="window-detail">{span.share_of_changes()}" of "{format::count(span.changes)}" changes"</dd>
                <dd class="window-detail">{span.minutes()}</dd>
            </div>
        }
    };
    view! {
        <p class="report-lead">
            "Data is fresh when a change is stored and on its way to the screen within "<b data-budget="">{limit}</b>
            " after the source committed it."
        </p>
        {origin}
        <dl class="windows">
            {move || history.with(|history| history.windows.iter().cloned().map(window).collect_view())}
        </dl>
        <section class="report-section" aria-labelledby="hour-title">
            <h2 id="hour-title">"The last hour, minute by minute"</h2>
            <FreshnessStrip spans=Signal::derive(move || history.with(|history| history.minutes.clone())) label="Minutes" />
        </section>
        <section class="report-section" aria-labelledby="day-title">
            <h2 id="day-title">"The last day, hour by hour"</h2>
            <FreshnessStrip spans=Signal::derive(move || history.with(|history| history.hours.clone())) label="Hours" />
            <Hours spans=Signal::derive(move || history.with(|history| history.hours.clone())) />
        </section>
        <section class="report-section" aria-labelledby="how-title">
            <h2 id="how-title">"How it is measured"</h2>
            <p class="status-how">
                "A minute is fresh when 99 of 100 changes of candles in it were within the budget and the pipeline worked all the time; \
                 quiet when nothing changed; not measured when no server ran. The share is of fresh and late minutes only. Delays count \
                 from the source’s stamp, which is in whole seconds with many databases, and are known to 12 %: they may look up to a second \
                 longer than they were, never shorter. What the last metres to a screen take, "
                <a href=move || theme.get().link("/pipeline") rel="external">"the pipeline’s page"</a>" measures."
            </p>
        </section>
    }
}

/// The hours as a table, for those who would rather read.
#[component]
fn Hours(spans: Signal<Vec<Span>>) -> impl IntoView {
    let row = |span: Span| {
        view! {
            <tr>
                <th scope="row"><time datetime=span.from.to_rfc3339()>{format::full_instant(span.from)}</time></th>
                <td>{span.verdict().name()}</td>
                <td>{span.share()}</td>
                <td>{format::count(span.changes)}</td>
                <td>{span.worst()}</td>
                <td>{format::count(span.down_seconds)}</td>
            </tr>
        }
    };
    view! {
        <details class="status-table">
            <summary>"As a table"</summary>
            <div class="run-table" tabindex="0" role="region" aria-label="Hours of the last day">
                <table>
                    <caption class="sr-only">"Hours of the last day"</caption>
                    <thead>
                        <tr>
                            <th scope="col">"From"</th>
                            <th scope="col">"Verdict"</th>
                            <th scope="col">"Within the budget"</th>
                            <th scope="col">"Changes"</th>
                            <th scope="col">"Worst p99"</th>
                            <th scope="col">"Seconds without the pipeline"</th>
                        </tr>
                    </thead>
                    <tbody>{move || spans.get().into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        </details>
    }
}
