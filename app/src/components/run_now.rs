use super::CopyLine;
use crate::{
    quality::{Checkpoint, Exported, Started, run_path},
    query::Theme,
};
use leptos::prelude::*;

/// What runs a suite and when, and a button for each to run it now.
#[component]
pub fn RunNow(
    checkpoints: Vec<Checkpoint>,
    /// Whether the server takes orders.
    control: bool,
    theme: Memo<Theme>,
) -> impl IntoView {
    let is_shown = !checkpoints.is_empty() && use_context::<Exported>().is_none();
    is_shown.then(|| view! { <Schedule checkpoints control theme /> })
}

#[component]
fn Schedule(checkpoints: Vec<Checkpoint>, control: bool, theme: Memo<Theme>) -> impl IntoView {
    let lines = checkpoints
        .iter()
        .map(|checkpoint| view! { <CopyLine label="On the command line" line=checkpoint.command() /> });
    let lines = lines.collect_view();
    let facts = checkpoints.iter().map(|checkpoint| {
        let told = format!(": {}, {}.", checkpoint.schedule(), checkpoint.outlook());
        let trouble = checkpoint.trouble.clone();
        view! {
            <li>
                <b>{checkpoint.name.clone()}</b>
                " runs it on "
                {checkpoint.table.clone()}
                {told}
                {trouble.map(|why| view! { <p class="orders-trouble">{format!("It could not be run when it was last tried: {why}.")}</p> })}
            </li>
        }
    });
    let facts = facts.collect_view();
    view! {
        <section class="report-section" aria-labelledby="run-now-title">
            <h2 id="run-now-title">"When it runs"</h2>
            <ul class="run-now">{facts}</ul>
            {if control {
                view! { <Orders checkpoints theme /> }.into_any()
            } else {
                view! {
                    <p class="report-note">
                        "This page takes no orders: the server has no control token (" <code>"--control-token"</code> ")."
                    </p>
                }
                    .into_any()
            }}
            <div class="lines">{lines}</div>
        </section>
    }
}

/// The token, a button for each checkpoint, and what came of it.
#[component]
fn Orders(checkpoints: Vec<Checkpoint>, theme: Memo<Theme>) -> impl IntoView {
    let alive = RwSignal::new(false);
    let token = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let outcome = RwSignal::new(None::<Result<Started, String>>);
    Effect::new(move |_| alive.set(true));
    let idle = move || alive.get() && !busy.get() && !token.with(String::is_empty);
    let first = checkpoints.first().map(|checkpoint| checkpoint.name.clone()).unwrap_or_default();
    let button = |checkpoint: Checkpoint| {
        let Checkpoint { name, .. } = checkpoint;
        let words = format!("Run {name} now");
        view! {
            <button
                class="button primary"
                type="button"
                disabled=move || !idle()
                on:click=move |_| order(name.clone(), token, busy, outcome)
            >
                {words}
            </button>
        }
    };
    view! {
        <form class="orders" on:submit=move |event| {
            event.prevent_default();
            if untrack(idle) {
                order(first.clone(), token, busy, outcome);
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
            <div class="orders-buttons">{checkpoints.into_iter().map(button).collect_view()}</div>
            <noscript><p>"Orders need a script; the command line does not."</p></noscript>
        </form>
        <div class="orders-outcome" role="status">
            {move || busy.get().then_some("It is being run.")}
            {move || outcome.get().map(|outcome| told(outcome, theme))}
        </div>
    }
}

fn told(outcome: Result<Started, String>, theme: Memo<Theme>) -> AnyView {
    match outcome {
        Ok(Started::Ended(run)) => {
            let path = run_path(run.run_id);
            view! {
                <p data-run="ended">
                    <a href=move || theme.get().link(&path) rel="external">"Run "{run.run_id}</a>
                    ": "
                    {run.score()}
                    "."
                </p>
            }
            .into_any()
        }
        Ok(Started::GoesOn(checkpoint)) => {
            view! { <p data-run="goes-on">{format!("{}. Load this page again to see what it found.", checkpoint.outlook())}</p> }
                .into_any()
        }
        Err(why) => view! { <p class="orders-trouble">{why}</p> }.into_any(),
    }
}

#[cfg(feature = "hydrate")]
fn order(
    checkpoint: String,
    token: RwSignal<String>,
    busy: RwSignal<bool>,
    outcome: RwSignal<Option<Result<Started, String>>>,
) {
    outcome.set(None);
    busy.set(true);
    leptos::task::spawn_local(async move {
        let answer = crate::orders::run(&token.get_untracked(), &checkpoint).await;
        outcome.try_set(Some(answer));
        busy.try_set(false);
    });
}

#[cfg(not(feature = "hydrate"))]
fn order(_: String, _: RwSignal<String>, _: RwSignal<bool>, _: RwSignal<Option<Result<Started, String>>>) {}
