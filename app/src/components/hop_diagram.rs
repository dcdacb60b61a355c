use super::HopLatency;
use crate::{
    format,
    pipeline::{Hop, Percentiles, Pipeline, rate},
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
    let of = move |hop: Hop| Memo::new(move |_| pipeline.with(|pipeline| pipeline.hop(hop)));
    let latency = move |label: &'static str, title: &'static str, hop: Hop| {
        let hop = of(hop);
        view! {
            <HopLatency
                label
                title
                since="this server process started"
                minute=Memo::new(move |_| hop.get().and_then(|hop| hop.last_minute))
                start=Memo::new(move |_| hop.get().and_then(|hop| hop.since_start))
            />
        }
    };
    let pace = move |hop: Hop, unit: &'static str| {
        let hop = of(hop);
        let text = Memo::new(move |_| hop.get().map_or_else(|| format::UNKNOWN.to_owned(), |hop| rate(hop.per_second)));
        view! { <p class="hop-rate"><b>{text}</b>" "{unit}</p> }
    };
    let lag = Memo::new(move |_| {
        pipeline.with(|pipeline| pipeline.lag).map_or_else(|| format::UNKNOWN.to_owned(), format::count)
    });
    view! {
        <ol class="hop-diagram" aria-label="The way of a record">
            <li class="hop-stop" data-hop="source">
                <h3>"Source"</h3>
                <p class="hop-what">"the database commits a row"</p>
                {pace(Hop::Capture, "rows/s")}
            </li>
            <li class="hop-stop" data-hop="kafka">
                <h3>"Kafka"</h3>
                <p class="hop-what">"Debezium appends the change"</p>
                <p class="hop-rate" title="Records in Kafka that are not committed here yet"><b data-lag="">{lag}</b>" waiting"</p>
                {latency(
                    "source’s commit → Kafka",
                    "By the source’s stamp, which is in whole seconds with MySQL and MariaDB: up to a second too long.",
                    Hop::Capture,
                )}
            </li>
            <li class="hop-stop" data-hop="decode">
                <h3>"Decode"</h3>
                <p class="hop-what">"bytes become a change"</p>
                {pace(Hop::Decode, "records/s")}
                {latency("Kafka → read here", "From Kafka’s stamp of the record to the moment it was read.", Hop::Fetch)}
                {latency("work per record", "Time at work; one record at a time.", Hop::Decode)}
            </li>
            <li class="hop-stop" data-hop="check">
                <h3>"Check"</h3>
                <p class="hop-what">"rules say: accept, tag, refuse"</p>
                {pace(Hop::Check, "records/s")}
                {latency("work per record", "Time at work; one record at a time.", Hop::Check)}
            </li>
            <li class="hop-stop" data-hop="postgres">
                <h3>"Postgres"</h3>
                <p class="hop-what">"one transaction per batch"</p>
                {pace(Hop::Store, "records/s")}
                {latency("read → committed", "From the first record of a batch being read to the batch’s commit.", Hop::Store)}
                {latency("the whole way to here", "From the source’s commit to ours, for each candle that changed.", Hop::Whole)}
            </li>
            <li class="hop-stop" data-hop="socket">
                <h3>"Sockets"</h3>
                <p class="hop-what">"a frame for whoever follows"</p>
                {pace(Hop::Publish, "commits/s")}
                {latency("committed → sent", "From the commit to the frame lying in every follower’s mailbox.", Hop::Publish)}
            </li>
            <li class="hop-stop" data-hop="pixel">
                <h3>"This screen"</h3>
                <p class="hop-what">"the candle is drawn"</p>
                <p class="hop-rate"><b data-pixel="">{move || drawn.newest.get().unwrap_or_else(|| format::UNKNOWN.to_owned())}</b></p>
                <HopLatency
                    label="committed → drawn"
                    title="Measured by this browser, with the server’s clock as it knows it. Nothing without a script."
                    since="this page was opened"
                    minute=drawn.minute
                    start=drawn.opened
                />
            </li>
        </ol>
    }
}
