//! Tests without a cluster.

mod amount;
mod certs;
mod cli;
#[path = "../monitoring/mod.rs"]
mod dashboards;
mod decisions;
mod docs;
mod edits;
mod floods;
mod jobs;
mod lifecycle;
mod metrics;
mod monitoring;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../docs/mod.rs"]
mod pages;
mod peers;
mod policy_commands;
mod policy_files;
mod policy_reload;
mod properties;
mod purity;
mod reference;
mod review;
mod room;
mod suites;
mod support;
mod tls;
mod trace;
mod tree;
mod wire;
