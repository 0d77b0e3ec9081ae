//! Tests without a cluster.

mod amount;
mod certs;
mod cli;
mod decisions;
mod edits;
mod jobs;
mod lifecycle;
mod metrics;
mod policy_reload;
mod properties;
mod purity;
mod reference;
mod review;
mod support;
mod tls;
mod tree;
mod wire;
