//! Pure market types, shared by every crate and compiled for the server and for the browser.
//!
//! This crate owns what a bar is, how bars are aggregated, when the exchange is open, what the KPI strip means and
//! how all of it is written on the wire. It knows no clock, no environment, no I/O and no framework: whoever calls
//! passes the time in.

mod bar;
mod freshness;
pub mod indicator;
pub mod provenance;
mod row;
mod session;
mod severity;
mod stats;
mod symbol;
mod timeframe;
pub mod watchlist;
pub mod wire;

pub use bar::Bar;
pub use freshness::{Freshness, Observation};
pub use row::StockRow;
pub use session::{EXCHANGE_ZONE, Session, SessionPhase, phase_of, session_on};
pub use severity::Severity;
pub use stats::Stats;
pub use symbol::{InvalidSymbol, Symbol};
pub use timeframe::{InvalidTimeframe, Timeframe, Unit, aggregate};
