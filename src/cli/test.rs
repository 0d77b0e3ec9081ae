//! `test`'s arguments.

use std::path::PathBuf;

use clap::{Args, ValueEnum, builder::PossibleValuesParser};

use crate::policy::Policy;

/// The arguments of `test`.
///
/// Exit 0: every case passes. 1: some case fails, or coverage that is required is missing. 2: a suite or a policy is
/// bad, or there is nothing to run; the good suites run all the same.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(
    after_help = "Exit codes: 0 every case passes, 1 some do not, 2 a suite or a policy is bad; good suites run all the same."
)]
pub struct TestArgs {
    /// Suites (kind PolicyTest), or folders in which to look for them: *.yaml, *.yml and *.json; - is standard input.
    #[arg(value_name = "PATH", required_unless_present = "init")]
    pub paths: Vec<PathBuf>,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Report,
    /// Write the output into this file, and the text for people to standard output.
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,
    /// Run only cases with this text in `SUITE PATH :: CASE NAME`.
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Stop at the first case that fails.
    #[arg(long)]
    pub fail_fast: bool,
    /// Print the names of the cases, and run none.
    #[arg(long, conflicts_with_all = ["output", "output_file", "fail_fast", "coverage", "require_coverage"])]
    pub list: bool,
    /// Name the parts of each policy that no case exercises both ways: fails without, and shows where it ends. The exit
    /// code stays as it is.
    #[arg(long, conflicts_with = "filter")]
    pub coverage: bool,
    /// Like --coverage, and exit 1 where something is named.
    #[arg(long, conflicts_with = "filter")]
    pub require_coverage: bool,
    /// When to colour the text
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Write a first suite and its job into this folder, to go on from.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["paths", "output", "output_file", "filter", "fail_fast", "list", "coverage", "require_coverage"])]
    pub init: Option<PathBuf>,
    /// The built-in policy of the first suite
    #[arg(long, value_name = "NAME", requires = "init", default_value = "cci", value_parser = PossibleValuesParser::new(Policy::builtin_names()))]
    pub policy: String,
}

/// The report of `test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// For people: a line for each suite, and the cases that fail.
    Text,
    /// A PolicyTestReport.
    Json,
    /// JUnit's XML, which CI systems read.
    Junit,
    /// The Test Anything Protocol, version 14.
    Tap,
}

/// The use of colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal; `NO_COLOR` and `CLICOLOR_FORCE` are respected.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
