use crate::{
    desk::Desk,
    follow::follower,
    query::View,
    span::{Range, Span, at_day, bounds, day_of, day_to_replay, opening},
    zone::Zone,
};
use chrono::{DateTime, NaiveDate, Utc};
use leptos::{ev, html::Input, prelude::*};

type FromTo = (DateTime<Utc>, DateTime<Utc>);

/// Which time the charts show: up to now, a window of the past, or a day that is played; and in which zone it is said.
/// Everything in it is a link or a form, so that it works before the page is alive.
#[component]
pub fn TimePicker() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let title = move || desk.view.with(|view| view.span.title(desk.zone.get()));
    let step = move |name: &'static str, sign: &'static str, span: fn(&Span) -> Option<Span>| {
        move || {
            let view = desk.view.get();
            span(&view.span).map(|span| {
                view! {
                    <a class="time-step" href=view.with_span(span).link() data-noscroll="true" aria-label=name title=name>
                        {sign}
                    </a>
                }
            })
        }
    };
    view! {
        <div class="time-picker">
            {step("Earlier", "‹", |span| span.moved(false))}
            <button type="button" class="time-button" popovertarget="time-menu" title="Which time is shown">
                <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
                    <path d="M12 4a8 8 0 1 0 0 16a8 8 0 1 0 0-16zM12 8v4l3 2" />
                </svg>
                <span class="time-title">{title}</span>
            </button>
            {step("Later", "›", |span| span.moved(true))}
            {step("Wider", "−", Span::widened)}
            <div id="time-menu" class="time-menu" popover="auto">
                <QuickRanges desk />
                <Window desk />
                <ReplayDay desk />
                <Zones desk />
            </div>
        </div>
    }
}

/// A link of the menu; it stays open, so that ranges can be compared.
fn choice(
    title: String,
    chosen: impl Fn() -> bool + Send + Sync + 'static,
    link: impl Fn() -> String + Send + Sync + 'static,
) -> impl IntoView {
    view! {
        <li>
            <a class="choice" href=link data-noscroll="true" aria-current=move || chosen().then_some("true")>{title}</a>
        </li>
    }
}

#[component]
fn QuickRanges(desk: Desk) -> impl IntoView {
    let range = move |range: Option<Range>| {
        let span = Span::Live(range);
        let title = range.map_or_else(|| "Newest bars".to_owned(), Range::title);
        choice(
            title,
            move || desk.view.with(|view| view.span == span),
            move || desk.view.get().with_auto().with_span(span).link(),
        )
    };
    view! {
        <h3>"Up to now"</h3>
        <ul>{std::iter::once(None).chain(Range::QUICK.map(Some)).map(range).collect_view()}</ul>
    }
}

/// What of the link a form must say again; the rest is the form's.
fn kept(view: View) -> Vec<(String, String)> {
    let link = view.with_span(Span::default()).link();
    let query = link.split_once('?').map_or("", |(_, query)| query);
    let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    query.split('&').filter_map(pair).collect()
}

fn hidden(desk: Desk, of: fn(View) -> View) -> impl IntoView {
    move || {
        let fields = kept(of(desk.view.get())).into_iter();
        fields.map(|(name, value)| view! { <input type="hidden" name=name value=value /> }).collect_view()
    }
}

/// The window to begin with: the one that is shown, or the day of the newest bar.
fn suggested(desk: Desk) -> Option<FromTo> {
    match desk.view.with(|view| view.span) {
        Span::Between { from, to } => Some((from, to)),
        Span::Replay { at, .. } => Some(bounds(day_of(at))),
        Span::Live(_) => newest_day(desk).map(bounds),
    }
}

fn newest_day(desk: Desk) -> Option<NaiveDate> {
    desk.live().symbols.with(|known| known.iter().map(|info| info.last).max()).map(day_of)
}

#[component]
fn Window(desk: Desk) -> impl IntoView {
    let follow = follower();
    let (from, to) = (NodeRef::<Input>::new(), NodeRef::<Input>::new());
    let wrong = RwSignal::new(None::<&'static str>);
    let window = Memo::new(move |_| suggested(desk));
    let value = move |pick: fn(FromTo) -> DateTime<Utc>| {
        move || window.get().map(|window| desk.zone.get().field(pick(window))).unwrap_or_default()
    };
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let zone = desk.zone.get_untracked();
        let read = |field: NodeRef<Input>| zone.read_field(&field.get_untracked()?.value());
        match (read(from), read(to)) {
            (Some(from), Some(to)) if from < to => {
                wrong.set(None);
                let link = desk.view.get_untracked().with_auto().with_span(Span::Between { from, to }).link();
                follow.run((link, false));
            }
            (Some(_), Some(_)) => wrong.set(Some("The end is not after the beginning.")),
            _ => wrong.set(Some("Both need a date and a time.")),
        }
    };
    view! {
        <h3 id="window-title">{move || format!("From – to, {}", desk.zone.get().title())}</h3>
        <form class="time-form" action="/dashboard" method="get" aria-labelledby="window-title" on:submit=submit>
            {hidden(desk, View::with_auto)}
            <label>"From" <input type="datetime-local" name="from" required node_ref=from value=value(|(from, _)| from) prop:value=value(|(from, _)| from) /></label>
            <label>"To" <input type="datetime-local" name="to" required node_ref=to value=value(|(_, to)| to) prop:value=value(|(_, to)| to) /></label>
            <button type="submit">"Show"</button>
        </form>
        <p class="time-wrong" role="status">{move || wrong.get()}</p>
    }
}

#[component]
fn ReplayDay(desk: Desk) -> impl IntoView {
    let follow = follower();
    let field = NodeRef::<Input>::new();
    let day = Memo::new(move |_| match desk.view.with(|view| view.span) {
        Span::Replay { at, .. } => Some(day_of(at)),
        Span::Between { from, .. } => Some(day_of(from)),
        Span::Live(_) => desk.live().symbols.with(|known| day_to_replay(known)),
    });
    let value = move || day.get().map(at_day).unwrap_or_default();
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let text = field.get_untracked().map(|field| field.value()).unwrap_or_default();
        if let Ok(day) = text.parse() {
            follow.run((desk.view.get_untracked().with_span(replay_of(desk, day)).link(), false));
        }
    };
    view! {
        <h3 id="replay-title">"Replay a day"</h3>
        <form class="time-form" action="/dashboard" method="get" aria-labelledby="replay-title" on:submit=submit>
            {hidden(desk, |view| view)}
            <label>"Day, New York" <input type="date" name="replay" required node_ref=field value=value prop:value=value /></label>
            <button type="submit">"Replay"</button>
        </form>
    }
}

fn replay_of(desk: Desk, day: NaiveDate) -> Span {
    let speed = match desk.view.with_untracked(|view| view.span) {
        Span::Replay { speed, .. } => speed,
        _ => crate::span::USUAL_SPEED,
    };
    Span::Replay { at: opening(day), speed }
}

#[component]
fn Zones(desk: Desk) -> impl IntoView {
    let zone = move |zone: Zone| {
        choice(
            zone.title().to_owned(),
            move || desk.view.with(|view| view.zone == zone),
            move || desk.view.get().with_zone(zone).link(),
        )
    };
    view! {
        <h3>"Zone"</h3>
        <ul>{Zone::ALL.map(zone).into_iter().collect_view()}</ul>
    }
}
