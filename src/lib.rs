//! A validating admission webhook that keeps updates of PyTorchJobs to the fields a running training job may change.
//!
//! Data goes one way:
//!
//! ```text
//!   API server ──TLS──▶ server ─┐                                   ┌─▶ response, log line, metrics
//!                               ├─ bytes ─▶ admission ─▶ Answer ────┤
//!   files ──▶ commands::check ──┤              ▲                    ├─▶ what kubectl would print
//!  suites ──▶ suites ───────────┘       policy, a file              └─▶ test reports
//! ```
//!
//! [`admission`] is pure: it is called by [`server`], [`commands`] and [`suites`], and calls nobody.

pub mod admission;
pub mod certificates;
pub mod cli;
pub mod commands;
pub mod registration;
pub mod server;
pub mod suites;
