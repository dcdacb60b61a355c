//! Data docs as files: the pages of `/quality`, as a site that needs no server, no script and nothing from elsewhere.
//!
//! Pages are asked for at their addresses, from the newest list on, link by link, and each link becomes the name of a
//! file. What the pages show is the business of `app`, and how a page becomes a file that of [`page`].

mod page;
mod target;

pub use target::{Target, TargetError};

use crate::{
    http,
    store::{ReadError, Store},
};
use app::backend::Failed;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use bytes::Bytes;
use std::{
    collections::{HashSet, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Where a reader begins.
const START: &str = "/quality";
/// Where the result of a run is linked as JSON.
const RESULTS: &str = "/api/v1/validations/";
const STYLESHEET: &str = "/pkg/stockstream.css";
const ICON: &str = "/favicon.svg";
/// Uploads at the same time.
const AT_ONCE: usize = 8;
/// The longest name of a file, but for its ending, that is not shortened.
const LONGEST_NAME: usize = 120;

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] ReadError),
    #[error("{link} cannot be rendered: {why}")]
    Page { link: String, why: String },
    #[error(
        "cannot read {path}, which the pages need; name the directory with the built browser files in --site-root: {error}"
    )]
    Asset { path: PathBuf, error: io::Error },
    #[error("cannot write {name}: {error}")]
    Write { name: String, error: object_store::Error },
}

/// Writes every suite and every run that is kept; `index.html` is the first page. Files of the same names are replaced,
/// and others stay. Gives back the number of pages.
///
/// A file is written after those that it links to, and `index.html` last: an export that ends half-way leaves the site as
/// it was before, or none.
///
/// # Errors
/// The store does not answer, a page cannot be rendered, a file of `site_root` is missing, or one cannot be written.
pub async fn export(
    store: &Store,
    dashboard: Option<&str>,
    site_root: &Path,
    target: &Target,
) -> Result<usize, ExportError> {
    let mut uploads = Uploads { target: target.clone(), under_way: JoinSet::new() };
    for (name, content) in assets(site_root)? {
        uploads.put(name, content).await?;
    }
    let renderer = Renderer::new(store, dashboard);
    let (mut waiting, mut known) = (VecDeque::from([START.to_owned()]), HashSet::from([START.to_owned()]));
    let (mut pages, mut lists) = (0, Vec::new());
    while let Some(link) = waiting.pop_front() {
        let Some(name) = file_name(&link) else { continue };
        let content = match link.strip_prefix(RESULTS) {
            Some(run_id) => result(store, run_id).await?,
            None => {
                pages += 1;
                let html = renderer.render(&link).await?;
                let up = if name.contains('/') { "../" } else { "" };
                page::rewrite(&html, |to| {
                    let name = file_name(to)?;
                    if !is_asset(to) && known.insert(to.to_owned()) {
                        waiting.push_back(to.to_owned());
                    }
                    Some(format!("{up}{name}"))
                })
            }
        };
        if name.starts_with("runs/") {
            uploads.put(name, content.into()).await?;
        } else {
            lists.push((name, content));
        }
    }
    uploads.finish().await?;
    // Suites before the lists that link to them, and the first page last.
    lists.sort_by_key(|(name, _)| (name == "index.html", !name.contains('/')));
    for (name, content) in lists {
        write(target, &name, content.into()).await?;
    }
    Ok(pages)
}

/// Files on their way.
struct Uploads {
    target: Target,
    under_way: JoinSet<Result<(), ExportError>>,
}

impl Uploads {
    async fn put(&mut self, name: String, content: Bytes) -> Result<(), ExportError> {
        if self.under_way.len() >= AT_ONCE {
            self.one_ended().await?;
        }
        let target = self.target.clone();
        self.under_way.spawn(async move { write(&target, &name, content).await });
        Ok(())
    }

    async fn finish(mut self) -> Result<(), ExportError> {
        while !self.under_way.is_empty() {
            self.one_ended().await?;
        }
        Ok(())
    }

    async fn one_ended(&mut self) -> Result<(), ExportError> {
        match self.under_way.join_next().await {
            Some(ended) => ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())),
            None => Ok(()),
        }
    }
}

async fn write(target: &Target, name: &str, content: Bytes) -> Result<(), ExportError> {
    target.put(name, content).await.map_err(|error| ExportError::Write { name: target.show(name), error })
}

fn is_asset(link: &str) -> bool {
    [STYLESHEET, ICON].contains(&link)
}

