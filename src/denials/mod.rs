//! Denied and tolerated updates, as the guard's log and the API server's audit log have them, and a report of them.
//!
//! ```text
//! line ──line──▶ Denial ──report──▶ counts by user, field, namespace, policy and day ──print──▶ text, Markdown, JSON
//!                  └────exemption──▶ the exemption for one user
//! ```

mod exemption;
mod fields;
mod line;
mod print;
mod report;

pub use self::{
    exemption::ExemptionFor,
    line::{Denial, Line},
    print::{json, markdown, text},
    report::Report,
};
