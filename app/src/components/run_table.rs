use super::VerdictMark;
use crate::{
    format,
    quality::{Run, run_path, suite_path},
    query::Theme,
};
use leptos::prelude::*;

/// Runs as rows: whether they are met, of which suite, when and why.
#[component]
pub fn RunTable(
    #[prop(into)] runs: Signal<Vec<Run>>,
    theme: Memo<Theme>,
    /// What the table lists, for those who hear it.
    caption: &'static str,
) -> impl IntoView {
    let row = move |run: Run| {
        let verdict = run.verdict();
        let (run_link, suite_link) = (run_path(run.run_id), suite_path(&run.suite));
        let started = format::full_instant(run.started_at);
        view! {
            <tr>
                <th scope="row">
                    <a href=move || theme.get().link(&run_link) rel="external">"Run "{run.run_id}</a>
                </th>
                <td><VerdictMark verdict /></td>
                <td class="run-score">{run.met}" of "{run.evaluated}</td>
                <td class="run-suite"><a href=move || theme.get().link(&suite_link) rel="external">{run.suite}</a></td>
                <td class="run-wide">{run.asset}</td>
                <td><time datetime=run.started_at.to_rfc3339()>{started}</time></td>
                <td class="run-wide">{format::seconds(run.finished_at - run.started_at)}</td>
                <td class="run-wide">{cause(&run.cause)}</td>
            </tr>
        }
    };
    view! {
        <div class="run-table" tabindex="0" role="region" aria-label=caption>
            <table>
                <caption class="sr-only">{caption}</caption>
                <thead>
                    <tr>
                        <th scope="col">"Run"</th>
                        <th scope="col">"Result"</th>
                        <th scope="col">"Met"</th>
                        <th scope="col">"Suite"</th>
                        <th scope="col" class="run-wide">"Table"</th>
                        <th scope="col">"Started"</th>
                        <th scope="col" class="run-wide">"Took"</th>
                        <th scope="col" class="run-wide">"Why"</th>
                    </tr>
                </thead>
                <tbody>{move || runs.get().into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}

/// Why a suite was run, in words.
pub fn cause(name: &str) -> String {
    match name {
        "schedule" => "on schedule".to_owned(),
        "demand" => "on demand".to_owned(),
        "window" => "a window was over".to_owned(),
        other => other.to_owned(),
    }
}
