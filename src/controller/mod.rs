//! The guard as a client of the API server that asks it: the only part that writes to a cluster.
//!
//! ```text
//!   watches ─┐
//!   results ─┼─▶ Observed ──plan──▶ Plan ─┬─▶ actions, beside each other ─▶ results
//!   policies ┘   (values)    (pure)       ├─▶ the next certificate, the policy that waits ─▶ server
//!                                         └─▶ status ─▶ /readyz, log, metrics
//! ```
//!
//! It keeps the CA in the Secret, the registration's `caBundle` and the serving certificate in step, reconciles the conditions
//! with the policy, and calls the guard as API servers would.
//!
//! There is no leader. Every replica does the same; each write is made over the version it was decided on, and a replica that
//! comes too late reads again. Everything that serving needs is in memory, so an API server that is away changes nothing.

mod action;
mod ca;
mod callers;
mod config;
mod executor;
mod followed;
mod handover;
mod lane;
mod metrics;
mod now;
mod observed;
mod patch;
mod plan;
mod reconciler;
mod self_call;
mod settle;
mod status;
mod trust;

#[cfg(test)]
mod tests;

pub use self::config::{Config, ManagedCertificates};
pub(crate) use self::{
    handover::PolicyHandover,
    metrics::{Known, Metrics},
    reconciler::{Reconciler, Serve, Server},
    status::Status,
};
use crate::certificates::CertificateError;

/// The reason why the controller cannot start; the message names the flag.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// Nothing says where the API server is.
    #[error("--registration: there is no API server to ask: {0}")]
    Config(Box<kube::config::InferConfigError>),
    /// The client of the API server cannot be set up.
    #[error("--registration: the API server cannot be asked: {0}")]
    Client(Box<kube::Error>),
    /// The name of the Service cannot stand in a certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The guard's own client certificate cannot be made.
    #[error("a client certificate of our own cannot be made: {0}")]
    OwnClient(#[from] rcgen::Error),
}
