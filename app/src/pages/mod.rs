//! The pages: what each shows and which part of the stream it follows.

mod dashboard;
mod landing;
mod not_found;
mod quality;
mod quality_run;
mod quality_suite;
mod quarantine;
mod quarantine_record;

pub use dashboard::Dashboard;
pub use landing::Landing;
pub use not_found::NotFound;
pub use quality::Quality;
pub use quality_run::QualityRun;
pub use quality_suite::QualitySuite;
pub use quarantine::Quarantine;
pub use quarantine_record::QuarantineRecord;
