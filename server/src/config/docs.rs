//! `stockstream docs`: what can be asked of it.

use super::{DatabaseUrl, Mistakes, StoreArgs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum DocsCommand {
    /// Writes the pages of /quality, with every run that is kept, as a static site: without a server, without a script, and
    /// without a request to anywhere. Files of the same names are replaced, others stay.
    Export(DocsExportArgs),
}

#[derive(Clone, Debug, Args)]
pub struct DocsExportArgs {
    /// Where to write; `index.html` is the first page. It is made when it is not there.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// Directory with the built browser files (pkg/, fonts, favicon).
    #[arg(long, env = "STOCKSTREAM_SITE_ROOT", default_value = "target/site")]
    site_root: PathBuf,
}

/// [`DocsExportArgs`], checked.
#[derive(Clone, Debug)]
pub struct DocsExportConfig {
    pub directory: PathBuf,
    pub database_url: DatabaseUrl,
    pub site_root: PathBuf,
}

impl DocsExportArgs {
    /// # Errors
    /// What is wrong with it.
    pub fn check(self) -> Result<DocsExportConfig, Mistakes> {
        let database_url = self.store.check()?;
        Ok(DocsExportConfig { directory: self.directory, database_url, site_root: self.site_root })
    }
}
