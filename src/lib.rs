//! A validating admission webhook that keeps updates of PyTorchJobs to the fields a running training job may change.
//!
//! Data goes one way:
//!
//! ```text
//!   API server ──TLS──▶ server ───┐                                 ┌─▶ response, log line, metrics
//!                                 ├─ bytes ─▶ admission ─▶ Answer ──┤
//!   files ──▶ documents ─┬ check ─┤              ▲                  ├─▶ what kubectl would print
//!                        └ suites ┘       policy, a file            └─▶ test reports
//!                                                └──▶ registration ───▶ manifests for the API server
//! ```
//!
//! [`admission`] is pure: it is called by [`server`], [`commands`] and [`suites`], and calls nobody. [`registration`] is
//! as pure, and reads nothing but a policy. In a cluster the server also keeps its registration and its certificate in
//! order (`server/cluster`), which no decision depends on.

pub mod admission;
pub mod certificates;
pub mod cli;
pub mod commands;
mod contents;
pub mod controller;
mod documents;
mod field;
pub mod policy;
pub mod registration;
pub mod server;
pub mod suites;
mod text;
pub mod yaml;
