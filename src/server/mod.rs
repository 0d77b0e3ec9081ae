//! The webhook server: TLS, HTTP/1.1 and HTTP/2 in front of [`crate::admission`], and the plain-HTTP port for probes.
//!
//! [`bind`] reads the keys and takes the ports, which gives [`Bound`] with the real addresses; [`Bound::run`] serves
//! until a signal. Every await on a peer is under one of the [`Deadlines`], everything that is held under one of the
//! [`Limits`].

mod admin;
mod audit;
mod body;
mod clients;
mod config;
mod connection;
mod decide;
mod decision_pool;
mod http;
mod listener;
mod log_limiter;
mod managed_tls;
mod metrics;
mod progress;
mod reload;
mod shutdown;
mod slots;
mod state;
mod timeout;
mod tls;
mod trace;
mod tracked;

use std::{
    future::{Pending, pending},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinError, JoinHandle},
    time::{sleep, timeout as within},
};
use tracing::{info, warn};

use crate::{
    controller::{self, ControllerError, PolicyHandover, Reconciler, Serve, Status},
    policy::PolicySet,
};

pub use config::{Config, Deadlines, Limits, TlsFiles, TlsSource};
pub use decision_pool::large_decisions;
use managed_tls::ManagedTls;
use metrics::Metrics;
use reload::{ClientCaReloader, PolicyReloader, TlsReloader};
use shutdown::Phase;
pub use shutdown::{Signal, Signals};
use state::State;
use tls::ClientCa;
pub use tls::TlsError;

/// The reason why the server could not start; the message names the flag or the file to mend.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The controller cannot start.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// An address is taken or not ours.
    #[error("{flag} {address}: {source}")]
    Bind {
        /// The flag that gave it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The budget is smaller than what it is for.
    #[error("--max-buffered-bytes {buffered_bytes}: expected at least twice --max-body-bytes, {body_bytes}")]
    Budget {
        /// The budget.
        buffered_bytes: usize,
        /// The largest body.
        body_bytes: usize,
    },
    /// A part of the server that never ends did.
    #[error("the {part} ended, which it never should: {source}")]
    Broke {
        /// The part.
        part: &'static str,
        /// The cause.
        source: JoinError,
    },
}

/// A server that has its keys and its ports, and does not serve yet.
pub struct Bound {
    address: SocketAddr,
    admin_address: SocketAddr,
    listener: TcpListener,
    admin_listener: TcpListener,
    policy_reloader: Option<PolicyReloader>,
    identity: IdentitySource,
    reconciler: Option<Reconciler>,
    handover: Option<Arc<PolicyHandover>>,
    status: watch::Sender<Arc<Status>>,
    state: Arc<State>,
    shutdown_delay: Duration,
    drain_timeout: Duration,
}

/// The part of the server that gives it the next certificate.
enum IdentitySource {
    Files(TlsReloader),
    Managed(Option<(ClientCaReloader, watch::Receiver<ClientCa>)>),
}

/// The end of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to stop and took its time.
    Stopped,
    /// A second signal cut that short.
    Cut(Signal),
}

/// Reads the keys, and takes the ports.
pub async fn bind(config: Config) -> Result<Bound, ServerError> {
    let Limits { buffered_bytes, body_bytes, .. } = config.limits;
    if buffered_bytes / 2 < body_bytes {
        return Err(ServerError::Budget { buffered_bytes, body_bytes });
    }
    let handover = Arc::new(PolicyHandover::new());
    let (controller, certificates) = match &config.tls {
        TlsSource::Files { controller, .. } => (controller.clone(), None),
        TlsSource::Managed { controller, certificates, .. } => (Some(controller.clone()), Some(certificates.clone())),
    };
    // What the user gave is read before the API server is looked for.
    let client_ca = match &config.tls {
        TlsSource::Managed { client_ca: Some(file), .. } => Some(ClientCaReloader::start(file.clone())?),
        _ => None,
    };
    let writes_conditions = controller.as_ref().is_some_and(|controller| controller.settle.is_some());
    let reconciler = match controller {
        Some(controller) => Some(Reconciler::new(controller, certificates, Arc::clone(&handover)).await?),
        None => None,
    };
    let (identity, first) = match config.tls {
        TlsSource::Files { files, .. } => {
            let own = reconciler.as_ref().map(|reconciler| reconciler.own().certificate.clone());
            let (reloader, identity) = TlsReloader::start(files, own)?;
            (IdentitySource::Files(reloader), Some(identity))
        }
        TlsSource::Managed { .. } => (IdentitySource::Managed(client_ca), None),
    };
    let (listener, address) = listen("--listen", config.listen).await?;
    let (admin_listener, admin_address) = listen("--admin-listen", config.admin_listen).await?;
    let metrics = Metrics::new(&config.policies, &config.limits, reconciler.is_some());
    let status = if reconciler.is_some() { Status::unknown() } else { Status::standalone() };
    let status = watch::Sender::new(Arc::new(status));
    if let Some(identity) = &first {
        metrics.serves(identity.validity);
    }
    let tls = first.map(|identity| identity.config);
    let state = State::new(config.limits, config.deadlines, config.policies, tls, status.subscribe(), metrics);
    state.tell_ready();
    Ok(Bound {
        address,
        admin_address,
        listener,
        admin_listener,
        policy_reloader: (!config.sources.are_fixed()).then(|| PolicyReloader::new(config.sources)),
        identity,
        reconciler,
        handover: writes_conditions.then_some(handover),
        status,
        state: Arc::new(state),
        shutdown_delay: config.shutdown_delay,
        drain_timeout: config.drain_timeout,
    })
}

