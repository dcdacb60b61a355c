//! The progress of long commands, on standard error; hidden where that is no terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// A bar in the template language of `indicatif`; `total`: how much there is, if that is known.
pub fn bar(total: Option<u64>, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// What turns by itself, with a message beside it: nobody knows how much there is.
pub fn spinner(every: Duration) -> ProgressBar {
    let spinner = bar(None, "{spinner} {elapsed_precise} {msg}");
    spinner.enable_steady_tick(every);
    spinner
}
