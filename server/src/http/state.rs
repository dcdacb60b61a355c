//! What handlers share.

use super::{Catalogue, Gate, Limits, Replays, RequestRate};
use crate::{
    checkpoint::Runner,
    config::ControlToken,
    feed::Feed,
    pipeline::{Controls, RecordSuites},
    provenance::Archive,
    store::Store,
};
use axum::extract::FromRef;
use leptos::config::LeptosOptions;
use metrics_exporter_prometheus::PrometheusHandle;
use quality::pack::Pack;
use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// One pointer to all [`Parts`], because axum copies it several times for each request. Each part can be extracted on its
/// own, and so can the store.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for AppState {
    /// Changes this state and no copy of it.
    fn deref_mut(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.0)
    }
}

/// Each of them cheap to clone.
#[derive(Clone)]
pub struct Parts {
    /// The live feed, and with it the store, the pipeline's status and the kind of source.
    pub feed: Feed,
    pub leptos_options: LeptosOptions,
    pub metrics: PrometheusHandle,
    /// Pauses, resumes and drains the pipeline of this process.
    pub controls: Controls,
    /// Who may give orders.
    pub gate: Gate,
    pub catalogue: Catalogue,
    /// Runs expectation suites when somebody asks.
    pub runner: Runner,
    /// The records as Kafka still has them.
    pub archive: Archive,
    pub replays: Replays,
    pub limits: Arc<Limits>,
    /// `None`: any number of requests.
    pub rate: Option<RequestRate>,
    /// The suites that records are held to.
    pub suites: RecordSuites,
    /// The rules over several bars that are asked.
    pub pack: Arc<Pack>,
}

impl AppState {
    pub fn new(feed: Feed, leptos_options: LeptosOptions, metrics: PrometheusHandle, controls: Controls) -> Self {
        let catalogue = Catalogue::new(feed.store.clone());
        let runner = Runner::new(feed.store.clone(), Vec::new());
        let (gate, replays, limits) = (Gate::new(None, None), Replays::default(), Arc::default());
        let suites = RecordSuites::default();
        let archive = Archive::closed();
        Self(Arc::new(Parts {
            feed,
            leptos_options,
            metrics,
            controls,
            gate,
            catalogue,
            runner,
            archive,
            replays,
            limits,
            rate: None,
            suites,
            pack: Arc::default(),
        }))
    }

    /// With records to be read again from here; without, the answers say that Kafka is silent.
    pub fn reading(mut self, archive: Archive) -> Self {
        self.archive = archive;
        self
    }

    /// With what each caller is allowed; without, only time is limited.
    pub fn limited(mut self, limits: &Limits) -> Self {
        self.limits = Arc::new(limits.clone());
        self.rate = Some(RequestRate::new(limits));
        self
    }

    /// With checkpoints; without, it has none.
    pub fn running(mut self, runner: Runner) -> Self {
        self.runner = runner;
        self
    }

    /// With the suites that records are held to; without, there are none.
    pub fn judging(mut self, suites: RecordSuites) -> Self {
        self.suites = suites;
        self
    }

    /// With the rules over several bars as they are configured; without, as they are documented.
    pub fn watching(mut self, pack: Arc<Pack>) -> Self {
        self.pack = pack;
        self
    }

    /// With the control endpoints open to whoever has the token, or a key that may; without either they are closed.
    pub fn controlled_by(mut self, token: Option<&ControlToken>) -> Self {
        let keys = Some(self.feed.door.keys()).filter(|keys| keys.are_on()).cloned();
        self.gate = Gate::new(token, keys);
        self
    }
}

macro_rules! extracted {
    ($($part:ident: $kind:ty,)*) => {
        $(impl FromRef<AppState> for $kind {
            fn from_ref(state: &AppState) -> Self {
                state.$part.clone()
            }
        })*
    };
}

extracted! {
    feed: Feed,
    leptos_options: LeptosOptions,
    metrics: PrometheusHandle,
    controls: Controls,
    gate: Gate,
    catalogue: Catalogue,
    runner: Runner,
    archive: Archive,
    replays: Replays,
    limits: Arc<Limits>,
    rate: Option<RequestRate>,
    suites: RecordSuites,
    pack: Arc<Pack>,
}

impl FromRef<AppState> for Store {
    fn from_ref(state: &AppState) -> Self {
        state.feed.store.clone()
    }
}
