use crate::{
    components::{
        Conservation, HopDiagram, Nothing, OrderHistory, PartitionTable, PipelineOrders, ReportPage, SimulatedTag,
    },
    format, initial,
    live::{Live, drawn},
    pipeline::{self, PATH, Pipeline, Watch, state_word},
    query::Theme,
};
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::hooks::use_query_map;
use market::Timeframe;

/// The way of a record as it goes now: rates, lag, latencies, partitions, the conservation of records, and orders.
#[component]
pub fn PipelinePage() -> impl IntoView {
    let live = expect_context::<Live>();
    let query = use_query_map();
    let theme = Memo::new(move |_| query.with(|query| Theme::parse(query.get_str("theme"))));
    let page = Resource::new_blocking(
        || (),
        |()| {
            let (source, pipeline) = (initial::load(Vec::new(), Timeframe::MINUTE_1, 1), pipeline::load());
            async move { (source.await, pipeline.await) }
        },
    );
    view! {
        <Title text="Pipeline" />
        <Meta name="description" content="How each record gets from the source to the screen, how fast, and what became of it." />
        <ReportPage theme link=move |theme: Theme| theme.link(PATH) current=PATH class="report pipeline">
                <h1>"Pipeline"</h1>
                <Suspense fallback=Skeleton>
                    {move || Suspend::new(async move {
                        let (source, pipeline) = page.await;
                        live.seed(source);
                        match pipeline {
                            Ok(pipeline) => view! { <Found pipeline theme /> }.into_any(),
                            Err(why) => {
                                view! {
                                    <Nothing title=why>
                                        <p>"Charts and stored data go on meanwhile. Load this page again to ask again."</p>
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

/// The page's shape while nothing is known.
#[component]
fn Skeleton() -> impl IntoView {
    let hop = || view! { <li class="hop-stop skeleton"></li> };
    view! { <ol class="hop-diagram" aria-busy="true">{std::iter::repeat_with(hop).take(7).collect_view()}</ol> }
}

#[component]
fn Found(pipeline: Pipeline, theme: Memo<Theme>) -> impl IntoView {
    let pipeline = RwSignal::new(pipeline);
    let watch = RwSignal::new(Watch::Still);
    #[cfg(feature = "hydrate")]
    follow(pipeline, watch);
    let drawn = drawn::measure(expect_context::<Live>());
    let has_partitions = Memo::new(move |_| pipeline.with(|pipeline| !pipeline.partitions.is_empty()));
    view! {
        <StateLine pipeline watch />
        <section aria-labelledby="way-title" class:lost=move || watch.get() == Watch::Lost>
            <h2 id="way-title" class="sr-only">"The way of a record"</h2>
            <HopDiagram pipeline drawn />
            <p class="report-note">
                "p50 and p99 of the last minute, known to 12 %; the bars lie between 1 µs and 100 s, each tenth as long as the next. \
                 Rates are of the last ten seconds. What is not measured is —."
            </p>
        </section>
        <section class="report-section" aria-labelledby="conservation-title">
            <h2 id="conservation-title">"What became of every record"</h2>
            <Conservation pipeline theme />
        </section>
        <section class="report-section" aria-labelledby="partitions-title">
            <h2 id="partitions-title">"Partitions"</h2>
            <Show
                when=move || has_partitions.get()
                fallback=|| {
                    view! {
                        <Nothing title="No partition is being read.">
                            <p>"The topic has none yet, or other instances read them all. This page shows them as soon as there are some."</p>
                        </Nothing>
                    }
                }
            >
                <PartitionTable pipeline />
            </Show>
        </section>
        <div class="pipeline-columns">
            <section class="report-section" aria-labelledby="orders-title">
                <h2 id="orders-title">"Orders"</h2>
                <PipelineOrders pipeline />
            </section>
            <section class="report-section" aria-labelledby="history-title">
                <h2 id="history-title">"Run history"</h2>
                <OrderHistory pipeline />
            </section>
        </div>
    }
}

/// The whole in one line: state, since when, why, and whether the page follows.
#[component]
fn StateLine(pipeline: RwSignal<Pipeline>, watch: RwSignal<Watch>) -> impl IntoView {
    let state = Memo::new(move |_| pipeline.with(|pipeline| pipeline.state));
    let since = Memo::new(move |_| pipeline.with(|pipeline| format::instant(pipeline.since, pipeline.now)));
    let message = Memo::new(move |_| pipeline.with(|pipeline| pipeline.message.clone()));
    let told_at = Memo::new(move |_| pipeline.with(|pipeline| format::instant(pipeline.now, pipeline.now)));
    let note = move || match watch.get() {
        Watch::Still => view! { "As of "<b class="pipeline-time">{told_at}</b>"." }.into_any(),
        Watch::Live => "Follows the server, second by second.".into_any(),
        Watch::Lost => view! {
            <span class="pipeline-lost">
                "STALE since "<b class="pipeline-time">{told_at}</b>
                ": the server does not answer. What was last known stays; it is asked again every second."
            </span>
        }
        .into_any(),
    };
    view! {
        <div class="pipeline-state" data-state=move || state_word(state.get())>
            <p>
                <span class="pipeline-dot" aria-hidden="true"></span>
                <b data-pipeline-state="">{move || state_word(state.get()).to_uppercase()}</b>
                " since "
                <span class="pipeline-time">{since}</span>
            </p>
            <SimulatedTag />
            <p class="report-note" role="status">{note}</p>
            {move || message.get().map(|message| view! { <p class="pipeline-message" role="status">{message}</p> })}
        </div>
    }
}

/// Asks the server every second; one question at a time. What has not changed stays as it is.
#[cfg(feature = "hydrate")]
fn follow(pipeline: RwSignal<Pipeline>, watch: RwSignal<Watch>) {
    use crate::quality::refresh;
    use std::{cell::Cell, rc::Rc, time::Duration};
    let asking = Rc::new(Cell::new(false));
    refresh::repeat_every(Duration::from_secs(1), move || {
        let asking = Rc::clone(&asking);
        async move {
            if asking.replace(true) {
                return;
            }
            match refresh::fetch::<Pipeline>(pipeline::API).await {
                Some(now) => {
                    pipeline.try_set(now);
                    watch.try_maybe_update(|watch| (std::mem::replace(watch, Watch::Live) != Watch::Live, ()));
                }
                None => {
                    watch.try_maybe_update(|watch| (std::mem::replace(watch, Watch::Lost) != Watch::Lost, ()));
                }
            }
            asking.set(false);
        }
    });
}
