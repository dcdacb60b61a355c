use crate::{
    components::{CopyLine, FreshnessBadge, PaletteButton, Shortcuts, SimulatedTag, StillChart, ThemeSwitch, Wordmark},
    format,
    format::Direction,
    initial,
    live::{Live, Wanted},
    navigation::PAGES,
    query::Theme,
};
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::hooks::use_query_map;
use market::{Bar, Symbol, Timeframe};

/// Bars in the small chart.
const BARS: u32 = 90;

/// How a candle gets here: place and what happens there.
const HOPS: [(&str, &str); 6] = [
    ("Source table", "a row is committed in MySQL, MariaDB or PostgreSQL"),
    ("Debezium", "reads the change from the database's log"),
    ("Kafka", "keeps it in order, per key"),
    ("Rules", "refused rows go to quarantine, with reasons"),
    ("Postgres", "one transaction: row, history and offset"),
    ("This page", "pushed after the commit, never before"),
];

fn symbol() -> Symbol {
    "AMZN".parse().expect("AMZN is a valid symbol")
}

/// What this is, shown by doing it.
#[component]
pub fn Landing() -> impl IntoView {
    let live = expect_context::<Live>();
    let query = use_query_map();
    let theme = Memo::new(move |_| query.with(|query| Theme::parse(query.get_str("theme"))));
    let page = Resource::new_blocking(|| (), |()| initial::load(vec![symbol()], Timeframe::MINUTE_1, BARS));
    Effect::new(move |_| {
        live.wanted.set(Some(Wanted { symbols: vec![symbol()], timeframe: Timeframe::MINUTE_1, bars: BARS }));
    });
    view! {
        <Title text="Stock rows to live candles" />
        <Meta name="description" content="Every row committed in your database becomes a checked candle in the browser, live." />
        <div class="landing">
            <header class="landing-head">
                <a class="top-home" href=move || theme.get().link("/") rel="external" aria-label="stockstream, home"><Wordmark /></a>
                <nav class="landing-nav" aria-label="Pages">
                    {PAGES
                        .iter()
                        .filter(|page| page.listed)
                        .map(|page| view! { <a class="top-link" href=move || theme.get().link(page.path) rel="external">{page.name}</a> })
                        .collect_view()}
                    <a class="top-link" href="/api/openapi.json" rel="external">"API"</a>
                </nav>
                <PaletteButton />
                <ThemeSwitch current=theme link=|theme: Theme| theme.link("/") />
            </header>
            <main class="landing-main">
                <section class="hero">
                    <div class="hero-words">
                        <h1>"From committed row to live candle."</h1>
                        <p class="hero-lead">
                            "stockstream follows the change log of your database, checks every bar, stores it exactly once and pushes it here."
                        </p>
                        <p class="hero-actions">
                            <a class="button primary" href=move || theme.get().link("/dashboard") rel="external">"Open the dashboard"</a>
                        </p>
                    </div>
                    <Suspense fallback=|| view! { <div class="mini-panel skeleton"></div> }>
                        {move || Suspend::new(async move {
                            live.seed(page.await);
                            view! { <MiniPanel /> }
                        })}
                    </Suspense>
                </section>
                <Lines />
                <section class="landing-section" aria-labelledby="hops-title">
                    <h2 id="hops-title">"How a candle gets here"</h2>
                    <ol class="hops">
                        {HOPS
                            .map(|(place, what)| {
                                view! {
                                    <li class="hop">
                                        <b>{place}</b>
                                        <span>{what}</span>
                                    </li>
                                }
                            })
                            .into_iter()
                            .collect_view()}
                    </ol>
                </section>
                <section class="landing-section" aria-labelledby="start-title">
                    <h2 id="start-title">"Quick start"</h2>
                    <div class="lines">
                        <CopyLine label="Build and start, with nothing installed" line="make run" />
                        <CopyLine label="Run every ring of tests" line="make test" />
                    </div>
                </section>
            </main>
            <Shortcuts
                view=None
                next_theme=move |()| theme.get_untracked().next().link("/")
                page_link=move |path| theme.get_untracked().link(path)
            />
        </div>
    }
}

/// The newest bars of one symbol, as the stream brings them.
#[component]
fn MiniPanel() -> impl IntoView {
    let live = expect_context::<Live>();
    let series = live.series(&symbol(), Timeframe::MINUTE_1);
    let series = Signal::derive(move || series.clone());
    let bars = Memo::new(move |_| {
        series.get().with(|series| series.bars[series.bars.len().saturating_sub(BARS as usize)..].to_vec())
    });
    let heard = Memo::new(move |_| series.get().with(|series| series.heard));
    let state = Memo::new(move |_| live.freshness(heard.get()));
    let last = Memo::new(move |_| bars.with(|bars| bars.last().copied()));
    let places = move || bars.with(|bars| format::price_places(bars));
    let price =
        move || last.get().map_or_else(|| format::UNKNOWN.to_owned(), |bar: Bar| format::number(bar.close, places()));
    let change = move || {
        last.get().map(|bar| {
            let change = bar.close - bar.open;
            (Direction::of(change), format::signed(change, places()))
        })
    };
    let time = move || {
        last.get().map_or_else(|| format::UNKNOWN.to_owned(), |bar| format::bar_time(bar.time, Timeframe::MINUTE_1))
    };
    let trouble = move || last.get().is_none().then(|| live.trouble.get()).flatten();
    view! {
        <div class="mini-panel">
            <p class="mini-head">
                <b class="panel-symbol">"AMZN"</b>
                <span class="panel-last" data-mini="last">{price}</span>
                <span class=move || format!("panel-change {}", change().map_or("", |(way, _)| way.class()))>
                    {move || change().map(|(way, text)| view! { <span aria-hidden="true">{way.arrow()}</span> " " {text} })}
                </span>
                <span class="panel-tags"><FreshnessBadge state heard id="hops-mini" /></span>
            </p>
            <div class="mini-stage">
                <div class="mini-chart" role="img" aria-label=move || format!("AMZN one-minute candles, last close {}", price())>
                    <StillChart bars />
                </div>
                {move || trouble().map(|why| view! { <p class="mini-trouble">{why}</p> })}
            </div>
            <p class="mini-foot">
                <span class="mono" data-mini="time">{time}</span>
                <SimulatedTag />
            </p>
        </div>
    }
}

/// Three lines that work when pasted into a terminal; the browser puts its own origin in.
#[component]
fn Lines() -> impl IntoView {
    let origin = RwSignal::new(("http://127.0.0.1:8080".to_owned(), "ws://127.0.0.1:8080".to_owned()));
    #[cfg(feature = "hydrate")]
    Effect::new(move |_| {
        if let Ok(http) = window().location().origin() {
            let socket = http.replacen("http", "ws", 1);
            origin.set((http, socket));
        }
    });
    let http = move |path: &'static str| Signal::derive(move || format!("curl '{}{path}'", origin.get().0));
    let socket = Signal::derive(move || {
        format!(
            r#"echo '{{"type":"sub","symbols":["AMZN"],"timeframe":"1m"}}' | websocat -n {}/api/v1/stream"#,
            origin.get().1
        )
    });
    view! {
        <section class="landing-section" aria-labelledby="lines-title">
            <h2 id="lines-title">"The same data, in your terminal"</h2>
            <div class="lines">
                <CopyLine label="Newest bars" line=http("/api/v1/bars?symbol=AMZN&timeframe=1m&limit=5&sort=desc") />
                <CopyLine label="Latest of every symbol" line=http("/api/v1/latest") />
                <CopyLine label="Live stream" line=socket />
            </div>
        </section>
    }
}
