use super::HopLatency;
use crate::{
    format,
    pipeline::{Hop, HopStatus, Percentiles, Pipeline, rate},
};
use leptos::prelude::*;

/// What the browser itself measured.
#[derive(Clone, Copy)]
pub struct Drawn {
    pub minute: Signal<Option<Percentiles>>,
    pub opened: Signal<Option<Percentiles>>,
    /// The newest candle that came, as it is drawn here.
    pub newest: Signal<Option<String>>,
}

/// A record's way, stop by stop, with what each takes.
#[component]
pub fn HopDiagram(pipeline: RwSignal<Pipeline>, drawn: Drawn) -> impl IntoView {
    view! {
        <ol class="hop-diagram" aria-label="The way of a record">
            <li class="hop-stop" data-hop="source">
                <h3>"Source"</h3>
                <p class="hop-what">"the database commits a row"</p>
                <Pace pipeline hop=Hop::Capture unit="rows/s" />
            </li>
            <Kafka pipeline />
            <li class="hop-stop" data-hop="decode">
                <h3>"Decode"</h3>
                <p class="hop-what">"bytes become a change"</p>
                <Pace pipeline hop=Hop::Decode unit="records/s" />
                <Latency
                    pipeline
                    hop=Hop::Fetch
                    label="Kafka → read here"
                    title="From Kafka’s stamp of the record to the moment it was read."
                />
                <Latency pipeline hop=Hop::Decode label="work per record" title="Time at work; one record at a time." />
            </li>
            <li class="hop-stop" data-hop="check">
                <h3>"Check"</h3>
                <p class="hop-what">"rules say: accept, tag, refuse"</p>
                <Pace pipeline hop=Hop::Check unit="records/s" />
                <Latency pipeline hop=Hop::Check label="work per record" title="Time at work; one record at a time." />
            </li>
            <li class="hop-stop" data-hop="postgres">
                <h3>"Postgres"</h3>
                <p class="hop-what">"one transaction per batch"</p>
                <Pace pipeline hop=Hop::Store unit="records/s" />
                <Latency
                    pipeline
                    hop=Hop::Store
                    label="read → committed"
                    title="From the first record of a batch being read to the batch’s commit."
                />
                <Latency
                    pipeline
                    hop=Hop::Whole
                    label="the whole way to here"
                    title="From the source’s commit to ours, for each candle that changed."
                />
            </li>
            <li class="hop-stop" data-hop="socket">
                <h3>"Sockets"</h3>
                <p class="hop-what">"a frame for whoever follows"</p>
                <Pace pipeline hop=Hop::Publish unit="commits/s" />
                <Latency
                    pipeline
                    hop=Hop::Publish
                    label="committed → sent"
                    title="From the commit to the frame lying in every follower’s mailbox."
                />
            </li>
            <ThisScreen drawn />
        </ol>
    }
}

/// The stop where records wait.
#[component]
fn Kafka(pipeline: RwSignal<Pipeline>) -> impl IntoView {
    let lag = Memo::new(move |_| {
        pipeline.with(|pipeline| pipeline.lag).map_or_else(|| format::UNKNOWN.to_owned(), format::count)
    });
    view! {
        <li class="hop-stop" data-hop="kafka">
            <h3>"Kafka"</h3>
            <p class="hop-what">"Debezium appends the change"</p>
            <p class="hop-rate" title="Records in Kafka that are not committed here yet"><b data-lag="">{lag}</b>" waiting"</p>
            <Latency
                pipeline
                hop=Hop::Capture
                label="source’s commit → Kafka"
                title="By the source’s stamp, which is in whole seconds with MySQL and MariaDB: up to a second too long."
            />
        </li>
    }
}

/// The last stop, which only the browser can measure.
#[component]
fn ThisScreen(drawn: Drawn) -> impl IntoView {
    let Drawn { minute, opened, newest } = drawn;
    view! {
        <li class="hop-stop" data-hop="pixel">
            <h3>"This screen"</h3>
            <p class="hop-what">"the candle is drawn"</p>
            <p class="hop-rate"><b data-pixel="">{move || newest.get().unwrap_or_else(|| format::UNKNOWN.to_owned())}</b></p>
            <HopLatency
                label="committed → drawn"
                title="Measured by this browser, with the server’s clock as it knows it. Nothing without a script."
                since="this page was opened"
                minute
                start=opened
            />
        </li>
    }
}

fn status(pipeline: RwSignal<Pipeline>, hop: Hop) -> Memo<Option<HopStatus>> {
    Memo::new(move |_| pipeline.with(|pipeline| pipeline.hop(hop)))
}

/// What goes through a hop in a second.
#[component]
fn Pace(pipeline: RwSignal<Pipeline>, hop: Hop, unit: &'static str) -> impl IntoView {
    let status = status(pipeline, hop);
    let text = Memo::new(move |_| status.get().map_or_else(|| format::UNKNOWN.to_owned(), |hop| rate(hop.per_second)));
    view! { <p class="hop-rate"><b>{text}</b>" "{unit}</p> }
}

/// How long a hop takes, as the server measures it.
#[component]
fn Latency(pipeline: RwSignal<Pipeline>, hop: Hop, label: &'static str, title: &'static str) -> impl IntoView {
    let status = status(pipeline, hop);
    view! {
        <HopLatency
            label
            title
            since="this server process started"
            minute=Memo::new(move |_| status.get().and_then(|hop| hop.last_minute))
            start=Memo::new(move |_| status.get().and_then(|hop| hop.since_start))
        />
    }
}
