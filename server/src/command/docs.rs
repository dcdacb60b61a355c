//! `stockstream docs`: data docs for those who cannot ask the server.

use super::say;
use crate::{
    config::{DocsExportConfig, DocsTarget},
    static_site::{self, Target},
    store::Store,
};
use anyhow::Context;

pub async fn export(config: DocsExportConfig) -> anyhow::Result<()> {
    let target = match &config.target {
        DocsTarget::Directory(directory) => Target::directory(directory)?,
        DocsTarget::Bucket(url) => {
            let texts = std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
            Target::bucket(url, texts)?
        }
    };
    let store = Store::new(config.database_url.options(), 2);
    let url = config.database_url.redacted();
    store.require_current().await.with_context(|| format!("cannot use {url}"))?;
    let server = config.public_url.map(|url| url.to_string());
    let pages = static_site::export(&store, server.as_deref(), &config.site_root, &target).await?;
    say(&format!("{pages} pages are written; begin with {}", target.show("index.html")))
}
