//! Tests without a cluster.

mod amount;
mod certs;
mod cli;
mod decisions;
mod edits;
mod jobs;
mod lifecycle;
mod metrics;
mod properties;
mod purity;
mod reference;
mod review;
mod suites;
mod support;
mod tls;
mod tree;
mod wire;
