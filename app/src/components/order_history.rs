use crate::{
    format,
    pipeline::{GivenOrder, Pipeline, order_words},
};
use leptos::prelude::*;

/// What was ordered, the newest first, down to the start of this process.
#[component]
pub fn OrderHistory(pipeline: RwSignal<Pipeline>) -> impl IntoView {
    let orders = Memo::new(move |_| pipeline.with(|pipeline| pipeline.orders.clone()));
    let began_at = Memo::new(move |_| pipeline.with(|pipeline| pipeline.began_at));
    let line = |order: GivenOrder| {
        view! {
            <li data-order=order.order.clone()>
                <time datetime=order.at.to_rfc3339()>{format::full_instant(order.at)}</time>
                <span><b>{order_words(&order.order)}</b>": "{if order.subject == "all" { "everything".to_owned() } else { order.subject }}</span>
            </li>
        }
    };
    // With the start of the process where it belongs in time.
    let lines = move || {
        let began_at = began_at.get();
        let (after, before): (Vec<_>, Vec<_>) = orders.get().into_iter().partition(|order| order.at >= began_at);
        let start = view! {
            <li data-order="began">
                <time datetime=began_at.to_rfc3339()>{format::full_instant(began_at)}</time>
                <span><b>"began"</b>": this server process"</span>
            </li>
        };
        view! { {after.into_iter().map(line).collect_view()} {start} {before.into_iter().map(line).collect_view()} }
    };
    view! { <ol class="order-history" aria-label="Orders, the newest first">{lines}</ol> }
}
