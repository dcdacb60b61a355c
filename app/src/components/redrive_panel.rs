use super::{CopyLine, DismissForm};
use crate::{
    format,
    quarantine::{Attempt, Order, Report},
};
use leptos::prelude::*;

/// Gives refused records another chance: says first what would happen, and does it with the control token. What it needs
/// no token for is on the command line, so a page without a script is not at a loss.
#[component]
pub fn RedrivePanel(
    /// Which records.
    order: Order,
    /// Whether the server takes orders.
    control: bool,
    /// The value of the one record, when it can be corrected.
    #[prop(optional_no_strip)]
    original: Option<String>,
    /// Whether somebody still has to decide about the one record.
    #[prop(optional)]
    is_open: bool,
) -> impl IntoView {
    let lead = match &order.record {
        Some(_) => {
            "The record is read again by today's decoder and rules, and takes the place in the order that it had."
        }
        None => {
            "Every open record of this topic and code, on all pages of the list, is read again by today's decoder and \
                 rules, and takes the place in the order that it had."
        }
    };
    let line = order.command();
    let dismissal = order.record.as_ref().filter(|_| is_open).map(|record| {
        let line = format!("stockstream quarantine dismiss '{record}' --note 'why'");
        view! { <CopyLine label="To dismiss it" line=Signal::stored(line) /> }
    });
    view! {
        <section class="record-section" aria-labelledby="redrive-title">
            <h2 id="redrive-title">"Another chance"</h2>
            <p>{lead}</p>
            {if control {
                view! { <Orders order original is_open /> }.into_any()
            } else {
                view! {
                    <p class="record-hint">
                        "This page takes no orders, because the server has no control token: start it with "
                        <code>"--control-token"</code> " or set " <code>"STOCKSTREAM_CONTROL_TOKEN"</code>
                        ". The command line needs none:"
                    </p>
                }
                    .into_any()
            }}
            <CopyLine label="On the command line" line=Signal::stored(line) />
            {dismissal}
        </section>
    }
}

/// The form, and what came of it.
#[component]
fn Orders(order: Order, original: Option<String>, is_open: bool) -> impl IntoView {
    let alive = RwSignal::new(false);
    let token = RwSignal::new(String::new());
    let force = RwSignal::new(false);
    let copy = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    let outcome = RwSignal::new(None::<Result<Report, String>>);
    let trail = RwSignal::new(None::<Result<Vec<Attempt>, String>>);
    Effect::new(move |_| alive.set(true));
    let is_one = order.record.is_some();
    let dismissible = order.record.clone().filter(|_| is_open).map(|record| (record, order.incarnation));
    let order = StoredValue::new(order);
    let give = move |dry_run: bool| {
        let order = Order { dry_run, force: force.get_untracked(), value: copy.get_untracked(), ..order.get_value() };
        send(order, token, busy, outcome);
    };
    let tell = move |_| ask_trail(order.get_value(), token, busy, trail);
    let idle = move || alive.get() && !busy.get() && !token.with(String::is_empty);
    view! {
        <form class="orders" on:submit=move |event| {
            event.prevent_default();
            if idle() {
                give(true);
            }
        }>
            <label class="filter-field orders-token">
                <span>"Control token, kept in this page's memory only"</span>
                <input
                    type="password"
                    autocomplete="off"
                    spellcheck="false"
                    disabled=move || !alive.get()
                    on:input=move |event| token.set(event_target_value(&event))
                />
            </label>
            <label class="orders-force">
                <input type="checkbox" disabled=move || !alive.get() on:change=move |event| force.set(event_target_checked(&event)) />
                <span>"also what three redrives refused, or somebody dismissed"</span>
            </label>
            {original.map(|original| view! { <Corrected original copy /> })}
            <div class="orders-buttons">
                <button class="button" type="submit" disabled=move || !idle()>"Dry run"</button>
                <button class="button primary" type="button" disabled=move || !idle() on:click=move |_| give(false)>"Redrive"</button>
                {is_one
                    .then(|| {
                        view! { <button class="button" type="button" disabled=move || !idle() on:click=tell>"Audit trail"</button> }
                    })}
            </div>
            <noscript><p>"Orders need a script; the command line does not."</p></noscript>
        </form>
        {dismissible
            .map(|(record, incarnation)| {
                view! { <DismissForm record incarnation token busy idle=Signal::derive(idle) /> }
            })}
        <div class="orders-outcome" role="status">
            {move || outcome.get().map(|outcome| view! { <Outcome outcome /> })}
            {move || trail.get().map(|trail| view! { <Trail trail /> })}
        </div>
    }
}

