//! The WebSocket, in the browser: connects, subscribes, comes back by itself. Messages are decoded as they arrive and
//! applied once per animation frame.

use super::{Link, Live, Wanted, backoff};
use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;
use market::wire::{BEAT_SECONDS, ClientMessage, Record, ServerMessage};
use std::{cell::RefCell, rc::Rc, time::Duration};
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Event, MessageEvent, WebSocket};

const PATH: &str = "/api/v1/stream";
/// Silence, in beats, after which a connection counts as dead.
const DEAD_AFTER_BEATS: i64 = 3;
/// A hidden page has no animation frames; beyond this many messages it applies them without one.
const QUEUE_LIMIT: usize = 256;
/// The server's code for "ask again in a moment", and the moment.
const UNAVAILABLE: &str = "unavailable";
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// Follows the live stream for the rest of the page's life.
pub fn run(live: Live) {
    let connection = Connection::new(live);
    connection.connect();
    let follow = connection.clone();
    Effect::new(move |_| {
        if live.wanted.with(Option::is_some) {
            follow.subscribe(false);
        }
    });
    let tick = connection.clone();
    set_interval(move || tick.tick(), Duration::from_secs(1));
    let back = connection;
    window_event_listener_untyped("online", move |_| back.retry_now());
}

#[derive(Default)]
struct State {
    socket: Option<WebSocket>,
    /// Reused for every socket, so that none is dropped while it runs.
    handlers: Option<Handlers>,
    epoch: Option<String>,
    attempt: u32,
    retry: Option<TimeoutHandle>,
    queue: Vec<ServerMessage>,
    frame_due: bool,
    /// A snapshot was asked for and has not come yet: no need to ask again.
    snap_due: bool,
    /// The server's clock less this machine's; the sample that travelled least.
    skew: Option<TimeDelta>,
    last_message_at: Option<DateTime<Utc>>,
}

struct Handlers {
    message: Closure<dyn FnMut(MessageEvent)>,
    close: Closure<dyn FnMut(Event)>,
}

#[derive(Clone)]
struct Connection {
    live: Live,
    state: Rc<RefCell<State>>,
}

fn address() -> Option<String> {
    let location = window().location();
    let scheme = if location.protocol().ok()? == "https:" { "wss" } else { "ws" };
    Some(format!("{scheme}://{}{PATH}", location.host().ok()?))
}

/// What the server's clock showed, at the latest, when it sent the message.
fn server_clock(message: &ServerMessage) -> Option<DateTime<Utc>> {
    match message {
        ServerMessage::Hello { server_time, .. } | ServerMessage::Beat { server_time, .. } => Some(*server_time),
        ServerMessage::Delta { records, .. } => {
            let committed = |record: &Record| match record {
                Record::Bar { committed_at, .. }
                | Record::Rev { committed_at, .. }
                | Record::Del { committed_at, .. } => *committed_at,
            };
            records.iter().map(committed).max()
        }
        _ => None,
    }
}

impl Connection {
    fn new(live: Live) -> Self {
        let connection = Self { live, state: Rc::default() };
        let (on_message, on_close) = (connection.clone(), connection.clone());
        connection.state.borrow_mut().handlers = Some(Handlers {
            message: Closure::new(move |event: MessageEvent| on_message.received(&event)),
            close: Closure::new(move |_: Event| on_close.lost()),
        });
        connection
    }

