use super::quality::Trouble;
use crate::{
    components::{FindingGroups, NewerRun, Nothing, ReportPage, ShownSwitch, VerdictMark, cause},
    format,
    quality::{
        Finding, PATH, RunReport, Shown, Verdict,
        load::{self, Loaded},
        run_path, suite_path,
    },
    query::Theme,
};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};

/// One run of a suite: its statistics, and what became of each expectation.
#[component]
pub fn QualityRun() -> impl IntoView {
    let (query, params) = (use_query_map(), use_params_map());
    let theme = Memo::new(move |_| query.with(|query| Theme::parse(query.get_str("theme"))));
    let shown = query.with_untracked(|query| Shown::parse(query.get_str("show")));
    let run_id = params.with_untracked(|params| params.get("id").and_then(|id| id.parse::<i64>().ok()));
    let page = Resource::new_blocking(|| (), move |()| load::run(run_id));
    let path = Signal::derive(move || shown.link(&run_path(run_id.unwrap_or_default())));
    let title = run_id.map_or_else(|| "No run".to_owned(), |run_id| format!("Run {run_id}"));
    view! {
        <Title text=title />
        <ReportPage theme link=move |theme: Theme| path.with(|path| theme.link(path)) current=PATH>
            <Suspense fallback=|| view! { <p class="report-lead">"…"</p> }>
                {move || Suspend::new(async move {
                    match page.await {
                        Loaded::Ready(report) => view! { <Report report theme shown /> }.into_any(),
                        Loaded::Missing => view! { <NoRun theme /> }.into_any(),
                        Loaded::Trouble(why) => {
                            view! {
                                <h1>"Run"</h1>
                                <Trouble why theme />
                            }
                                .into_any()
                        }
                    }
                })}
            </Suspense>
        </ReportPage>
    }
}

#[component]
fn NoRun(theme: Memo<Theme>) -> impl IntoView {
    view! {
        <h1>"There is no such run."</h1>
        <Nothing title="Its number is wrong, or it is so old that it was forgotten.">
            <p><a href=move || theme.get().link(PATH) rel="external">"All suites and runs"</a></p>
        </Nothing>
    }
}

#[component]
fn Report(report: RunReport, theme: Memo<Theme>, shown: Shown) -> impl IntoView {
    let RunReport { run, findings } = report;
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let statistics = [
        ("Met", count(Verdict::Met).to_string()),
        ("Not met", count(Verdict::Unmet).to_string()),
        ("Could not be evaluated", count(Verdict::CouldNot).to_string()),
        ("Table", run.asset.clone()),
        ("Took", format::seconds(run.finished_at - run.started_at)),
        ("Why", cause(&run.cause)),
    ];
    let verdict = run.verdict();
    let all = findings.len();
    let failed = all - count(Verdict::Met);
    let findings: Vec<Finding> = match shown {
        Shown::All => findings,
        Shown::Failed => findings.into_iter().filter(|finding| finding.verdict != Verdict::Met).collect(),
    };
    let path = run_path(run.run_id);
    let suite = suite_path(&run.suite);
    let api = format!("/api/v1/validations/{}", run.run_id);
    view! {
        <p class="report-trail">
            <a href=move || theme.get().link(PATH) rel="external">"Data quality"</a>
            " / "
            <a href=move || theme.get().link(&suite) rel="external">{run.suite.clone()}</a>
        </p>
        <h1>"Run "{run.run_id}" of "{run.suite.clone()}</h1>
        <p class="report-lead">
            <VerdictMark verdict />
            " "
            {run.score()}
            ", "
            <time datetime=run.started_at.to_rfc3339()>{format::full_instant(run.started_at)}</time>
        </p>
        <NewerRun run=run.clone() theme />
        <dl class="statistics">
            {statistics
                .map(|(name, value)| {
                    view! {
                        <div>
                            <dt>{name}</dt>
                            <dd>{value}</dd>
                        </div>
                    }
                })
                .into_iter()
                .collect_view()}
        </dl>
        <div class="report-bar">
            <h2>"Expectations"</h2>
            <ShownSwitch shown theme path label="Expectations shown" counts=[all, failed] />
            <a class="report-source" href=api rel="external">"Great Expectations' result JSON"</a>
        </div>
        {if findings.is_empty() {
            view! { <p class="report-none">{if all == 0 { "The suite expects nothing." } else { "Everything is met." }}</p> }
                .into_any()
        } else {
            view! { <FindingGroups findings /> }.into_any()
        }}
    }
}
