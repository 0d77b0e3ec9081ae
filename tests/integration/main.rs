//! Tests without a cluster.
