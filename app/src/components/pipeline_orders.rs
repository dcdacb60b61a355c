use super::CopyLine;
use crate::pipeline::{Partition, Pipeline, Scope};
use leptos::{html::Button, prelude::*};

/// What can be ordered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Pause,
    Resume,
    Drain,
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Drain => "drain",
        }
    }

    /// On its button; the dots say that it is asked again.
    fn label(self) -> &'static str {
        match self {
            Self::Pause => "Pause…",
            Self::Resume => "Resume",
            Self::Drain => "Drain…",
        }
    }

    /// What it comes to, for who has to confirm it.
    fn consequence(self) -> Option<&'static str> {
        match self {
            Self::Pause => Some("Nothing new is stored or shown until it is resumed. Nothing is lost: Kafka keeps it."),
            Self::Drain => Some(
                "What is in flight is committed, and everything stays stopped until it is resumed. Nothing is lost: Kafka keeps it.",
            ),
            Self::Resume => None,
        }
    }
}

/// Pause, resume and drain, with the control token; what stops something asks again first.
#[component]
pub fn PipelineOrders(pipeline: RwSignal<Pipeline>) -> impl IntoView {
    let control = Memo::new(move |_| pipeline.with(|pipeline| pipeline.control));
    view! {
        {move || {
            if control.get() {
                view! { <Form pipeline /> }.into_any()
            } else {
                view! {
                    <p class="record-hint">
                        "This page takes no orders, because the server has no control token: start it with "
                        <code>"--control-token"</code> " or set " <code>"STOCKSTREAM_CONTROL_TOKEN"</code> "."
                    </p>
                }
                    .into_any()
            }
        }}
        <div class="lines">
            <CopyLine label="On the command line" line="stockstream pipeline pause    # status, resume, drain" />
        </div>
    }
}

/// What the form knows; copies share it.
#[derive(Clone, Copy)]
struct Orders {
    pipeline: RwSignal<Pipeline>,
    alive: RwSignal<bool>,
    token: RwSignal<String>,
    /// The partition that the order is about; empty: all of them.
    about: RwSignal<String>,
    /// What has to be confirmed.
    asked: RwSignal<Option<Order>>,
    busy: RwSignal<bool>,
    outcome: RwSignal<Option<Result<String, String>>>,
}

impl Orders {
    fn new(pipeline: RwSignal<Pipeline>) -> Self {
        let alive = RwSignal::new(false);
        Effect::new(move |_| alive.set(true));
        Self {
            pipeline,
            alive,
            token: RwSignal::new(String::new()),
            about: RwSignal::new(String::new()),
            asked: RwSignal::new(None),
            busy: RwSignal::new(false),
            outcome: RwSignal::new(None),
        }
    }

    fn is_idle(self) -> bool {
        self.alive.get() && !self.busy.get() && !self.token.with(String::is_empty)
    }

    /// Whether the order can be given; only everything can be drained.
    fn takes(self, order: Order) -> bool {
        self.is_idle() && (order != Order::Drain || self.about.with(String::is_empty))
    }

    fn scope(self) -> Scope {
        self.pipeline.with_untracked(|pipeline| {
            let row = pipeline.partitions.iter().find(|row| row.name() == self.about.get_untracked());
            row.map_or_else(Scope::default, |row| Scope {
                topic: Some(row.topic.clone()),
                partition: Some(row.partition),
            })
        })
    }

    fn ask(self, order: Order) {
        if order.consequence().is_some() { self.asked.set(Some(order)) } else { self.give(order) }
    }

    fn give(self, order: Order) {
        self.asked.set(None);
        send(self, order.name(), self.scope());
    }
}

