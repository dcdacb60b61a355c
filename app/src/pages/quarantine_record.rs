use crate::{
    components::{RedrivePanel, RefusedState, ReportPage},
    format,
    payload::Payload,
    quarantine::{self, Order, PATH, Reason, RecordAddress, RefusedRecord},
    query::Theme,
};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_location, use_params_map, use_query_map};

/// One refused record: what arrived, why it was refused, what became of it.
#[component]
pub fn QuarantineRecord() -> impl IntoView {
    let (params, query, location) = (use_params_map(), use_query_map(), use_location());
    let theme = Memo::new(move |_| query.with(|query| Theme::parse(query.get_str("theme"))));
    let address = params.with_untracked(|params| {
        let part = |name| params.get(name).unwrap_or_default();
        let incarnation = query.with_untracked(|query| query.get("incarnation"));
        RecordAddress { topic: part("topic"), partition: part("partition"), offset: part("offset"), incarnation }
    });
    let incarnation = address.incarnation.clone();
    let link = move |theme: Theme| {
        let incarnation = incarnation.as_ref().map(|incarnation| format!("incarnation={incarnation}"));
        let theme = theme.name().map(|theme| format!("theme={theme}"));
        let query: Vec<String> = [incarnation, theme].into_iter().flatten().collect();
        let path = location.pathname.get();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    };
    let name = format!("{}[{}]@{}", address.topic, address.partition, address.offset);
    let title = format!("Refused record {name}");
    let page = Resource::new_blocking(|| (), move |()| quarantine::load_record(address.clone()));
    let name = StoredValue::new(name);
    view! {
        <Title text=title />
        <ReportPage theme link current=PATH class="page-main">
            <p class="page-way"><a href=move || theme.get().link(PATH) rel="external">"Quarantine"</a></p>
            <Suspense fallback=|| view! { <p class="page-wait">"Reading the record…"</p> }>
                {move || Suspend::new(async move {
                    match page.await {
                        Ok(Some(record)) => view! { <Found record /> }.into_any(),
                        Ok(None) => view! { <Missing name=name.get_value() theme /> }.into_any(),
                        Err(why) => view! { <Trouble name=name.get_value() why /> }.into_any(),
                    }
                })}
            </Suspense>
        </ReportPage>
    }
}

#[component]
fn Found(record: RefusedRecord) -> impl IntoView {
    let RefusedRecord { row, timestamp, rule_version, reasons, headers, key, value, .. } = &record;
    let at = |time: Option<chrono::DateTime<chrono::Utc>>| {
        time.map_or_else(|| format::UNKNOWN.to_owned(), format::full_instant)
    };
    let raw =
        format!("/api/v1/quarantine/{}/{}/{}?incarnation={}", row.topic, row.partition, row.offset, row.incarnation);
    view! {
        <div class="page-title">
            <h1 class="record-name">{row.name()}</h1>
            <p class="page-lead"><RefusedState row=row.clone() /></p>
        </div>
        <section class="record-section" aria-labelledby="why-title">
            <h2 id="why-title">"Why it was refused"</h2>
            <ol class="reasons">{reasons.iter().cloned().map(explained).collect_view()}</ol>
            {(record.acceptable && row.is_open())
                .then(|| {
                    view! { <p class="record-hint">"Today's decoder and rules would let it through: a redrive is worth a try."</p> }
                })}
        </section>
        <section class="record-section" aria-labelledby="state-title">
            <h2 id="state-title">"What became of it"</h2>
            <p>{became(&record)}</p>
            {record.note.clone().map(|note| view! { <blockquote class="record-quote">{note}</blockquote> })}
        </section>
        <section class="record-section" aria-labelledby="arrived-title">
            <h2 id="arrived-title">"What arrived"</h2>
            <dl class="facts">
                <div><dt>"Received"</dt><dd>{format::full_instant(row.received_at)}</dd></div>
                <div><dt>"Its own timestamp"</dt><dd>{at(*timestamp)}</dd></div>
                <div><dt>"Incarnation of the topic"</dt><dd>{row.incarnation}</dd></div>
                <div><dt>"Version of the rules"</dt><dd>{*rule_version}</dd></div>
                {headers
                    .iter()
                    .map(|(name, value)| view! { <div><dt>"Header " <code>{name.clone()}</code></dt><dd>{value.clone()}</dd></div> })
                    .collect_view()}
            </dl>
            {payload("Key", key.as_ref())} {payload("Value", value.as_ref())}
            <p class="record-all"><a href=raw rel="external">"All of it as JSON"</a></p>
        </section>
        <RedrivePanel
            order=Order::of_record(row)
            control=record.control
            is_open=row.is_open()
            original=value.as_ref().filter(|value| value.is_editable()).map(|value| value.text.clone())
        />
    }
}

