use crate::{
    components::{BarFindings, CopyLine, Nothing, ReportPage, RunTable, ShownSwitch, VerdictMark},
    format,
    quality::{
        Checkpoint, Following, Overview, PATH, Run, Shown,
        load::{self, Loaded},
        run_path, suite_path,
    },
    query::Theme,
};
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::hooks::use_query_map;

/// Suites and their runs: what is checked, and what was found.
#[component]
pub fn Quality() -> impl IntoView {
    let query = use_query_map();
    let theme = Memo::new(move |_| query.with(|query| Theme::parse(query.get_str("theme"))));
    let shown = Memo::new(move |_| query.with(|query| Shown::parse(query.get_str("show"))));
    let cursor = query.with_untracked(|query| query.get("cursor").filter(|cursor| !cursor.is_empty()));
    let is_first = cursor.is_none();
    let first = shown.get_untracked();
    let page = Resource::new_blocking(|| (), move |()| load::overview(first, cursor.clone()));
    let path = Signal::derive(move || shown.get().link(PATH));
    view! {
        <Title text="Data quality" />
        <Meta name="description" content="What the expectation suites check, and what their runs found." />
        <ReportPage theme link=move |theme: Theme| path.with(|path| theme.link(path)) current=PATH>
            <h1>"Data quality"</h1>
            <Suspense fallback=|| view! { <p class="report-lead">"…"</p> }>
                {move || Suspend::new(async move {
                    match page.await {
                        Loaded::Ready(overview) => view! { <Found overview theme shown=first is_first /> }.into_any(),
                        Loaded::Missing => {
                            view! {
                                <Nothing title="There is no such page of runs.">
                                    <p><a href=move || theme.get().link(PATH) rel="external">"The newest runs"</a></p>
                                </Nothing>
                            }
                                .into_any()
                        }
                        Loaded::Trouble(why) => view! { <Trouble why theme /> }.into_any(),
                    }
                })}
            </Suspense>
            <BarFindings theme />
        </ReportPage>
    }
}

/// Why a page has nothing to show.
#[component]
pub fn Trouble(why: String, theme: Memo<Theme>) -> impl IntoView {
    view! {
        <Nothing title=why>
            <p>
                "Charts go on meanwhile: "
                <a href=move || theme.get().link("/dashboard") rel="external">"dashboard"</a>
                ". Load this page again to ask again."
            </p>
        </Nothing>
    }
}

#[component]
fn Found(overview: Overview, theme: Memo<Theme>, shown: Shown, is_first: bool) -> impl IntoView {
    let overview = RwSignal::new(overview);
    let following = RwSignal::new(Following::No);
    #[cfg(feature = "hydrate")]
    if is_first {
        follow(overview, shown, following);
    }
    let has_suites = Memo::new(move |_| {
        overview.with(|overview| !overview.suites.suites.is_empty() || !overview.checkpoints.checkpoints.is_empty())
    });
    let runs = Signal::derive(move || overview.with(|overview| overview.runs.runs.clone()));
    let older = move || {
        let cursor = overview.with(|overview| overview.runs.next_cursor.clone())?;
        let joint = if shown == Shown::All { '?' } else { '&' };
        let path = format!("{}{joint}cursor={cursor}", shown.link(PATH));
        Some(view! { <a href=move || theme.get().link(&path) rel="external">"Older runs"</a> })
    };
    let note = move || match following.get() {
        Following::No => None,
        Following::Yes => Some("New runs show by themselves."),
        Following::Lost => Some("The server does not answer; it is asked again every 5 seconds."),
    };
    let suites = move || {
        overview.with(|overview| {
            let run = overview.suites.suites.iter().map(|run| view! { <SuiteCard run=run.clone() theme /> }.into_any());
            let waiting = overview
                .waiting()
                .map(|checkpoint| view! { <WaitingCard checkpoint=checkpoint.clone() theme /> }.into_any());
            run.chain(waiting).collect_view()
        })
    };
    let table = move || {
        if runs.with(Vec::is_empty) {
            let why = match shown {
                Shown::All => "No suite has run yet.",
                Shown::Failed => "No run has found anything that is not met.",
            };
            view! { <p class="report-none">{why}</p> }.into_any()
        } else {
            view! { <RunTable runs theme caption="Runs, the newest first" /> }.into_any()
        }
    };
    let report = move || {
        view! {
            <p class="report-lead">"What the suites expect of the rows, and whether the rows are like that."</p>
            <ul class="suite-cards" aria-label="Suites">{suites}</ul>
            <section class="report-section" aria-labelledby="runs-title">
                <div class="report-bar">
                    <h2 id="runs-title">"Runs"</h2>
                    <ShownSwitch shown theme path=PATH label="Runs shown" />
                    <p class="report-note" role="status">{note}</p>
                </div>
                {table}
                <p class="report-more">
                    {(!is_first)
                        .then(|| view! { <a href=move || theme.get().link(&shown.link(PATH)) rel="external">"Newest runs"</a> })}
                    {older}
                </p>
            </section>
        }
    };
    move || if has_suites.get() { report().into_any() } else { view! { <NoSuite /> }.into_any() }
}

