//! What handlers share.

use super::{Catalogue, Gate, Limits, Replays, RequestRate};
use crate::{config::ControlToken, feed::Feed, pipeline::Controls, store::Store};
use axum::extract::FromRef;
use leptos::config::LeptosOptions;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;

/// Cheap to clone; each part can be extracted on its own, and so can the store.
#[derive(Clone, FromRef)]
pub struct AppState {
    /// The live feed, and with it the store, the pipeline's status and the kind of source.
    pub feed: Feed,
    pub leptos_options: LeptosOptions,
    pub metrics: PrometheusHandle,
    /// Pauses, resumes and drains the pipeline of this process.
    pub controls: Controls,
    /// Who may give orders.
    pub gate: Gate,
    pub catalogue: Catalogue,
    pub replays: Replays,
    pub limits: Arc<Limits>,
    /// `None`: any number of requests.
    pub rate: Option<RequestRate>,
}

impl AppState {
    pub fn new(feed: Feed, leptos_options: LeptosOptions, metrics: PrometheusHandle, controls: Controls) -> Self {
        let catalogue = Catalogue::new(feed.store.clone());
        let (gate, replays, limits) = (Gate::new(None), Replays::default(), Arc::default());
        Self { feed, leptos_options, metrics, controls, gate, catalogue, replays, limits, rate: None }
    }

    /// With what each caller is allowed; without, only time is limited.
    pub fn limited(self, limits: &Limits) -> Self {
        Self { limits: Arc::new(limits.clone()), rate: RequestRate::new(limits), ..self }
    }

    /// With the control endpoints open to whoever has the token; without it they are closed.
    pub fn controlled_by(self, token: Option<&ControlToken>) -> Self {
        Self { gate: Gate::new(token), ..self }
    }
}

impl FromRef<AppState> for Store {
    fn from_ref(state: &AppState) -> Self {
        state.feed.store.clone()
    }
}
