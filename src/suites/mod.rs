//! Tests of a policy, which a platform team keeps beside it and runs in its CI: `pytorchjob-guard test`.
//!
//! ```text
//! paths ──find──▶ files ──file──▶ SuiteFile  ──load──▶ Suite ──case──▶ review ──admission──▶ verdict ──report──▶ text,
//!                   │                 │                 │                                       │               JSON, …
//!                   └───── problem ◀──┴─────────────────┘                                    coverage
//! ```
//!
//! A case is judged by [`crate::admission::answer`] on the bytes of a review, as the webhook judges. Whatever can be
//! wrong with a suite is found while it is loaded, so that running has nothing left to complain about but the cases.

mod case;
mod coverage;
mod file;
mod find;
mod format;
mod init;
mod load;
mod problem;
mod report;
mod run;
mod words;

pub use self::{
    case::Case,
    coverage::{Coverage, Gap},
    find::{Found, find},
    init::{InitError, init},
    load::Suite,
    problem::Problem,
    report::{Styles, json, junit, tap, text},
    run::{Actual, CaseReport, Run, Selection, SuiteReport},
    words::Expectation,
};