/// A suite by its newest run.
#[component]
fn SuiteCard(run: Run, theme: Memo<Theme>) -> impl IntoView {
    let (suite, newest) = (suite_path(&run.suite), run_path(run.run_id));
    let verdict = run.verdict();
    view! {
        <li class="suite-card">
            <p class="suite-card-name"><a href=move || theme.get().link(&suite) rel="external">{run.suite.clone()}</a></p>
            <p class="suite-card-score">{run.score()}</p>
            <p><VerdictMark verdict /></p>
            <p class="suite-card-run">
                <a href=move || theme.get().link(&newest) rel="external">"Run "{run.run_id}</a>
                " of "
                {run.asset}
                ", "
                <time datetime=run.started_at.to_rfc3339()>{format::full_instant(run.started_at)}</time>
            </p>
        </li>
    }
}

/// A suite that is to be run on a table, and was not yet.
#[component]
fn WaitingCard(checkpoint: Checkpoint, theme: Memo<Theme>) -> impl IntoView {
    let suite = suite_path(&checkpoint.suite);
    let outlook = checkpoint.outlook();
    let trouble = checkpoint
        .trouble
        .map(|why| view! { <p class="suite-card-run down">{format!("It could not be run: {why}.")}</p> });
    view! {
        <li class="suite-card" data-waiting="">
            <p class="suite-card-name"><a href=move || theme.get().link(&suite) rel="external">{checkpoint.suite}</a></p>
            <p class="suite-card-score">"not yet run"</p>
            <p class="suite-card-run">"Checkpoint " {checkpoint.name} " of " {checkpoint.table} "; " {outlook}</p>
            {trouble}
        </li>
    }
}

/// Nothing was ever run: what a suite is, and how to get a first run.
#[component]
fn NoSuite() -> impl IntoView {
    view! {
        <Nothing title="No suite has run yet.">
            <p>
                "A suite says what rows must be like: never null, in a range, as many as expected. A run says whether they are. "
                "Suites that Great Expectations has written work as they are."
            </p>
            <p>
                "The server runs its suite for bars as soon as there are rows, and then every five minutes. Others are named in a file: "
                <code>"--checkpoints stockstream.toml"</code>
                ". To try one beforehand:"
            </p>
            <div class="lines">
                <CopyLine label="What a suite really checks" line="stockstream suite lint suite.json" />
                <CopyLine label="Run it against the rows, once" line="stockstream validate --database-url postgres://user:password@host/database suite.json" />
            </div>
        </Nothing>
    }
}

/// Asks for suites and runs again and again; what has not changed stays as it is.
#[cfg(feature = "hydrate")]
fn follow(overview: RwSignal<Overview>, shown: Shown, following: RwSignal<Following>) {
    use crate::quality::{Checkpoints, RUNS, Runs, Suites, refresh};
    let list = format!("/api/v1/validations?limit={RUNS}&failed={}", shown == Shown::Failed);
    Effect::new(move |_| following.set(Following::Yes));
    refresh::repeat(move || {
        let list = list.clone();
        async move {
            let (suites, runs) =
                (refresh::fetch::<Suites>("/api/v1/validations/suites").await, refresh::fetch::<Runs>(&list).await);
            let checkpoints = refresh::fetch::<Checkpoints>("/api/v1/checkpoints").await;
            let (Some(suites), Some(runs), Some(checkpoints)) = (suites, runs, checkpoints) else {
                following.try_set(Following::Lost);
                return;
            };
            following.try_set(Following::Yes);
            let now = Overview { suites, checkpoints, runs };
            if overview.try_with_untracked(|before| *before != now) == Some(true) {
                overview.try_set(now);
            }
        }
    });
}