    /// The server's clock, as well as it is known.
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.state.borrow().skew.unwrap_or_else(TimeDelta::zero)
    }

    fn connect(&self) {
        let socket = address().and_then(|address| WebSocket::new(&address).ok());
        {
            let mut state = self.state.borrow_mut();
            state.retry = None;
            state.last_message_at = Some(Utc::now());
            if let (Some(socket), Some(handlers)) = (&socket, &state.handlers) {
                socket.set_onmessage(Some(handlers.message.as_ref().unchecked_ref()));
                socket.set_onclose(Some(handlers.close.as_ref().unchecked_ref()));
            }
            state.socket.clone_from(&socket);
        }
        if socket.is_none() {
            self.lost();
        }
    }

    fn received(&self, event: &MessageEvent) {
        let Some(text) = event.data().as_string() else { return };
        // What a newer server adds to the protocol is not for this page.
        let Ok(message) = serde_json::from_str::<ServerMessage>(&text) else { return };
        let arrived = Utc::now();
        let mut first_of_connection = false;
        {
            let mut state = self.state.borrow_mut();
            state.last_message_at = Some(arrived);
            if let Some(told) = server_clock(&message) {
                let sample = told - arrived;
                let hello = matches!(message, ServerMessage::Hello { .. });
                state.skew = Some(state.skew.filter(|_| !hello).map_or(sample, |known| known.max(sample)));
            }
            if let ServerMessage::Hello { epoch, .. } = &message {
                first_of_connection = true;
                state.attempt = 0;
                if state.epoch.as_ref() != Some(epoch) {
                    state.epoch = Some(epoch.clone());
                    self.live.break_chains();
                }
            }
            if let ServerMessage::Hello { server_time, .. } | ServerMessage::Beat { server_time, .. } = &message {
                crate::offline::remember(*server_time);
            }
            if matches!(message, ServerMessage::Snap { .. }) {
                state.snap_due = false;
            }
            if matches!(&message, ServerMessage::Error { code, .. } if code == UNAVAILABLE) {
                let again = self.clone();
                set_timeout(move || again.subscribe(false), ASK_AGAIN_AFTER);
            }
            state.queue.push(message);
        }
        if first_of_connection {
            let now = self.now();
            self.live.link.set(Link::Open);
            self.live.open_since.set(Some(now));
            self.live.clock.set(Some(now));
            self.subscribe(true);
        }
        self.schedule();
    }

    fn schedule(&self) {
        let (due, full) = {
            let mut state = self.state.borrow_mut();
            let due = !std::mem::replace(&mut state.frame_due, true);
            (due, state.queue.len() >= QUEUE_LIMIT)
        };
        if full {
            self.apply();
        } else if due {
            let frame = self.clone();
            request_animation_frame(move || frame.apply());
        }
    }

    fn apply(&self) {
        let messages = {
            let mut state = self.state.borrow_mut();
            state.frame_due = false;
            std::mem::take(&mut state.queue)
        };
        let gap = !messages.is_empty() && self.live.apply(messages, self.now());
        if gap && !self.state.borrow().snap_due {
            self.subscribe(false);
        }
    }

    /// Asks for what the page wants; with `resume`, only for what was missed since the last connection.
    fn subscribe(&self, resume: bool) {
        let Some(wanted) = self.live.wanted.get_untracked() else { return };
        let mut state = self.state.borrow_mut();
        let Some(socket) = state.socket.as_ref().filter(|socket| socket.ready_state() == WebSocket::OPEN) else {
            return;
        };
        if state.epoch.is_none() {
            return;
        }
        let since = if resume { self.live.resume_from(&wanted) } else { None };
        let Wanted { symbols, timeframe, bars } = wanted;
        let epoch = since.and_then(|_| state.epoch.clone());
        let message = ClientMessage::Sub { symbols, timeframe, epoch, since, bars: Some(bars) };
        if let Ok(text) = serde_json::to_string(&message) {
            // A socket that closes right now says so by its close event.
            let _ = socket.send_with_str(&text);
            state.snap_due = since.is_none();
        }
    }

    fn lost(&self) {
        let now = self.now();
        let wait = {
            let mut state = self.state.borrow_mut();
            if let Some(socket) = state.socket.take() {
                socket.set_onmessage(None);
                socket.set_onclose(None);
                let _ = socket.close();
            }
            let wait = backoff::wait(state.attempt, js_sys::Math::random());
            state.attempt = state.attempt.saturating_add(1);
            let again = self.clone();
            state.retry = set_timeout_with_handle(move || again.connect(), wait).ok();
            wait
        };
        self.live.link.set(Link::Lost { retry_at: now + TimeDelta::from_std(wait).unwrap_or_default() });
        self.live.clock.set(Some(now));
    }

    /// The machine has a network again: there is nothing to wait for.
    fn retry_now(&self) {
        let retry = self.state.borrow_mut().retry.take();
        if let Some(retry) = retry {
            retry.clear();
            self.connect();
        }
    }

    fn tick(&self) {
        self.live.clock.set(Some(self.now()));
        let dead = {
            let state = self.state.borrow();
            let silence = state.last_message_at.map(|at| (Utc::now() - at).num_seconds());
            state.socket.is_some() && silence.is_some_and(|seconds| seconds > DEAD_AFTER_BEATS * BEAT_SECONDS as i64)
        };
        if dead {
            self.lost();
        }
    }
}
