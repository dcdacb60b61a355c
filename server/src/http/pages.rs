//! Pages, rendered here first and then hydrated in the browser, and the files they need.

use super::{
    AppState, Catalogue, data_docs, error, findings, freshness::FreshnessView, pipeline_view::PipelineView, provenance,
    quarantine_pages, reactive::keep_apart,
};
use crate::{
    checkpoint::Runner,
    pipeline::{RecordSuites, StatusHandle},
    store::{BarsQuery, ReadError, Store},
};
use app::{
    backend::{Absent, Answer, Backend, Failed, Unavailable},
    freshness::History,
    pipeline::Pipeline,
    quality::{BarFindings, Exported, FindingsAsked, Overview, RunReport, Shown, SuiteReport},
    quarantine::{RecordAddress, RefusedList, RefusedRecord},
};
use axum::{
    Router,
    extract::Request,
    handler::Handler,
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::{DateTime, Utc};
use leptos::{config::LeptosOptions, context::provide_context, nonce::use_nonce, prelude::use_context};
use leptos_axum::{
    AxumRouteListing, LeptosRoutes, ResponseOptions, file_and_error_handler_with_context, generate_route_list,
};
use market::{
    Bar, Stats, Symbol, Timeframe,
    watchlist::{MAX_WATCHED, Watchlist},
    wire::{ServerMessage, SourceKind, SourceMode, SymbolInfo},
};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::{Arc, LazyLock};
use tower_http::services::ServeDir;

/// The longest path, and the longest name in it, that are looked for; Linux has no longer names.
const MAX_PATH: usize = 1024;
const MAX_NAME: usize = 255;

/// The addresses of the pages. Leptos finds them by a run of the app in which nothing is loaded, and so long nothing is
/// loaded in the whole process: a page that was being rendered then would wait for ever. So it is done once, before the
/// first page.
fn paths() -> Vec<AxumRouteListing> {
    static PATHS: LazyLock<Vec<AxumRouteListing>> = LazyLock::new(|| generate_route_list(app::App));
    PATHS.clone()
}

/// The pages, and as fallback the files of the site and a page that says there is none.
pub fn routes(state: &AppState) -> Router<AppState> {
    let backend: Arc<dyn Backend> = Arc::new(PageBackend::new(state));
    let context = move || {
        provide_context(Arc::clone(&backend));
        provide_absence();
        allow_own_scripts();
    };
    let options = state.leptos_options.clone();

    let missing = file_and_error_handler_with_context::<AppState, _>(context.clone(), app::shell);
    let files = ServeDir::new(options.site_root.as_ref())
        .append_index_html_on_directories(false)
        .precompressed_br()
        .precompressed_gzip()
        .fallback(missing.with_state(state.clone()));

    Router::new()
        .leptos_routes_with_context(state, paths(), context, move || app::shell(options.clone()))
        .route("/bars/{symbol}/{time}/provenance", get(provenance::tell_provenance))
        .fallback_service(files)
        .layer(middleware::from_fn(keep_apart))
        .layer(middleware::from_fn(let_the_service_worker_fetch))
        .layer(middleware::from_fn(refuse_unnameable))
}

/// The pages of data docs as they are written to files: rendered from the store alone, with nothing else around them.
/// `failed` hears of each that has no data; `dashboard`: where people find the server, if they can.
pub fn data_docs_pages(store: Store, dashboard: Option<&str>, failed: Failed) -> Router {
    let backend: Arc<dyn Backend> = Arc::new(PageBackend {
        catalogue: Catalogue::new(store.clone()),
        runner: Runner::new(store.clone(), Vec::new()),
        store,
        source: SourceKind { mode: SourceMode::Live, simulated: false, speed: None },
        control: false,
        status: None,
        suites: RecordSuites::default(),
        budget_ms: 0,
    });
    let exported = Exported { server: dashboard.map(Arc::from) };
    let context = move || {
        provide_context(Arc::clone(&backend));
        provide_context(failed.clone());
        provide_context(exported.clone());
        provide_absence();
    };
    let options = LeptosOptions::builder().output_name("stockstream").build();
    let shell = {
        let options = options.clone();
        move || app::shell(options.clone())
    };
    Router::new()
        .leptos_routes_with_context(&options, paths(), context, shell)
        .layer(middleware::from_fn(keep_apart))
        .with_state(options)
}

/// A name that no file can have is a name of nothing; the file system would call it an error.
async fn refuse_unnameable(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.len() > MAX_PATH || path.split('/').any(|name| name.len() > MAX_NAME) {
        return error::not_found(request.uri().clone()).await.into_response();
    }
    next.run(request).await
}

/// What the service worker may do is told with its script: other files do nothing.
async fn let_the_service_worker_fetch(request: Request, next: Next) -> Response {
    let is_worker = request.uri().path() == "/sw.js";
    let mut response = next.run(request).await;
    if is_worker {
        let policy = HeaderValue::from_static("default-src 'none'; connect-src 'self'; frame-ancestors 'none'");
        response.headers_mut().entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    }
    response
}

/// A page without anything at its address is answered with 404, and is a page all the same.
fn provide_absence() {
    if let Some(response) = use_context::<ResponseOptions>() {
        provide_context(Absent(Arc::new(move || response.set_status(StatusCode::NOT_FOUND))));
    }
}

/// A page may load from its own server only, and run only the scripts that the server put into it.
fn allow_own_scripts() {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else {
        return;
    };
    let policy = format!(
        "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self' 'nonce-{nonce}'; \
         img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// What the pages are rendered from: the same answers as the API's and the live feed's.
pub struct PageBackend {
    store: Store,
    catalogue: Catalogue,
    runner: Runner,
    source: SourceKind,
    /// Whether orders are taken at all.
    control: bool,
    /// `None` where there is no pipeline.
    status: Option<StatusHandle>,
    /// The suites that records are held to.
    suites: RecordSuites,
    budget_ms: u32,
}

impl PageBackend {
    pub fn new(state: &AppState) -> Self {
        Self {
            store: state.feed.store.clone(),
            catalogue: state.catalogue.clone(),
            runner: state.runner.clone(),
            source: state.feed.source.clone(),
            control: state.gate.is_open(),
            status: Some(state.feed.status.clone()),
            suites: state.suites.clone(),
            budget_ms: state.feed.budget_ms,
        }
    }
}

/// What a visitor is told; the log has the rest.
pub(super) fn explain(error: ReadError) -> Unavailable {
    if error.is_outage() {
        tracing::warn!(%error, "a page is rendered without data");
        Unavailable("The database does not answer; trying again.".to_owned())
    } else {
        tracing::error!(?error, "a page is rendered without data");
        Unavailable("The server could not read the data; its log says why.".to_owned())
    }
}

/// An answer of the API as its page reads it.
fn reread<T: DeserializeOwned>(answer: &impl Serialize) -> Result<T, Unavailable> {
    serde_json::to_value(answer).and_then(serde_json::from_value).map_err(|error| {
        tracing::error!(%error, "a page cannot read the API's answer");
        Unavailable("The server could not put this page together; its log says why.".to_owned())
    })
}

/// The same of data docs.
fn explain_docs(error: data_docs::Unread) -> Unavailable {
    match error {
        data_docs::Unread::Store(error) => explain(error),
        data_docs::Unread::Form(run_id) => {
            tracing::error!(%error, "a page is rendered without data");
            Unavailable(format!(
                "Run {run_id} was recorded in a form that this version cannot read; the API has it as it is."
            ))
        }
    }
}

impl Backend for PageBackend {
    fn symbols(&self) -> Answer<'_, Vec<SymbolInfo>> {
        Box::pin(async { self.catalogue.symbols().await.map(|symbols| symbols.to_vec()).map_err(explain) })
    }

    fn snapshot(&self, symbol: Symbol, timeframe: Timeframe, bars: u32) -> Answer<'_, ServerMessage> {
        Box::pin(async move {
            let (seq, bars) = self.store.snapshot(&symbol, timeframe, bars).await.map_err(explain)?;
            let stats = Stats::of(&bars);
            Ok(ServerMessage::Snap { symbol, timeframe, seq, bars, stats })
        })
    }

    fn bars(
        &self,
        symbol: Symbol,
        timeframe: Timeframe,
        start: Option<DateTime<Utc>>,
        end: DateTime<Utc>,
        limit: u32,
    ) -> Answer<'_, Vec<Bar>> {
        Box::pin(async move {
            let query = BarsQuery { symbol, timeframe, start, end: Some(end), limit, descending: true, after: None };
            let mut bars = self.store.bars(&query).await.map_err(explain)?;
            bars.reverse();
            Ok(bars)
        })
    }

    fn source(&self) -> SourceKind {
        self.source.clone()
    }

    fn watchlist(&self) -> Answer<'_, Watchlist> {
        Box::pin(async { self.store.watchlist(None, MAX_WATCHED as u32).await.map_err(explain) })
    }

    fn pipeline(&self) -> Answer<'_, Pipeline> {
        Box::pin(async {
            let Some(status) = &self.status else { return Err(Unavailable("There is no pipeline here.".to_owned())) };
            reread(&PipelineView::of(&self.store, status, self.control).await)
        })
    }

    fn freshness(&self) -> Answer<'_, History> {
        Box::pin(async {
            let view = FreshnessView::of(&self.store, &self.source, self.budget_ms, Utc::now()).await;
            reread(&view.map_err(explain)?)
        })
    }

    fn quarantine(&self, query: String) -> Answer<'_, RefusedList> {
        Box::pin(async move { quarantine_pages::list(&self.store, &self.suites, &query, self.control).await })
    }

    fn refused(&self, address: RecordAddress) -> Answer<'_, Option<RefusedRecord>> {
        Box::pin(quarantine_pages::record(&self.store, &self.suites, address, self.control))
    }

    fn quality(&self, shown: Shown, cursor: Option<String>) -> Answer<'_, Option<Overview>> {
        Box::pin(async move {
            data_docs::overview(&self.store, &self.runner, shown, cursor.as_deref()).await.map_err(explain_docs)
        })
    }

    fn bar_findings(&self, asked: FindingsAsked) -> Answer<'_, Option<BarFindings>> {
        Box::pin(async move { findings::of_page(&self.store, &asked).await.map_err(explain) })
    }

    fn quality_run(&self, run_id: i64) -> Answer<'_, Option<RunReport>> {
        Box::pin(async move { data_docs::run_report(&self.store, run_id).await.map_err(explain_docs) })
    }

    fn quality_suite(&self, name: String) -> Answer<'_, Option<SuiteReport>> {
        Box::pin(async move {
            let report = data_docs::suite_report(&self.store, &self.runner, &name).await.map_err(explain_docs)?;
            Ok(report.map(|report| SuiteReport { control: self.control, ..report }))
        })
    }
}
