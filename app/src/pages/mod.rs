//! The pages: what each shows and which part of the stream it follows.

mod dashboard;
mod landing;
mod not_found;
mod quarantine;
mod quarantine_record;

pub use dashboard::Dashboard;
pub use landing::Landing;
pub use not_found::NotFound;
pub use quarantine::Quarantine;
pub use quarantine_record::QuarantineRecord;
