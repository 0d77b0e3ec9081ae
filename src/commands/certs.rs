//! `certs`

use std::process::ExitCode;

pub(super) fn run(_args: &crate::cli::CertsArgs) -> ExitCode {
    ExitCode::from(2)
}
