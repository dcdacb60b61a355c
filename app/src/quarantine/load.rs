//! The content of the quarantine pages: asked for by the server while it renders, and taken over by the browser.

use super::{Question, RecordAddress, RefusedList, RefusedRecord};
use std::future::Future;

/// Asks the backend for a page of the list.
#[cfg(feature = "ssr")]
pub fn load_list(question: &Question) -> impl Future<Output = Result<RefusedList, String>> + Send + use<> {
    let (backend, query) = (crate::initial::backend(), question.query());
    async move { backend?.quarantine(query).await.map_err(|why| why.0) }
}

/// Asks the backend for a record; `Ok(None)`: it is not in quarantine.
#[cfg(feature = "ssr")]
pub fn load_record(address: RecordAddress) -> impl Future<Output = Result<Option<RefusedRecord>, String>> + Send {
    let backend = crate::initial::backend();
    let absent = leptos::prelude::use_context::<crate::backend::Absent>();
    async move {
        let found = backend?.refused(address).await.map_err(|why| why.0)?;
        if let (None, Some(absent)) = (&found, absent) {
            (absent.0)();
        }
        Ok(found)
    }
}

/// In the browser the page was rendered with its content.
#[cfg(not(feature = "ssr"))]
pub fn load_list(_question: &Question) -> impl Future<Output = Result<RefusedList, String>> + Send + use<> {
    std::future::ready(Err(RELOAD.to_owned()))
}

/// In the browser the page was rendered with its content.
#[cfg(not(feature = "ssr"))]
pub fn load_record(_address: RecordAddress) -> impl Future<Output = Result<Option<RefusedRecord>, String>> + Send {
    std::future::ready(Err(RELOAD.to_owned()))
}

#[cfg(not(feature = "ssr"))]
const RELOAD: &str = "This page is rendered by the server; load it again.";
