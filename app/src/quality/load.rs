//! The content of the quality pages: asked for by the server while it renders, carried in the page, and taken over by
//! the browser.

use super::{BarFindings, FindingsAsked, Overview, RunReport, Shown, SuiteReport};
use serde::{Deserialize, Serialize};
use std::future::Future;

/// What a page has to show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Loaded<T> {
    Ready(T),
    /// There is no such thing; the server answers with status 404.
    Missing,
    /// Why there is nothing, for people.
    Trouble(String),
}

#[cfg(feature = "ssr")]
mod ask {
    use super::Loaded;
    use crate::backend::{Absent, Answer, Backend, Failed, Unavailable};
    use leptos::prelude::use_context;
    use std::{future::Future, sync::Arc};

    /// Asks the backend. Never fails: a page without data says why.
    pub(super) fn ask<T: Send + 'static>(
        question: impl for<'a> FnOnce(&'a dyn Backend) -> Answer<'a, Option<T>> + Send + 'static,
    ) -> impl Future<Output = Loaded<T>> + Send {
        let backend = use_context::<Arc<dyn Backend>>();
        let (absent, failed) = (use_context::<Absent>(), use_context::<Failed>());
        async move {
            let Some(backend) = backend else {
                return Loaded::Trouble("The server has no data source.".to_owned());
            };
            match question(backend.as_ref()).await {
                Ok(Some(content)) => Loaded::Ready(content),
                Ok(None) => {
                    if let Some(Absent(tell)) = absent {
                        tell();
                    }
                    Loaded::Missing
                }
                Err(Unavailable(why)) => {
                    if let Some(Failed(tell)) = failed {
                        tell(&why);
                    }
                    Loaded::Trouble(why)
                }
            }
        }
    }
}

/// Suites and runs; `cursor`: where the page before ended.
#[cfg(feature = "ssr")]
pub fn overview(shown: Shown, cursor: Option<String>) -> impl Future<Output = Loaded<Overview>> + Send {
    ask::ask(move |backend| backend.quality(shown, cursor))
}

/// What the rules over several bars found.
#[cfg(feature = "ssr")]
pub fn bar_findings(asked: FindingsAsked) -> impl Future<Output = Loaded<BarFindings>> + Send {
    ask::ask(move |backend| backend.bar_findings(asked))
}

#[cfg(feature = "ssr")]
pub fn run(run_id: Option<i64>) -> impl Future<Output = Loaded<RunReport>> + Send {
    ask::ask(move |backend| match run_id {
        Some(run_id) => backend.quality_run(run_id),
        None => Box::pin(std::future::ready(Ok(None))),
    })
}

#[cfg(feature = "ssr")]
pub fn suite(name: String) -> impl Future<Output = Loaded<SuiteReport>> + Send {
    ask::ask(move |backend| backend.quality_suite(name))
}

/// In the browser a page is there with its content; every link to another one asks the server.
#[cfg(not(feature = "ssr"))]
fn rendered_elsewhere<T: Send>() -> impl Future<Output = Loaded<T>> + Send {
    std::future::ready(Loaded::Trouble("Load this page again to see what it has to show.".to_owned()))
}

#[cfg(not(feature = "ssr"))]
pub fn overview(_shown: Shown, _cursor: Option<String>) -> impl Future<Output = Loaded<Overview>> + Send {
    rendered_elsewhere()
}

#[cfg(not(feature = "ssr"))]
pub fn bar_findings(_asked: FindingsAsked) -> impl Future<Output = Loaded<BarFindings>> + Send {
    rendered_elsewhere()
}

#[cfg(not(feature = "ssr"))]
pub fn run(_run_id: Option<i64>) -> impl Future<Output = Loaded<RunReport>> + Send {
    rendered_elsewhere()
}

#[cfg(not(feature = "ssr"))]
pub fn suite(_name: String) -> impl Future<Output = Loaded<SuiteReport>> + Send {
    rendered_elsewhere()
}
