use crate::{
    desk::Desk,
    follow::follower,
    format::full_date,
    span::{SPEEDS, Span, day_of},
};
use chrono::TimeDelta;
use leptos::{ev, prelude::*};

/// The controls of a day that is played: play and pause, where in the day, how fast, and the way back.
#[component]
pub fn ReplayBar() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let shown = Memo::new(move |_| desk.view.with(|view| view.span.is_replay()));
    view! { <Show when=move || shown.get()><Controls desk /></Show> }
}

#[component]
fn Controls(desk: Desk) -> impl IntoView {
    let replay = Memo::new(move |_| match desk.view.with(|view| view.span) {
        Span::Replay { at, speed } => Some((day_of(at), speed)),
        _ => None,
    });
    let day = move || replay.get().map(|(day, _)| full_date(&day)).unwrap_or_default();
    let minutes = Memo::new(move |_| desk.player.with(|player| player.as_ref().map(|player| player.minutes())));
    let playing = Memo::new(move |_| desk.player.with(|player| player.as_ref().is_some_and(|player| player.playing)));
    let time = Memo::new(move |_| {
        desk.player.with(|player| player.as_ref().map(|player| desk.zone.get().time_of_day(player.at)))
    });
    let told = move || match (desk.is_loading(), minutes.get()) {
        (true, None) => "Loading the day",
        (false, None) => "No bars on this day",
        _ => "",
    };
    view! {
        <section class="replay-bar" aria-label=move || format!("Replay of {}", day())>
            <strong class="replay-mark">"REPLAY"</strong>
            <PlayButton desk playing />
            <input
                class="replay-scrub"
                type="range"
                aria-label="Time of the day"
                min="0"
                step="1"
                max=move || minutes.get().map_or(0, |(_, last)| last).to_string()
                prop:value=move || minutes.get().map_or(0, |(now, _)| now).to_string()
                aria-valuetext=move || time.get().unwrap_or_default()
                disabled=move || minutes.get().is_none()
                on:input=move |event| scrub(desk, &event)
            />
            <span class="replay-time">
                <b data-replay="time">{move || time.get()}</b>
                <span class="replay-day">" " {day}</span>
            </span>
            <span class="replay-told" role="status">{told}</span>
            <nav class="segments replay-speeds" aria-label="Speed">
                {SPEEDS
                    .map(|speed| {
                        view! {
                            <a
                                class="segment"
                                href=move || at_speed(desk, speed)
                                data-noscroll="true"
                                prop:replace=true
                                aria-current=move || replay.get().is_some_and(|(_, now)| now == speed).then_some("true")
                            >
                                {format!("{speed}×")}
                            </a>
                        }
                    })
                    .into_iter()
                    .collect_view()}
            </nav>
        </section>
    }
}

#[component]
fn PlayButton(desk: Desk, playing: Memo<bool>) -> impl IntoView {
    let follow = follower();
    let over = move || desk.player.with(|player| player.as_ref().is_some_and(|player| player.is_over()));
    let name = move || match (playing.get(), over()) {
        (true, _) => "Pause",
        (false, true) => "Play again",
        (false, false) => "Play",
    };
    // Where it was paused is in the link, so that it can be shared.
    let toggle = move |_| {
        desk.toggle_play();
        if let Some(link) = desk.link_to_here() {
            follow.run((link, true));
        }
    };
    view! {
        <button
            type="button"
            class="replay-play"
            aria-label=name
            aria-keyshortcuts="r"
            title=move || format!("{} (r)", name())
            disabled=move || desk.player.with(Option::is_none)
            on:click=toggle
        >
            <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
                <path d=move || if playing.get() { "M8 5v14M16 5v14" } else { "M7 4v16l13-8z" } />
            </svg>
        </button>
    }
}

fn at_speed(desk: Desk, speed: u32) -> String {
    let view = desk.view.get();
    let span = match view.span {
        Span::Replay { at, .. } => Span::Replay { at, speed },
        other => other,
    };
    view.with_span(span).link()
}

fn scrub(desk: Desk, event: &ev::Event) {
    let Ok(minute) = event_target_value(event).parse::<i64>() else { return };
    desk.seek(|player| player.start + TimeDelta::minutes(minute));
}
