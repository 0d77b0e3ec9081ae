//! What a server is built from.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    certificates::Lifetimes,
    policy::Policy,
    registration::{Declared, ServiceName},
};

/// Everything a server needs to know.
#[derive(Debug)]
pub struct Config {
    /// Where the webhook listens.
    pub listen: SocketAddr,
    /// Where probes and metrics are served over plain HTTP.
    pub admin_listen: SocketAddr,
    /// The certificate, its key, and whom to let in.
    pub tls: TlsSource,
    /// What to look after in the cluster.
    pub cluster: Option<ClusterConfig>,
    /// What may change.
    pub policy: PolicySource,
    /// How much is held at once.
    pub limits: Limits,
    /// How long a peer is waited for.
    pub deadlines: Deadlines,
    /// How long to go on serving once asked to stop.
    pub shutdown_delay: Duration,
    /// How long what is in flight may take once the listener is closed.
    pub drain_timeout: Duration,
}

/// Where the policy comes from.
#[derive(Debug, Clone)]
pub enum PolicySource {
    /// One that stays.
    Fixed(Policy),
    /// A file. It is read again for as long as the server runs.
    File(PathBuf),
}

/// Where the certificate comes from.
#[derive(Debug, Clone)]
pub enum TlsSource {
    /// Files.
    Files(TlsFiles),
    /// The CA of [`ClusterConfig::certificates`], which must be given then.
    Managed {
        /// The CAs of the clients that are let in, PEM, read again as well; without it everybody is.
        client_ca: Option<PathBuf>,
    },
}

/// What the guard looks after as a client of the API server.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// The name of its ValidatingWebhookConfiguration.
    pub registration: String,
    /// Its Service: webhooks of the configuration that lead elsewhere are not ours.
    pub service: Option<ServiceName>,
    /// What the registration leaves out on purpose.
    pub declared: Declared,
    /// Whether to keep the conditions in step with the policy, and how long all has to be quiet before they are loosened.
    pub conditions: Option<Duration>,
    /// The CA to keep and to sign with. Needs [`Self::service`].
    pub certificates: Option<ManagedCertificates>,
}

/// A CA in a Secret.
#[derive(Debug, Clone)]
pub struct ManagedCertificates {
    /// The name of the Secret, in the namespace of the Service.
    pub secret: String,
    /// How long what is signed is good for.
    pub lifetimes: Lifetimes,
}

/// The files that TLS is set up from. They are read again for as long as the server runs.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The serving certificate with its chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The CAs of the clients that are let in, PEM; without it everybody is.
    pub client_ca: Option<PathBuf>,
}

/// How much is held at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one request's body.
    pub body_bytes: usize,
    /// Open connections.
    pub connections: u32,
    /// Bytes of all requests' bodies, from the first byte to the decision. At least twice [`Self::body_bytes`].
    pub buffered_bytes: usize,
}

/// How long a peer is waited for. Every await on a peer is under one of these.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// From the accepted connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its headers.
    pub header: Duration,
    /// From the end of the headers to the end of the body.
    pub body: Duration,
    /// From one request to the next.
    pub idle: Duration,
}
