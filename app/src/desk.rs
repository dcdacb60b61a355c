//! What the dashboard's charts look at: the live stream, a window of the past, or a past day that is played. The past has a
//! store of its own that takes the same messages, so that the same panels draw it; the live one goes on meanwhile, and
//! coming back misses nothing.

use crate::{
    initial::{Initial, Packed, Past},
    layout::Layout,
    live::{Link, Live, replay::Player},
    query::{Side, View},
    span::{Span, day_of, opening},
    zone::Zone,
};
use chrono::{DateTime, Utc};
use leptos::prelude::*;
use market::{Symbol, Timeframe};

/// What the past is loaded for: anything else is loaded anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub span: Span,
    pub symbols: Vec<Symbol>,
    pub timeframe: Timeframe,
}

impl Loaded {
    /// What a view wants of the past; `None` when it looks at the live stream.
    pub fn wanted(view: &View) -> Option<Self> {
        let span = match view.span {
            Span::Live(_) => return None,
            // Where in the day is the player's, and so is the speed.
            Span::Replay { at, .. } => Span::Replay { at: opening(day_of(at)), speed: 1 },
            between => between,
        };
        Some(Self { span, symbols: view.symbols(), timeframe: view.timeframe })
    }
}

/// The bars of the past that a page shows first: of a day that is played, those before where it begins.
pub fn first_past(view: &View) -> Option<Past> {
    let timeframe = view.timeframe;
    match view.span {
        Span::Live(_) => None,
        Span::Between { from, to } => Some(Past { timeframe, from: Some(from), to }),
        Span::Replay { at, .. } => Some(Past { timeframe, from: None, to: timeframe.bucket(at) }),
    }
}

/// What the charts of a page look at; copies share it.
#[derive(Clone, Copy)]
pub struct Desk {
    /// What the socket tells.
    live: Live,
    /// What was asked for by REST.
    pub past: Live,
    pub view: Memo<View>,
    /// The zone of the charts' times; a page not yet alive knows the exchange's only.
    pub zone: RwSignal<Zone>,
    /// What the past holds.
    pub loaded: RwSignal<Option<Loaded>>,
    /// The day that is played.
    pub player: RwSignal<Option<Player>>,
    /// Charts that look at older bars than the newest.
    pub away: RwSignal<Vec<Side>>,
    /// Counts the orders to go to the newest bar.
    pub newest: RwSignal<u32>,
}

impl Desk {
    pub fn new(live: Live, view: Memo<View>) -> Self {
        let past = Live::new();
        past.link.set(Link::Open);
        let zone = RwSignal::new(Zone::default());
        Effect::new(move |_| zone.set(view.with(|view| view.zone)));
        Self {
            live,
            past,
            view,
            zone,
            loaded: RwSignal::new(None),
            player: RwSignal::new(None),
            away: RwSignal::new(Vec::new()),
            newest: RwSignal::new(0),
        }
    }

    /// Takes over what was rendered into the page.
    pub fn seed(&self, initial: &Initial) {
        let Some(wanted) = self.view.with_untracked(Loaded::wanted) else { return };
        for (symbol, Packed(bars)) in &initial.past {
            self.past.series(symbol, wanted.timeframe).update(|series| series.hold(bars.clone()));
        }
        // A day that is played has only what came before it.
        if !initial.past.is_empty() && !wanted.span.is_replay() {
            self.loaded.set(Some(wanted));
        }
    }

    /// What the charts show now.
    pub fn shown(&self) -> Live {
        if self.view.with(|view| view.span.is_live()) { self.live } else { self.past }
    }

    /// Whether what is asked for is not here yet.
    pub fn is_loading(&self) -> bool {
        let wanted = self.view.with(Loaded::wanted);
        wanted.is_some() && self.loaded.with(|loaded| *loaded != wanted)
    }

    /// The time that the charts' bars are of; another one than the link's while that is loading.
    #[cfg(feature = "hydrate")]
    pub fn framed(&self) -> Option<Span> {
        let span = self.view.with(|view| view.span);
        (!self.is_loading()).then_some(span)
    }

    /// Whether the charts are at the newest bar of the live stream, as far as there is one.
    pub fn is_following(&self) -> bool {
        !matches!(self.live.link.get(), Link::Lost { .. })
            && self.view.with(|view| view.span.is_live())
            && self.away.with(Vec::is_empty)
    }

    /// The order to go to the newest bar.
    pub fn go_to_newest(&self) {
        self.away.set(Vec::new());
        self.newest.update(|count| *count = count.wrapping_add(1));
    }

    /// What the socket tells, whatever is shown.
    pub fn live(&self) -> Live {
        self.live
    }

    /// The link to another layout.
    pub fn laid_out(&self, layout: Layout) -> String {
        self.view.get().with_layout(layout, &self.live.names()).link()
    }

