//! Tests without a cluster.

mod certs;
mod lifecycle;
mod metrics;
mod support;
mod tls;
mod wire;
