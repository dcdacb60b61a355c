use leptos::prelude::*;

/// Decides that a record stays refused, with a note that says why.
#[component]
pub fn DismissForm(
    /// As orders name it.
    record: String,
    incarnation: Option<i32>,
    token: RwSignal<String>,
    busy: RwSignal<bool>,
    /// Whether an order can be given.
    #[prop(into)]
    idle: Signal<bool>,
) -> impl IntoView {
    let note = RwSignal::new(String::new());
    let outcome = RwSignal::new(None::<Result<(), String>>);
    let record = StoredValue::new(record);
    let ready = move || idle.get() && !note.with(|note| note.trim().is_empty());
    view! {
        <details class="corrected">
            <summary>"Dismiss it instead"</summary>
            <p>"It stays refused, and nobody has to decide any more. Its bytes are kept, and it can still be redriven."</p>
            <form class="orders" on:submit=move |event| {
                event.prevent_default();
                if untrack(ready) {
                    dismiss(record.get_value(), incarnation, note, token, busy, outcome);
                }
            }>
                <label class="filter-field orders-token">
                    <span>"Why, for those who ask later"</span>
                    <input type="text" maxlength="1000" autocomplete="off" on:input=move |event| note.set(event_target_value(&event)) />
                </label>
                <div class="orders-buttons">
                    <button class="button" type="submit" disabled=move || !ready()>"Dismiss"</button>
                </div>
            </form>
            <div role="status">
                {move || outcome.get().map(|outcome| match outcome {
                    Ok(()) => {
                        view! {
                            <p data-dismissed="">
                                "It is dismissed. "
                                <a href="" rel="external">"Load this page again"</a>
                                " to see it so."
                            </p>
                        }
                            .into_any()
                    }
                    Err(why) => view! { <p class="orders-trouble">{why}</p> }.into_any(),
                })}
            </div>
        </details>
    }
}

#[cfg(feature = "hydrate")]
fn dismiss(
    record: String,
    incarnation: Option<i32>,
    note: RwSignal<String>,
    token: RwSignal<String>,
    busy: RwSignal<bool>,
    outcome: RwSignal<Option<Result<(), String>>>,
) {
    busy.set(true);
    leptos::task::spawn_local(async move {
        let answer = crate::orders::dismiss(&token.get_untracked(), &record, incarnation, &note.get_untracked()).await;
        outcome.try_set(Some(answer));
        busy.try_set(false);
    });
}

#[cfg(not(feature = "hydrate"))]
fn dismiss(
    _: String,
    _: Option<i32>,
    _: RwSignal<String>,
    _: RwSignal<String>,
    _: RwSignal<bool>,
    _: RwSignal<Option<Result<(), String>>>,
) {
}
