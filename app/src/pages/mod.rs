//! The pages: what each shows and which part of the stream it follows.

mod dashboard;
mod landing;
mod not_found;
mod offline;
mod pipeline;
mod quality;
mod quality_run;
mod quality_suite;
mod quarantine;
mod quarantine_record;
mod status;
mod watchlist;

pub use dashboard::Dashboard;
pub use landing::Landing;
pub use not_found::NotFound;
pub use offline::OfflinePage;
pub use pipeline::PipelinePage;
pub use quality::Quality;
pub use quality_run::QualityRun;
pub use quality_suite::QualitySuite;
pub use quarantine::Quarantine;
pub use quarantine_record::QuarantineRecord;
pub use status::StatusPage;
pub use watchlist::WatchlistPage;