/// The file that stands for a link; `None` for what is no part of the site.
fn file_name(link: &str) -> Option<String> {
    match link {
        STYLESHEET => return Some("style.css".to_owned()),
        ICON => return Some("favicon.svg".to_owned()),
        _ => {}
    }
    if let Some(run_id) = link.strip_prefix(RESULTS) {
        return run_id.parse::<i64>().is_ok().then(|| format!("runs/{run_id}.json"));
    }
    let (path, query) = link.split_once('?').unwrap_or((link, ""));
    let (folder, name) = match path.strip_prefix(START)? {
        "" => ("", "index"),
        below => below.strip_prefix('/')?.split_once('/')?,
    };
    if name.contains('/') || !["", "runs", "suites"].contains(&folder) {
        return None;
    }
    // Percent signs in names of files would have to be escaped once more in every link.
    let mut name = name.replace('%', "=");
    if !query.is_empty() {
        name.push('-');
        name.extend(query.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' }));
    }
    if name.len() > LONGEST_NAME {
        let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
        let short: String = name.chars().take(LONGEST_NAME - 17).collect();
        name = format!("{short}-{hash:016x}");
    }
    Some(if folder.is_empty() { format!("{name}.html") } else { format!("{folder}/{name}.html") })
}

/// A run's result as Great Expectations writes it.
async fn result(store: &Store, run_id: &str) -> Result<String, ExportError> {
    let missing = || ExportError::Page { link: format!("{RESULTS}{run_id}"), why: "there is no such run".to_owned() };
    let id = run_id.parse().map_err(|_| missing())?;
    let (_, result) = store.validation_run(id).await?.ok_or_else(missing)?;
    Ok(format!("{result:#}\n"))
}

/// Renders pages from the store alone.
struct Renderer {
    router: Router,
    /// Why the page that was rendered last has no data.
    failure: Arc<Mutex<Option<String>>>,
}

impl Renderer {
    fn new(store: &Store, dashboard: Option<&str>) -> Self {
        let failure = Arc::new(Mutex::new(None));
        let told = Arc::clone(&failure);
        let failed = Failed(Arc::new(move |why: &str| {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
        }));
        Self { router: http::data_docs_pages(store.clone(), dashboard, failed), failure }
    }

    async fn render(&self, link: &str) -> Result<String, ExportError> {
        let refused = |why: String| ExportError::Page { link: link.to_owned(), why };
        let request = Request::get(link).body(Body::empty()).map_err(|error| refused(error.to_string()))?;
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.map_err(|error| refused(error.to_string()))?;
        if let Some(why) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(refused(why));
        }
        if head.status != StatusCode::OK {
            return Err(refused(format!("status {}", head.status)));
        }
        String::from_utf8(bytes.into()).map_err(|error| refused(error.to_string()))
    }
}

/// The stylesheet, its fonts and the icon.
fn assets(site_root: &Path) -> Result<Vec<(String, Bytes)>, ExportError> {
    let read = |path: PathBuf| std::fs::read(&path).map_err(|error| ExportError::Asset { path, error });
    let stylesheet = read(site_root.join("pkg/stockstream.css"))?;
    let stylesheet = String::from_utf8_lossy(&stylesheet).replace("/fonts/", "fonts/");
    let mut assets = vec![("style.css".to_owned(), stylesheet.into())];
    assets.push(("favicon.svg".to_owned(), read(site_root.join("favicon.svg"))?.into()));
    let fonts = site_root.join("fonts");
    let unread = |error| ExportError::Asset { path: fonts.clone(), error };
    for font in std::fs::read_dir(&fonts).map_err(unread)? {
        let font = font.map_err(unread)?;
        let name = format!("fonts/{}", font.file_name().to_string_lossy());
        assets.push((name, read(font.path())?.into()));
    }
    Ok(assets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_has_a_file_of_its_own_and_other_pages_have_none() {
        for (link, file) in [
            ("/quality", Some("index.html")),
            ("/quality?show=failed", Some("index-show-failed.html")),
            ("/quality/runs/5", Some("runs/5.html")),
            ("/quality/runs/5?show=failed", Some("runs/5-show-failed.html")),
            ("/quality/suites/a%2Fb", Some("suites/a=2Fb.html")),
            ("/api/v1/validations/5", Some("runs/5.json")),
            ("/api/v1/validations/suites", None),
            ("/quality/../secret", None),
            ("/dashboard", None),
            ("#group-1", None),
        ] {
            assert_eq!(file_name(link).as_deref(), file, "{link}");
        }
        let long = |end: &str| file_name(&format!("/quality/suites/{}{end}", "%E2%82%AC".repeat(80))).unwrap();
        assert!(long("a").len() < 200);
        assert_ne!(long("a"), long("b"));
    }
}