    /// Goes to an instant of the day that is played.
    pub fn seek(&self, to: impl FnOnce(&Player) -> DateTime<Utc>) {
        let mut told = None;
        self.player.update(|player| {
            told = player.as_mut().map(|player| {
                let at = to(player);
                (player.seek(at), player.at)
            });
        });
        if let Some((messages, at)) = told {
            self.past.apply(messages, at);
        }
    }

    /// Plays, or pauses; a day that is over begins again.
    pub fn toggle_play(&self) {
        if self.player.with_untracked(|player| player.as_ref().is_some_and(Player::is_over)) {
            self.seek(|player| player.start);
        }
        self.player.update(|player| {
            if let Some(player) = player {
                player.playing = !player.playing;
            }
        });
    }

    /// The link to the day that is played where it stands; `None` while it goes on.
    pub fn link_to_here(&self) -> Option<String> {
        let at = self.player.with_untracked(|player| player.as_ref().filter(|p| !p.playing).map(|player| player.at))?;
        let view = self.view.get_untracked();
        let Span::Replay { speed, .. } = view.span else { return None };
        Some(view.with_span(Span::Replay { at, speed }).link())
    }

    /// The span that the key for replays goes to: a day of what is shown, or the newest that is over.
    #[cfg(feature = "hydrate")]
    pub fn day_to_play(&self) -> Option<Span> {
        let day = match self.view.with_untracked(|view| view.span) {
            Span::Between { from, .. } => day_of(from),
            _ => self.live.symbols.with_untracked(|known| crate::span::day_to_replay(known))?,
        };
        Some(Span::Replay { at: opening(day), speed: crate::span::USUAL_SPEED })
    }
}

#[cfg(feature = "hydrate")]
pub use browser::{attend, watch_view};

#[cfg(feature = "hydrate")]
mod browser {
    use super::{Desk, Loaded};
    use crate::{
        chart::glue::Viewed,
        follow::follower,
        live::{
            MOST, WINDOW,
            replay::{Player, Tape},
            rest,
        },
        query::{Side, View},
        span::{Range, Span, bounds, day_of, timeframe_for_view},
    };
    use chrono::{DateTime, TimeDelta, Utc};
    use leptos::{prelude::*, task::spawn_local};
    use market::{Bar, Symbol, Timeframe};
    use std::time::Duration;

    const AGAIN_AFTER: Duration = Duration::from_secs(5);
    /// How long a view must stand still.
    const SETTLED_AFTER: Duration = Duration::from_millis(400);
    /// The longest time between two frames that counts: a page that was hidden does not jump.
    const LONGEST_FRAME: f64 = 250.0;

    /// Loads what is asked for, and plays what is to be played.
    pub fn attend(desk: Desk) {
        let wanted = Memo::new(move |_| desk.view.with(Loaded::wanted));
        let again = RwSignal::new(0_u32);
        Effect::new(move |_| {
            again.track();
            let Some(wanted) = wanted.get() else {
                desk.player.set(None);
                desk.loaded.set(None);
                return;
            };
            if desk.loaded.with_untracked(|loaded| loaded.as_ref() == Some(&wanted)) {
                return;
            }
            spawn_local(async move {
                let answer = load(desk, &wanted).await;
                // Something else may have been asked for meanwhile.
                if desk.view.try_with_untracked(Loaded::wanted).flatten().as_ref() != Some(&wanted) {
                    return;
                }
                if answer.is_none() {
                    for symbol in &wanted.symbols {
                        desk.past.series(symbol, wanted.timeframe).update(|series| series.hold(Vec::new()));
                    }
                    let why = "The server does not answer; it is asked again every five seconds.".to_owned();
                    desk.past.trouble.set(Some(why));
                    let retry = move || {
                        again.try_update(|again| *again += 1);
                    };
                    set_timeout(retry, AGAIN_AFTER);
                    return;
                }
                desk.past.trouble.set(None);
                desk.loaded.set(Some(wanted));
            });
        });
        play(desk);
    }

    async fn load(desk: Desk, wanted: &Loaded) -> Option<()> {
        match wanted.span {
            Span::Between { from, to } => {
                for symbol in &wanted.symbols {
                    let bars = bars(desk, symbol, wanted.timeframe, Some(from), to, MOST).await?;
                    desk.past.series(symbol, wanted.timeframe).update(|series| series.hold(bars));
                }
            }
            Span::Replay { at, .. } => {
                let (start, end) = bounds(day_of(at));
                let mut tapes = Vec::new();
                for symbol in &wanted.symbols {
                    tapes.push(tape(desk, symbol, wanted.timeframe, start, end).await?);
                }
                let before = desk.player.with_untracked(|player| player.as_ref().map(|p| (p.start, p.at, p.playing)));
                let asked = match desk.view.with_untracked(|view| view.span) {
                    Span::Replay { at, .. } => at,
                    _ => at,
                };
                // The same day in other bars or with other symbols goes on where it is.
                let same = before.filter(|(first, ..)| day_of(*first) == day_of(at));
                let mut player = Player::new(tapes.clone(), same.map_or(asked, |(_, at, _)| at));
                let messages = match &mut player {
                    Some(player) => {
                        // A link to a moment waits there; one to a day plays it.
                        player.playing = same.map_or(asked == at, |(.., playing)| playing);
                        player.snaps()
                    }
                    None => tapes.iter().map(|tape| tape.snap(0)).collect(),
                };
                desk.past.apply(messages, at);
                desk.player.set(player);
            }
            Span::Live(_) => {}
        }
        Some(())
    }

