use crate::{
    quality::{Run, run_path},
    query::Theme,
};
use leptos::prelude::*;

/// Tells of a newer run of the same suite, once there is one; what is being read stays where it is.
#[component]
pub fn NewerRun(run: Run, theme: Memo<Theme>) -> impl IntoView {
    let newest = RwSignal::new(None::<Run>);
    #[cfg(feature = "hydrate")]
    follow(run, newest);
    #[cfg(not(feature = "hydrate"))]
    drop(run);
    view! {
        <p class="newer-run" role="status">
            {move || {
                newest
                    .get()
                    .map(|run| {
                        let path = run_path(run.run_id);
                        view! {
                            <a href=move || theme.get().link(&path) rel="external">"Run "{run.run_id}</a>
                            " is newer: "
                            {run.score()}
                        }
                    })
            }}
        </p>
    }
}

#[cfg(feature = "hydrate")]
fn follow(shown: Run, newest: RwSignal<Option<Run>>) {
    use crate::quality::{Suites, refresh};
    refresh::repeat(move || {
        let (suite, run_id) = (shown.suite.clone(), shown.run_id);
        async move {
            let Some(Suites { suites }) = refresh::fetch("/api/v1/validations/suites").await else { return };
            let newer = suites.into_iter().find(|run| run.suite == suite && run.run_id > run_id);
            if newer.is_some() {
                newest.try_set(newer);
            }
        }
    });
}
