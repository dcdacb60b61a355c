use crate::{format, provenance::Hop};
use leptos::prelude::*;

/// The way of a change from hop to hop, with how long each took.
#[component]
pub fn HopTimeline(hops: Vec<Hop>) -> impl IntoView {
    (!hops.is_empty()).then(|| {
        let hop = |hop: Hop| {
            let took = hop.took.map_or_else(String::new, |took| format!("after {}", format::span(took)));
            let at = match hop.at {
                Some(at) => view! { <time datetime=at.to_rfc3339()>{format::precise_instant(at)}</time> }.into_any(),
                None => {
                    view! { <span title="the record does not say, or is no longer in Kafka">{format::UNKNOWN}</span> }
                        .into_any()
                }
            };
            view! {
                <li class="way-hop" class:unknown=hop.at.is_none()>
                    <span class="way-name">{hop.name}</span>
                    <span class="way-at">{at}</span>
                    <span class="way-took">{took}</span>
                </li>
            }
        };
        view! {
            <section class="provenance-part">
                <h3>"How it got here"</h3>
                <ol class="hop-timeline">{hops.into_iter().map(hop).collect_view()}</ol>
            </section>
        }
    })
}