/// A copy of the value, to be corrected. Only a changed one is sent.
#[component]
fn Corrected(original: String, copy: RwSignal<Option<String>>) -> impl IntoView {
    let unchanged = original.clone();
    view! {
        <details class="corrected">
            <summary>"Correct a copy of the value"</summary>
            <p>
                "Change columns of the row, and nothing else. The copy takes the original's place in the order; the original stays \
                 in quarantine, and the audit trail keeps the hash of both."
            </p>
            <textarea
                class="payload-text"
                aria-label="Corrected copy of the value"
                rows="16"
                spellcheck="false"
                autocomplete="off"
                prop:value=original.clone()
                on:input=move |event| copy.set(Some(event_target_value(&event)).filter(|text| *text != unchanged))
            >
                {original.clone()}
            </textarea>
        </details>
    }
}

#[component]
fn Outcome(outcome: Result<Report, String>) -> impl IntoView {
    let report = match outcome {
        Ok(report) => report,
        Err(why) => return view! { <p class="orders-trouble">{why}</p> }.into_any(),
    };
    let changed = !report.dry_run && !report.records.is_empty();
    let stays = report.records.iter().filter_map(|record| record.reason.clone().map(|reason| (record.clone(), reason)));
    let stays: Vec<_> = stays.take(Report::SHOWN).collect();
    view! {
        <p data-redrive=if report.dry_run { "dry" } else { "done" }>{report.sentence()}</p>
        <ul class="orders-reasons">
            {stays
                .into_iter()
                .map(|(record, reason)| view! { <li><code>{record.name()}</code> ": " {reason}</li> })
                .collect_view()}
        </ul>
        {changed.then(|| view! { <p><a href="" rel="external">"Load this page again"</a> " to see what became of it."</p> })}
    }
    .into_any()
}

#[component]
fn Trail(trail: Result<Vec<Attempt>, String>) -> impl IntoView {
    let attempts = match trail {
        Ok(attempts) if attempts.is_empty() => {
            return view! { <p>"Nobody has tried anything with this record."</p> }.into_any();
        }
        Ok(attempts) => attempts,
        Err(why) => return view! { <p class="orders-trouble">{why}</p> }.into_any(),
    };
    let line = |attempt: Attempt| {
        let hashes = attempt.copy_hashes();
        view! {
            <li>
                <time datetime=attempt.at.to_rfc3339()>{format::full_instant(attempt.at)}</time>
                {format!(" {} by {}: {}.", attempt.action, attempt.actor, attempt.outcome)}
                {hashes.map(|hashes| view! { <span class="trail-hashes">{hashes}</span> })}
            </li>
        }
    };
    view! { <ol class="trail" aria-label="Audit trail">{attempts.into_iter().map(line).collect_view()}</ol> }.into_any()
}

#[cfg(feature = "hydrate")]
fn send(
    order: Order,
    token: RwSignal<String>,
    busy: RwSignal<bool>,
    outcome: RwSignal<Option<Result<Report, String>>>,
) {
    busy.set(true);
    leptos::task::spawn_local(async move {
        let answer = crate::orders::redrive(&token.get_untracked(), &order).await;
        outcome.try_set(Some(answer));
        busy.try_set(false);
    });
}

#[cfg(feature = "hydrate")]
fn ask_trail(
    order: Order,
    token: RwSignal<String>,
    busy: RwSignal<bool>,
    trail: RwSignal<Option<Result<Vec<Attempt>, String>>>,
) {
    let Some(record) = order.record else { return };
    busy.set(true);
    leptos::task::spawn_local(async move {
        let incarnation = order.incarnation.unwrap_or(1);
        let answer = crate::orders::trail(&token.get_untracked(), &record, incarnation).await;
        trail.try_set(Some(answer));
        busy.try_set(false);
    });
}

#[cfg(not(feature = "hydrate"))]
fn send(_: Order, _: RwSignal<String>, _: RwSignal<bool>, _: RwSignal<Option<Result<Report, String>>>) {}

#[cfg(not(feature = "hydrate"))]
fn ask_trail(_: Order, _: RwSignal<String>, _: RwSignal<bool>, _: RwSignal<Option<Result<Vec<Attempt>, String>>>) {}
