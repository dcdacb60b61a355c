use super::quality::Trouble;
use crate::{
    components::{FindingGroups, NewerRun, Nothing, ReportPage, RunNow, RunTable, VerdictMark},
    format,
    quality::{
        PATH, Run, RunReport, SuiteReport,
        load::{self, Loaded},
        run_path, suite_path,
    },
    query::Theme,
};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};

/// One suite: what it checks, how that stands, and its runs.
#[component]
pub fn QualitySuite() -> impl IntoView {
    let (query, params) = (use_query_map(), use_params_map());
    let theme = Memo::new(move |_| query.with(|query| Theme::parse(query.get_str("theme"))));
    let name = params.with_untracked(|params| params.get("name").unwrap_or_default());
    let path = StoredValue::new(suite_path(&name));
    let path = Signal::derive(move || path.get_value());
    let page = {
        let name = name.clone();
        Resource::new_blocking(|| (), move |()| load::suite(name.clone()))
    };
    view! {
        <Title text=name.clone() />
        <ReportPage theme link=move |theme: Theme| path.with(|path| theme.link(path)) current=PATH>
            <p class="report-trail">
                <a href=move || theme.get().link(PATH) rel="external">"Data quality"</a>
            </p>
            <h1>{name}</h1>
            <Suspense fallback=|| view! { <p class="report-lead">"…"</p> }>
                {move || Suspend::new(async move {
                    match page.await {
                        Loaded::Ready(report) => view! { <Report report theme /> }.into_any(),
                        Loaded::Missing => {
                            view! {
                                <Nothing title="No suite of this name was ever run, or is to be.">
                                    <p><a href=move || theme.get().link(PATH) rel="external">"All suites and runs"</a></p>
                                </Nothing>
                            }
                                .into_any()
                        }
                        Loaded::Trouble(why) => view! { <Trouble why theme /> }.into_any(),
                    }
                })}
            </Suspense>
        </ReportPage>
    }
}

#[component]
fn Report(report: SuiteReport, theme: Memo<Theme>) -> impl IntoView {
    let SuiteReport { latest, expects, remarks, runs, checkpoints, control } = report;
    let has_more = runs.next_cursor.is_some();
    let rows = runs.runs;
    let shown = rows.len();
    let (lead, findings) = match latest {
        Some(RunReport { run, findings }) => (view! { <Newest run theme /> }.into_any(), findings),
        None => (view! { <p class="report-lead">"It was not run yet."</p> }.into_any(), Vec::new()),
    };
    let checks = if !findings.is_empty() {
        view! { <FindingGroups findings /> }.into_any()
    } else if !expects.is_empty() {
        let sentences = expects.into_iter().map(|sentence| view! { <li>{sentence}</li> }).collect_view();
        view! { <ul class="expects">{sentences}</ul> }.into_any()
    } else {
        view! { <p class="report-none">"The suite expects nothing."</p> }.into_any()
    };
    view! {
        {lead}
        <RunNow checkpoints control theme />
        <h2 class="report-heading">"What it checks"</h2>
        {(!remarks.is_empty())
            .then(|| {
                view! {
                    <ul class="remarks" aria-label="Worth knowing">
                        {remarks.into_iter().map(|remark| view! { <li class="finding-remark">{remark}</li> }).collect_view()}
                    </ul>
                }
            })}
        {checks}
        {(shown > 0)
            .then(|| {
                view! {
                    <section class="report-section" aria-labelledby="runs-title">
                        <h2 id="runs-title">"Its runs"</h2>
                        <RunTable runs=Signal::stored(rows) theme caption="Runs of this suite, the newest first" />
                        {has_more.then(|| view! { <p class="report-more">{format!("The newest {shown}.")}</p> })}
                    </section>
                }
            })}
    }
}

/// How the suite stands, by its newest run.
#[component]
fn Newest(run: Run, theme: Memo<Theme>) -> impl IntoView {
    let newest = run_path(run.run_id);
    view! {
        <p class="report-lead">
            <VerdictMark verdict=run.verdict() />
            " "
            {run.score()}
            " in its newest run, "
            <a href=move || theme.get().link(&newest) rel="external">"run "{run.run_id}</a>
            " of "
            {run.asset.clone()}
            ", "
            <time datetime=run.started_at.to_rfc3339()>{format::full_instant(run.started_at)}</time>
        </p>
        <NewerRun run theme />
    }
}
