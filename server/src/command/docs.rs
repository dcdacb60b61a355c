//! `stockstream docs`: data docs for those who cannot ask the server.

use super::say;
use crate::{config::DocsExportConfig, static_site, store::Store};
use anyhow::Context;

pub async fn export(config: DocsExportConfig) -> anyhow::Result<()> {
    let store = Store::new(config.database_url.options(), 2);
    let url = config.database_url.redacted();
    store.require_current().await.with_context(|| format!("cannot use {url}"))?;
    let pages = static_site::export(&store, &config.site_root, &config.directory).await?;
    say(&format!("{pages} pages are written; begin with {}", config.directory.join("index.html").display()))
}
