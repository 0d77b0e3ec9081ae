//! The progress bar of a long command, on a terminal.

use std::{
    env,
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A command that takes longer shows how far it is.
const PATIENCE: Duration = Duration::from_secs(1);

/// The progress bar.
pub(super) struct Progress {
    pub(super) bar: ProgressBar,
    begun: Instant,
    is_wanted: bool,
}

impl Progress {
    /// A bar of that length, in indicatif's template.
    pub(super) fn new(length: Option<u64>, template: &str, begun: Instant) -> Self {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(template);
        let bar = style.map_or(bar.clone(), |style| bar.with_style(style));
        // Some CI systems give their jobs a terminal.
        let is_wanted = io::stderr().is_terminal() && env::var_os("CI").is_none();
        Self { bar, begun, is_wanted }
    }

    /// Moves the bar, and shows it once the command takes long.
    pub(super) fn step(&self, by: u64) {
        if self.is_wanted && self.bar.is_hidden() && self.begun.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(by);
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
