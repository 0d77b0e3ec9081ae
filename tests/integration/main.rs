//! Tests without a cluster.

mod amount;
mod decisions;
mod edits;
mod jobs;
mod properties;
mod purity;
mod reference;
mod review;
mod tree;
