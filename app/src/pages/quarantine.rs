use crate::{
    components::{RedrivePanel, RefusedTable, ReportPage},
    quarantine::{self, Order, PATH, Question, RefusedList, STAGES, STATES},
};
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::hooks::use_query_map;

/// Every record that was refused, by state, stage, reason and topic. A form and links: it works without a script.
#[component]
pub fn Quarantine() -> impl IntoView {
    let query = use_query_map();
    let question = Memo::new(move |_| query.with(|query| Question::read(|name| query.get(name))));
    let theme = Memo::new(move |_| question.with(|question| question.theme));
    let asked = question.get_untracked();
    let page = Resource::new_blocking(|| (), move |()| quarantine::load_list(&asked));
    view! {
        <Title text="Quarantine" />
        <Meta name="description" content="Records that were refused, why, and what became of them." />
        <ReportPage theme link=move |theme| question.get().with_theme(theme).link() current=PATH class="page-main">
            <Suspense fallback=|| view! { <p class="page-wait">"Reading the quarantine…"</p> }>
                {move || Suspend::new(async move {
                    let asked = question.get_untracked();
                    match page.await {
                        Ok(list) => view! { <Listed list question=asked theme /> }.into_any(),
                        Err(why) => view! { <Trouble why asked /> }.into_any(),
                    }
                })}
            </Suspense>
        </ReportPage>
    }
}

fn open_records(open: i64) -> String {
    match open {
        0 => "No open records.".to_owned(),
        1 => "1 open record.".to_owned(),
        RefusedList::COUNTED.. => format!("{} or more open records.", RefusedList::COUNTED),
        open => format!("{open} open records."),
    }
}

/// The form, and what it found.
#[component]
fn Listed(list: RefusedList, question: Question, #[prop(into)] theme: Signal<crate::query::Theme>) -> impl IntoView {
    let RefusedList { rows, next_cursor, open, topics, codes, control } = list;
    let redrive = (!rows.is_empty() && question.is_redrivable())
        .then(|| view! { <RedrivePanel order=Order::of_question(&question) control original=None /> });
    let next = next_cursor.map(|cursor| {
        let next = question.clone().with_cursor(cursor);
        view! { <a class="button" href=move || next.clone().with_theme(theme.get()).link() rel="external">"Older records"</a> }
    });
    let first = (!question.cursor.is_empty()).then(|| {
        let first = question.clone().with_cursor(String::new());
        view! { <a class="button" href=move || first.clone().with_theme(theme.get()).link() rel="external">"Newest records"</a> }
    });
    let empty = rows.is_empty();
    view! {
        <div class="page-title">
            <h1>"Quarantine"</h1>
            <p class="page-lead">
                <b data-quarantine="open">{open_records(open)}</b>
                " What could not be trusted is kept here as it arrived, with the reason, until somebody decides."
            </p>
        </div>
        <Filter question=question.clone() topics codes />
        {if empty {
            view! { <Nothing question theme /> }.into_any()
        } else {
            view! { <RefusedTable rows theme /> }.into_any()
        }}
        <nav class="page-steps" aria-label="Pages of the list">{first}{next}</nav>
        {redrive}
    }
}

/// What to show, as a plain form.
#[component]
fn Filter(question: Question, topics: Vec<String>, codes: Vec<String>) -> impl IntoView {
    let names = |known: &[(&str, &str)]| {
        known.iter().map(|(value, name)| ((*value).to_owned(), (*name).to_owned())).collect::<Vec<_>>()
    };
    let same = |known: Vec<String>| known.into_iter().map(|value| (value.clone(), value)).collect::<Vec<_>>();
    let stages = STAGES.map(|(value, words)| (value, words.trim_start_matches("the ").trim_start_matches("a ")));
    let narrow = question.is_narrow();
    view! {
        <form class="filter" method="get" action=PATH aria-label="Which records">
            {choice("state", "State", None, names(&STATES), &question.state)}
            {choice("stage", "Refused by", Some("anything"), names(&stages), &question.stage)}
            {choice("code", "Code", Some("any"), same(codes), &question.code)}
            {choice("topic", "Topic", Some("any"), same(topics), &question.topic)}
            {question.theme.name().map(|theme| view! { <input type="hidden" name="theme" value=theme /> })}
            <button class="button" type="submit">"Show"</button>
            {narrow.then(|| view! { <a class="filter-clear" href=question.theme.link(PATH) rel="external">"Clear"</a> })}
        </form>
    }
}

/// A labelled choice; what was asked for is in it, whether or not it is known.
fn choice(
    name: &'static str,
    label: &'static str,
    any: Option<&'static str>,
    mut known: Vec<(String, String)>,
    current: &str,
) -> impl IntoView {
    if !current.is_empty() && known.iter().all(|(value, _)| value != current) {
        known.push((current.to_owned(), current.to_owned()));
    }
    let current = current.to_owned();
    let options = known.into_iter().map(|(value, words)| {
        let selected = value == current;
        view! { <option value=value selected=selected>{words}</option> }
    });
    view! {
        <label class="filter-field">
            <span>{label}</span>
            <select name=name>
                {any.map(|words| view! { <option value="">{words}</option> })} {options.collect_view()}
            </select>
        </label>
    }
}

#[component]
fn Nothing(question: Question, #[prop(into)] theme: Signal<crate::query::Theme>) -> impl IntoView {
    let (title, words) = if question.is_narrow() {
        ("No record is all of this.", "Widen the question above, or look at every record that was ever refused.")
    } else {
        (
            "Nothing waits for a decision.",
            "Every record that arrived was stored, or somebody has decided about it. New refusals appear here.",
        )
    };
    view! {
        <section class="page-note" aria-label="Nothing found">
            <h2>{title}</h2>
            <p>{words}</p>
            <p><a class="button" href=move || Question::of_state("all", theme.get()).link() rel="external">"All records"</a></p>
        </section>
    }
}

#[component]
fn Trouble(why: String, asked: Question) -> impl IntoView {
    view! {
        <h1>"Quarantine"</h1>
        <section class="page-note trouble" role="alert">
            <h2>"The list cannot be shown."</h2>
            <p>{why}</p>
            <p>"Nothing is lost: refused records are stored with the stream's own transaction. Charts go on by themselves."</p>
            <p>
                <a class="button" href=asked.link() rel="external">"Try again"</a>
                " "
                <a class="button" href=asked.theme.link(PATH) rel="external">"All open records"</a>
            </p>
        </section>
    }
}
