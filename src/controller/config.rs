//! The configuration of the controller.

use std::time::Duration;

use crate::{certificates::Lifetimes, registration::ServiceName};

/// The objects that the guard reconciles as a client of the API server.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name of its ValidatingWebhookConfiguration.
    pub registration: String,
    /// Its Service: webhooks of the configuration for another Service are not the guard's.
    pub service: Option<ServiceName>,
    /// The settle period before conditions are loosened. None if the guard does not write conditions.
    pub settle: Option<Duration>,
}

/// A CA in a Secret, and the serving certificates that are signed with it.
#[derive(Debug, Clone)]
pub struct ManagedCertificates {
    /// The Service of the guard, whose name the certificates are for.
    pub service: ServiceName,
    /// The name of the Secret, in the namespace of the Service.
    pub secret: String,
    /// The lifetimes of the CA and of serving certificates.
    pub lifetimes: Lifetimes,
}