    /// The API knows no bars of a symbol that it does not know; then neither does the page.
    async fn bars(
        desk: Desk,
        symbol: &Symbol,
        timeframe: Timeframe,
        from: Option<DateTime<Utc>>,
        to: DateTime<Utc>,
        most: usize,
    ) -> Option<Vec<Bar>> {
        let known = desk.live.symbols.with_untracked(|all| all.is_empty() || all.iter().any(|of| of.symbol == *symbol));
        if known { rest::bars(symbol, timeframe, from, to, most).await } else { Some(Vec::new()) }
    }

    async fn tape(
        desk: Desk,
        symbol: &Symbol,
        timeframe: Timeframe,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> Option<Tape> {
        let minutes = bars(desk, symbol, Timeframe::MINUTE_1, Some(start), end, MOST).await?;
        let history = bars(desk, symbol, timeframe, None, timeframe.bucket(start), WINDOW / 2).await?;
        Some(Tape { symbol: symbol.clone(), timeframe, history, minutes })
    }

    /// Receives what the user has in view. Bars of which there are far too many or too few there are changed for others, when
    /// that is left to the page.
    pub fn watch_view(desk: Desk, side: Side) -> Callback<Viewed> {
        let follow = follower();
        let due = StoredValue::new(None::<TimeoutHandle>);
        Callback::new(move |viewed: Viewed| {
            desk.away.update(|away| {
                away.retain(|of| *of != side);
                if !viewed.newest {
                    away.push(side);
                }
            });
            if let Some(before) = due.get_value() {
                before.clear();
            }
            let settle = move || {
                let Some(view) = desk.view.try_get_untracked() else { return };
                if let Some(next) = zoomed(&view, &viewed) {
                    follow.run((next.link(), true));
                }
            };
            due.set_value(set_timeout_with_handle(settle, SETTLED_AFTER).ok());
        })
    }

    /// The view with other bars for what is looked at; `None` when those it has are right.
    fn zoomed(view: &View, viewed: &Viewed) -> Option<View> {
        let end = view.timeframe.bucket_end(viewed.last);
        let length = end - viewed.first;
        if !view.auto || view.span.is_replay() || timeframe_for_view(length, view.timeframe) == view.timeframe {
            return None;
        }
        let span = if view.span.is_live() && viewed.newest {
            Span::Live(Some(Range::holding(length)))
        } else {
            Span::Between { from: viewed.first, to: end }
        };
        let next = view.clone().with_span(span);
        (next.timeframe != view.timeframe).then_some(next)
    }

    /// Lets a day go on once per frame while it is played.
    fn play(desk: Desk) {
        let playing =
            Memo::new(move |_| desk.player.with(|player| player.as_ref().is_some_and(|player| player.playing)));
        Effect::new(move |_| {
            if playing.get() {
                frame(desk, js_sys::Date::now());
            }
        });
    }

    fn frame(desk: Desk, before: f64) {
        request_animation_frame(move || {
            let now = js_sys::Date::now();
            let Some(Span::Replay { speed, .. }) = desk.view.try_with_untracked(|view| view.span) else { return };
            let by = TimeDelta::milliseconds(((now - before).clamp(0.0, LONGEST_FRAME) * f64::from(speed)) as i64);
            let Some((messages, at, playing)) = advance(desk, by) else { return };
            if !messages.is_empty() {
                desk.past.apply(messages, at);
            }
            if playing {
                frame(desk, now);
            }
        });
    }

    /// The bar's place and the clock change by the minute; nothing else is told of the time in between.
    fn advance(desk: Desk, by: TimeDelta) -> Option<(Vec<market::wire::ServerMessage>, DateTime<Utc>, bool)> {
        let mut result = None;
        desk.player.try_maybe_update(|player| {
            let Some(player) = player.as_mut().filter(|player| player.playing) else { return (false, ()) };
            let before = player.minutes();
            let messages = player.advance(by);
            let changed = player.minutes() != before || !player.playing;
            result = Some((messages, player.at, player.playing));
            (changed, ())
        });
        result
    }
}
