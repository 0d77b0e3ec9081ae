//! One look at a live cluster: does the guard fit it, and does it hold the rule there?
//!
//! ```text
//! API server ──api──▶ reading ───▶ Snapshot ─┬▶ before: the API server, the CRD, the writers, the policy to take ─┐
//!                                            └▶ after: registration, replicas, certificates, stuck jobs ──────────┼▶ Findings
//! API server ◀──dry runs── proof ────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The checks are pure: they see a [`snapshot::Snapshot`] and the time. Nothing here changes the cluster.

mod after;
mod api;
mod before;
mod finding;
mod guard;
mod proof;
mod reading;
mod snapshot;
#[cfg(test)]
mod tests;
mod webhooks;
pub(crate) mod writers;

pub(crate) use self::{
    after::after,
    api::{Api, ApiError},
    before::before,
    finding::{Finding, Outcome},
    proof::proof,
    reading::read,
};