fn explained(reason: Reason) -> impl IntoView {
    view! {
        <li class="reason">
            <code class="refused-code">{reason.code}</code>
            <p class="reason-rule">{reason.rule}</p>
            <ul class="reason-found">{reason.found.into_iter().map(|found| view! { <li>{found}</li> }).collect_view()}</ul>
            <p class="reason-advice">{reason.advice}</p>
        </li>
    }
}

/// State, by whom and when, in sentences.
fn became(record: &RefusedRecord) -> String {
    let by = match (&record.decided_by, record.decided_at) {
        (Some(by), Some(at)) => format!(" by {by}, {}", format::full_instant(at)),
        _ => String::new(),
    };
    let what = match (record.row.state.as_str(), record.row.outcome.as_deref()) {
        ("redriven", Some("applied")) => format!("It was redriven{by}. The row now stands as the record says."),
        ("redriven", Some("late")) => {
            format!("It was redriven{by}. A newer event stands, so it is in the change log only.")
        }
        ("redriven", Some("duplicate")) => {
            format!("It was redriven{by}. A newer change of the row is known, so it had no effect.")
        }
        ("redriven", Some("deleted")) => format!("It was redriven{by}. The row is gone."),
        ("redriven", _) => format!("It was redriven{by}. It carries no row."),
        ("dismissed", _) => format!("It was dismissed{by}, and stays refused. Its bytes are kept."),
        ("refused_again", _) => "A redrive was tried and refused; somebody still has to decide.".to_owned(),
        _ => "Nobody has decided yet.".to_owned(),
    };
    match record.attempts {
        0 => what,
        1 => format!("{what} One redrive was refused."),
        attempts => format!("{what} {attempts} redrives were refused."),
    }
}

fn payload(name: &'static str, payload: Option<&Payload>) -> impl IntoView {
    let Some(payload) = payload.cloned() else {
        return view! { <p class="payload-none">{name} ": none"</p> }.into_any();
    };
    let Payload { kind, text, bytes, whole } = payload;
    let size =
        format!("{} bytes, {}{}", format::count(bytes as i64), kind.name(), if whole { "" } else { ", its beginning" });
    view! {
        <figure class="payload">
            <figcaption>{name} <span class="payload-size">{size}</span></figcaption>
            <pre class="payload-text" tabindex="0" aria-label=format!("{name} of the record")>{text}</pre>
        </figure>
    }
    .into_any()
}

#[component]
fn Missing(name: String, #[prop(into)] theme: Signal<Theme>) -> impl IntoView {
    view! {
        <h1>"This record is not in quarantine."</h1>
        <section class="page-note" aria-label="Not found">
            <p><code>{name}</code> " was stored, or it never arrived, or the address is mistyped."</p>
            <p><a class="button" href=move || theme.get().link(PATH) rel="external">"Open records"</a></p>
        </section>
    }
}

#[component]
fn Trouble(name: String, why: String) -> impl IntoView {
    view! {
        <h1 class="record-name">{name}</h1>
        <section class="page-note trouble" role="alert">
            <h2>"The record cannot be shown."</h2>
            <p>{why}</p>
            <p>"Its bytes are kept. Load the page again in a moment."</p>
        </section>
    }
}