async fn listen(flag: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let failed = |source| ServerError::Bind { flag, address, source };
    let listener = match TcpListener::bind(address).await {
        // Every address of both families was meant; this machine has but the older one.
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    };
    let listener = listener.map_err(failed)?;
    let real = listener.local_addr().map_err(failed)?;
    Ok((listener, real))
}

/// True if the system has no IPv6: not compiled in, or turned off.
fn lacks_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

impl Bound {
    /// The webhook's address, with the port it really has.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of probes and metrics, with the port it really has.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The policies in effect.
    #[must_use]
    pub fn policies(&self) -> Arc<PolicySet> {
        self.state.policies()
    }

    /// Serves until a signal, then drains: not ready at once, still answering for the shutdown delay, then closed, and
    /// done when the last connection is or the drain timeout has passed. A second signal ends it where it stands.
    pub async fn run(self, mut signals: Signals) -> Result<Ending, ServerError> {
        let state = Arc::clone(&self.state);
        let mut admin = tokio::spawn(admin::serve(self.admin_listener, Arc::clone(&state)));
        let mut policy = spawn(self.policy_reloader.map(|reloader| reloader.run(Arc::clone(&state), self.handover)));
        let (mut tls, mut clients, serve) = match self.identity {
            IdentitySource::Files(reloader) => {
                let serve: Serve = Box::new(|_| Ok(()));
                (tokio::spawn(reloader.run(Arc::clone(&state))), spawn(None::<Pending<()>>), serve)
            }
            IdentitySource::Managed(client_ca) => {
                let (reloader, client_ca) = client_ca.unzip();
                let own = self.reconciler.as_ref().map(Reconciler::own);
                let managed = Arc::new(ManagedTls::new(Arc::clone(&state), client_ca, own));
                let following = tokio::spawn(ManagedTls::follow_client_ca(Arc::clone(&managed)));
                let serve: Serve = Box::new(move |serving| managed.serve(&serving).map_err(|error| error.to_string()));
                (following, spawn(reloader.map(|reloader| reloader.run(Arc::clone(&state)))), serve)
            }
        };
        let mut controller = spawn(self.reconciler.map(|reconciler| {
            reconciler.run(controller::Server {
                address: reachable(self.address),
                policies: state.policies_from_now_on(),
                serve,
                status: self.status,
                metrics: state.metrics.controller.clone(),
            })
        }));
        let mut accept = tokio::spawn(listener::serve(self.listener, Arc::clone(&state)));

        let signal = tokio::select! {
            signal = signals.next() => signal,
            never = state.body_budget.tidy() => match never {},
            Err(source) = &mut admin => return Err(ServerError::Broke { part: "admin port", source }),
            Err(source) = &mut tls => return Err(ServerError::Broke { part: "watch on the TLS files", source }),
            Err(source) = &mut clients => return Err(ServerError::Broke { part: "watch on the client CAs", source }),
            Err(source) = &mut policy => return Err(ServerError::Broke { part: "watch on the policy files", source }),
            Err(source) = &mut controller => return Err(ServerError::Broke { part: "controller", source }),
            Err(source) = &mut accept => return Err(ServerError::Broke { part: "listener", source }),
        };
        state.advance(Phase::Draining);
        info!(signal = signal.name(), delay = ?self.shutdown_delay, "not ready any more; still answering");
        tokio::select! {
            biased;
            second = signals.next() => return Ok(Ending::Cut(second)),
            () = sleep(self.shutdown_delay) => {}
        }

        state.advance(Phase::Closing);
        info!(timeout = ?self.drain_timeout, "the listener is closed; finishing what is in flight");
        tokio::select! {
            biased;
            second = signals.next() => return Ok(Ending::Cut(second)),
            drained = within(self.drain_timeout, drained(&state, &mut accept)) => if drained.is_ok() {
                info!("stopped");
            } else {
                let connections = state.metrics.connections_open.get();
                warn!(connections, "stopped before all connections were done");
            },
        }
        Ok(Ending::Stopped)
    }
}

/// Runs a part of the server, where it has that part.
fn spawn(part: Option<impl Future<Output = ()> + Send + 'static>) -> JoinHandle<()> {
    tokio::spawn(async move {
        match part {
            Some(part) => part.await,
            None => pending().await,
        }
    })
}

/// The address at which this machine reaches a server that listens there.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}

/// Waits until every connection that was accepted is done.
async fn drained(state: &State, accept: &mut JoinHandle<()>) {
    // A listener that panicked is gone as well.
    let _ = accept.await;
    state.connections.all_free().await;
}
