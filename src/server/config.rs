//! The configuration of a server.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    controller::{self, ManagedCertificates},
    policy::{PolicySet, Sources},
};

/// Everything a server needs to know.
#[derive(Debug)]
pub struct Config {
    /// The address of the webhook's listener.
    pub listen: SocketAddr,
    /// The address of probes and metrics, over plain HTTP.
    pub admin_listen: SocketAddr,
    /// The certificate, its key, and whom to let in.
    pub tls: TlsSource,
    /// The policies to begin with.
    pub policies: PolicySet,
    /// The sources of the policies, which are read again for as long as the server runs.
    pub sources: Sources,
    /// The limits of what is held at once.
    pub limits: Limits,
    /// The deadlines of peers.
    pub deadlines: Deadlines,
    /// The time to keep serving after the signal to stop.
    pub shutdown_delay: Duration,
    /// The deadline of requests in flight, once the listener is closed.
    pub drain_timeout: Duration,
}

/// The source of the certificate, and what the guard reconciles in the cluster.
#[derive(Debug, Clone)]
pub enum TlsSource {
    /// Files.
    Files {
        /// Their names.
        files: TlsFiles,
        /// The registration to reconcile. None if there is no API server to look at.
        controller: Option<controller::Config>,
    },
    /// The CA in a Secret.
    Managed {
        /// The Secret, and the Service that the certificate is for.
        certificates: ManagedCertificates,
        /// The registration to reconcile.
        controller: controller::Config,
        /// The CAs of the clients that are let in, PEM, read again as well. Without it every client is.
        client_ca: Option<PathBuf>,
    },
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

/// The limits of what is held at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one request's body.
    pub body_bytes: usize,
    /// Open connections.
    pub connections: u32,
    /// Bytes of all requests' bodies, from the first byte to the decision. At least twice [`Self::body_bytes`].
    pub buffered_bytes: usize,
}

/// The deadlines of peers. Every await on a peer is under one of these.
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
