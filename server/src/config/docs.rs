//! `stockstream docs`: what can be asked of it.

use super::{DatabaseUrl, Mistakes, StoreArgs};
use crate::alert::PublicUrl;
use clap::{Args, Subcommand};
use std::{path::PathBuf, str::FromStr};
use url::Url;

#[derive(Debug, Subcommand)]
pub enum DocsCommand {
    /// Writes the pages of /quality, with every run that is kept, as a static site: without a server, without a script, and
    /// without a request to anywhere. Files of the same names are replaced, others stay.
    ///
    /// For object storage the usual variables count: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION,
    /// and for one that is not Amazon's AWS_ENDPOINT_URL, with AWS_ALLOW_HTTP=true where that has no TLS.
    Export(DocsExportArgs),
}

#[derive(Clone, Debug, Args)]
pub struct DocsExportArgs {
    /// Where to write: a directory, which is made when it is not there, file:///directory, or s3://bucket/prefix.
    /// `index.html` is the first page, and is written last.
    #[arg(value_name = "DIR|URL")]
    target: String,
    #[command(flatten)]
    store: StoreArgs,
    /// Directory with the built browser files (pkg/, fonts, favicon).
    #[arg(long, env = "STOCKSTREAM_SITE_ROOT", default_value = "target/site")]
    site_root: PathBuf,
    /// Where people find the dashboard, as https://stock.example.com: rows link to their candles there. Without it they
    /// have no links.
    #[arg(long, env = "STOCKSTREAM_PUBLIC_URL")]
    public_url: Option<String>,
}

/// Where files can be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocsTarget {
    Directory(PathBuf),
    /// `s3://bucket/prefix`
    Bucket(Url),
}

impl FromStr for DocsTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains("://") {
            return Ok(Self::Directory(text.into()));
        }
        let url = Url::parse(text).map_err(|error| format!("{text:?} is no URL: {error}"))?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        match url.scheme() {
            "file" if plain => {
                url.to_file_path().map(Self::Directory).map_err(|()| format!("{text:?} names no directory"))
            }
            "s3" if plain && url.has_host() && url.password().is_none() && url.port().is_none() => {
                Ok(Self::Bucket(url))
            }
            _ => Err(format!(
                "{text:?} must be a directory, file:///directory or s3://bucket/prefix, and no more than that"
            )),
        }
    }
}

/// [`DocsExportArgs`], checked.
#[derive(Clone, Debug)]
pub struct DocsExportConfig {
    pub target: DocsTarget,
    pub database_url: DatabaseUrl,
    pub site_root: PathBuf,
    pub public_url: Option<PublicUrl>,
}

impl DocsExportArgs {
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(self) -> Result<DocsExportConfig, Mistakes> {
        let mut mistakes = Mistakes::default();
        let target = self.target.parse().map_err(|reason| mistakes.add("DIR|URL", reason)).ok();
        let public_url = self.public_url.filter(|url| !url.is_empty()).map(|url| url.parse());
        let public_url = public_url.transpose().map_err(|reason| mistakes.add("--public-url", reason)).ok();
        let database_url = mistakes.require("--database-url", "DATABASE_URL", self.store.database_url);
        let config = (|| {
            Some(DocsExportConfig {
                target: target?,
                database_url: database_url?,
                site_root: self.site_root,
                public_url: public_url?,
            })
        })();
        mistakes.or(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_directory_or_a_url_of_a_known_kind() {
        let directory = |path: &str| Ok(DocsTarget::Directory(path.into()));
        assert_eq!("docs/of: today".parse::<DocsTarget>(), directory("docs/of: today"));
        assert_eq!("file:///srv/my%20docs".parse::<DocsTarget>(), directory("/srv/my docs"));
        let bucket = "s3://bucket/a/b".parse::<DocsTarget>();
        assert!(
            matches!(bucket, Ok(DocsTarget::Bucket(url)) if url.host_str() == Some("bucket") && url.path() == "/a/b")
        );
        for wrong in
            ["gs://bucket/x", "https://bucket/x", "s3:///x", "s3://key:secret@bucket/x", "s3://bucket/x?y=1", "://"]
        {
            assert!(wrong.parse::<DocsTarget>().is_err(), "{wrong}");
        }
    }
}
