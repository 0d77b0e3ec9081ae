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
//! [`admission`] is pure: [`server`], [`commands`] and [`suites`] call it, and it calls none of them. [`registration`] is as
//! pure, and reads nothing but a policy. In a cluster the [`controller`] reconciles the registration and the certificates; no
//! decision depends on it. `doctor` looks at a cluster from outside.

pub mod admission;
pub mod certificates;
pub mod cli;
pub mod commands;
mod contents;
pub mod controller;
mod crd;
pub mod denials;
mod doctor;
mod documents;
mod field;
pub mod policy;
pub mod registration;
pub mod server;
pub mod suites;
mod text;
pub mod yaml;
