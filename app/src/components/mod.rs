//! The parts of the pages: one component, one file, one stylesheet partial of the same name.

mod candle_chart;
mod chart_panel;
mod copy_line;
mod data_table;
mod freshness_badge;
mod kpi_strip;
mod legend;
mod shortcuts;
mod simulated_tag;
mod skeleton;
mod status_line;
mod still_chart;
mod symbol_picker;
mod theme_switch;
mod timeframe_switch;
mod top_bar;
mod wordmark;

pub use candle_chart::CandleChart;
pub use chart_panel::ChartPanel;
pub use copy_line::CopyLine;
pub use data_table::DataTable;
pub use freshness_badge::FreshnessBadge;
pub use kpi_strip::KpiStrip;
pub use legend::Legend;
pub use shortcuts::Shortcuts;
pub use simulated_tag::SimulatedTag;
pub use skeleton::DashboardSkeleton;
pub use status_line::StatusLine;
pub use still_chart::StillChart;
pub use symbol_picker::SymbolPicker;
pub use theme_switch::ThemeSwitch;
pub use timeframe_switch::TimeframeSwitch;
pub use top_bar::TopBar;
pub use wordmark::Wordmark;
