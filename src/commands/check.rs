//! `check`

use std::process::ExitCode;

pub(super) fn run(_args: &crate::cli::CheckArgs) -> ExitCode {
    ExitCode::from(2)
}