#[component]
fn Form(pipeline: RwSignal<Pipeline>) -> impl IntoView {
    let orders = Orders::new(pipeline);
    view! {
        <form class="orders" on:submit=|event| event.prevent_default()>
            <label class="filter-field orders-token">
                <span>"Control token, kept in this page's memory only"</span>
                <input
                    type="password"
                    autocomplete="off"
                    spellcheck="false"
                    disabled=move || !orders.alive.get()
                    on:input=move |event| orders.token.set(event_target_value(&event))
                />
            </label>
            <About orders />
            {move || match orders.asked.get() {
                None => view! { <Buttons orders /> }.into_any(),
                Some(order) => {
                    let subject = orders.about.get_untracked();
                    let subject = if subject.is_empty() { "everything".to_owned() } else { subject };
                    let idle = Signal::derive(move || orders.is_idle());
                    view! { <Confirm order subject idle give=move |()| orders.give(order) leave=move |()| orders.asked.set(None) /> }
                        .into_any()
                }
            }}
            <noscript><p>"Orders need a script; the command line does not."</p></noscript>
        </form>
        <div class="orders-outcome" role="status">
            {move || match orders.outcome.get() {
                None => None,
                Some(Ok(done)) => Some(view! { <p data-order="taken">{done}</p> }.into_any()),
                Some(Err(why)) => Some(view! { <p class="orders-trouble" data-order="refused">{why}</p> }.into_any()),
            }}
        </div>
    }
}

/// The partitions that this process consumes, or all of them.
#[component]
fn About(orders: Orders) -> impl IntoView {
    let Orders { pipeline, alive, about, .. } = orders;
    let names = Memo::new(move |_| {
        let ours = |row: &&Partition| row.state.is_some();
        pipeline.with(|pipeline| pipeline.partitions.iter().filter(ours).map(Partition::name).collect::<Vec<_>>())
    });
    view! {
        <label class="filter-field orders-about">
            <span>"What the order is about"</span>
            <select disabled=move || !alive.get() on:change=move |event| about.set(event_target_value(&event))>
                <option value="">"everything this process consumes"</option>
                <For each=move || names.get() key=Clone::clone children=|name| view! { <option value=name.clone()>{name.clone()}</option> } />
            </select>
        </label>
    }
}

#[component]
fn Buttons(orders: Orders) -> impl IntoView {
    let button = move |order: Order| {
        view! {
            <button class="button" type="button" disabled=move || !orders.takes(order) on:click=move |_| orders.ask(order)>{order.label()}</button>
        }
    };
    view! { <div class="orders-buttons">{button(Order::Pause)} {button(Order::Resume)} {button(Order::Drain)}</div> }
}

/// Asks once more. The keyboard goes to the answer that changes nothing.
#[component]
fn Confirm(
    order: Order,
    subject: String,
    idle: Signal<bool>,
    #[prop(into)] give: Callback<()>,
    #[prop(into)] leave: Callback<()>,
) -> impl IntoView {
    let no = NodeRef::<Button>::new();
    Effect::new(move |_| {
        if let Some(no) = no.get() {
            let _ = no.focus();
        }
    });
    let question = format!("Really {} {subject}?", order.name());
    view! {
        <div class="orders-confirm" role="group" aria-labelledby="confirm-title" aria-describedby="confirm-text">
            <p id="confirm-title"><b>{question}</b></p>
            <p id="confirm-text">{order.consequence()}</p>
            <div class="orders-buttons">
                <button class="button" type="button" node_ref=no on:click=move |_| leave.run(())>"No, leave it running"</button>
                <button class="button primary" type="button" disabled=move || !idle.get() on:click=move |_| give.run(())>
                    "Yes, "{order.name()}
                </button>
            </div>
        </div>
    }
}

#[cfg(feature = "hydrate")]
fn send(orders: Orders, order: &'static str, scope: Scope) {
    let Orders { pipeline, token, busy, outcome, .. } = orders;
    busy.set(true);
    leptos::task::spawn_local(async move {
        let answer = crate::orders::pipeline(&token.get_untracked(), order, &scope).await;
        let told = answer.map(|taken| {
            pipeline.try_set(taken.pipeline);
            let change = if taken.changed { "is carried out now" } else { "changed nothing: that was wanted already" };
            format!("The order to {order} was taken and {change}.")
        });
        outcome.try_set(Some(told));
        busy.try_set(false);
    });
}

#[cfg(not(feature = "hydrate"))]
fn send(_: Orders, _: &'static str, _: Scope) {}
