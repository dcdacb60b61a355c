//! Where the files go: a directory, or a bucket of an object storage that speaks S3's protocol.
//!
//! The pages need no server that knows what a directory is: every link names a file. What a browser must be told of a
//! file, a bucket keeps with it.

use crate::outbound;
use bytes::Bytes;
use object_store::{
    Attribute, Attributes, ObjectStore, PutOptions, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    path::Path as Key,
};
use std::{path::Path, str::FromStr, sync::Arc, time::Duration};
use url::Url;

/// How long an upload is tried again.
const PATIENCE: RetryConfig = RetryConfig {
    backoff: object_store::BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(5),
        base: 2.0,
    },
    max_retries: 5,
    retry_timeout: Duration::from_secs(60),
};

/// A place that files are written to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Target {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// Whether it keeps what kind of content a file has; a directory leaves that to whoever serves it.
    keeps_kinds: bool,
    shown: String,
}

/// Why there is no such place.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("cannot use {shown}: {error}")]
    Store { shown: String, error: object_store::Error },
    #[error("cannot make {shown}: {error}")]
    Directory { shown: String, error: std::io::Error },
}

impl Target {
    /// A directory, which is made when it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn directory(directory: &Path) -> Result<Self, TargetError> {
        let shown = directory.display().to_string();
        std::fs::create_dir_all(directory).map_err(|error| TargetError::Directory { shown: shown.clone(), error })?;
        let store = LocalFileSystem::new_with_prefix(directory)
            .map_err(|error| TargetError::Store { shown: shown.clone(), error })?;
        Ok(Self { store: Arc::new(store), prefix: Key::default(), keeps_kinds: false, shown })
    }

    /// A bucket, and what all names in it begin with: `s3://bucket/prefix`. `environment`: of its variables those that
    /// begin with `AWS_` say who asks and where the bucket is, as they do for Amazon's own tools.
    ///
    /// # Errors
    /// What the variables say is not enough, or contradicts itself.
    pub fn bucket(url: &Url, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, TargetError> {
        outbound::use_ring();
        let shown = url.as_str().trim_end_matches('/').to_owned();
        let mut builder = AmazonS3Builder::new().with_url(url.as_str()).with_retry(PATIENCE);
        for (name, value) in environment {
            // Amazon has more variables than concern an upload.
            let key = name.starts_with("AWS_").then(|| AmazonS3ConfigKey::from_str(&name.to_ascii_lowercase()));
            if let Some(Ok(key)) = key {
                builder = builder.with_config(key, value);
            }
        }
        let failed = |error| TargetError::Store { shown: shown.clone(), error };
        let store = builder.build().map_err(failed)?;
        let prefix = Key::from_url_path(url.path()).map_err(|error| failed(error.into()))?;
        Ok(Self { store: Arc::new(store), prefix, keeps_kinds: true, shown })
    }

    /// A file of it, as people read it.
    pub fn show(&self, name: &str) -> String {
        format!("{}/{name}", self.shown)
    }

    /// Writes a file, or writes it anew: others see the old one or the new one, and none that is half written.
    ///
    /// # Errors
    /// It is not allowed, or the place does not answer.
    pub(super) async fn put(&self, name: &str, content: Bytes) -> Result<(), object_store::Error> {
        let key = Key::parse(name).map_err(object_store::Error::from)?;
        let key: Key = self.prefix.parts().chain(key.parts()).collect();
        let attributes = if self.keeps_kinds { kind_of(name) } else { Attributes::new() };
        let options = PutOptions { attributes, ..PutOptions::default() };
        self.store.put_opts(&key, content.into(), options).await.map(drop)
    }
}

/// What a browser must know of a file.
fn kind_of(name: &str) -> Attributes {
    let (kind, changes) = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => ("text/html; charset=utf-8", true),
        Some("css") => ("text/css; charset=utf-8", true),
        Some("json") => ("application/json", false),
        Some("svg") => ("image/svg+xml", false),
        Some("woff2") => ("font/woff2", false),
        Some("txt") => ("text/plain; charset=utf-8", false),
        _ => ("application/octet-stream", false),
    };
    let mut attributes = Attributes::from_iter([(Attribute::ContentType, kind)]);
    if changes {
        // The next export writes it anew.
        attributes.insert(Attribute::CacheControl, "no-cache".into());
    }
    attributes
}
