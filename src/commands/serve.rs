//! `serve`

use std::process::ExitCode;

pub(super) fn run(_args: crate::cli::ServeArgs) -> ExitCode {
    ExitCode::from(2)
}
