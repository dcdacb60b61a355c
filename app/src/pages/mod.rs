//! The pages: what each shows and which part of the stream it follows.

mod dashboard;
mod landing;
mod not_found;

pub use dashboard::Dashboard;
pub use landing::Landing;
pub use not_found::NotFound;
