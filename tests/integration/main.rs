//! Tests without a cluster.

mod amount;
mod certs;
mod cli;
mod decisions;
mod docs;
mod edits;
mod floods;
mod jobs;
mod lifecycle;
mod metrics;
mod monitoring;
mod peers;
mod policy_commands;
mod policy_files;
mod policy_reload;
mod properties;
mod purity;
mod reference;
mod review;
mod room;
mod several_policies;
mod suites;
mod tls;
mod trace;
mod tree;
mod wire;
