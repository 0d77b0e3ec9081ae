//! A server in the process of the test, with everything but a log, for tests that need no process to end, to trace or to measure.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use pytorchjob_guard::{
    certificates::{self, Folder},
    policy::{Sources, WebhookSettings},
    server::{self, Config, Deadlines, Ending, Limits, ServerError, Signal, Signals, TlsFiles, TlsSource},
};
use support::Serves;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A running server.
pub(crate) struct Server {
    address: SocketAddr,
    admin: SocketAddr,
    certificates: TempDir,
    signals: tokio::sync::mpsc::Sender<Signal>,
    thread: Option<JoinHandle<Result<Ending, ServerError>>>,
}

impl Server {
    /// One with the policy `cci`, a local certificate, and the limits that `serve` has without options.
    pub(crate) fn start() -> Self {
        Self::with(|_| ())
    }

    /// The same with some of it changed.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let certificates = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(certificates.path());
        certificates::ensure(&folder, SystemTime::now()).expect("certificates");
        let (sources, policies) =
            Sources::find(&["cci".to_owned()], WebhookSettings::default(), &[]).expect("a policy");
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let deadline = Duration::from_secs(10);
        let files = TlsFiles { cert: folder.cert(), key: folder.key(), client_ca: None };
        let mut config = Config {
            listen: free,
            admin_listen: free,
            tls: TlsSource::Files { files, controller: None },
            policies,
            sources,
            limits: Limits { body_bytes: 8 << 20, connections: 512, buffered_bytes: 32 << 20 },
            deadlines: Deadlines {
                handshake: deadline,
                header: deadline,
                body: deadline,
                idle: Duration::from_mins(2),
            },
            shutdown_delay: Duration::ZERO,
            drain_timeout: deadline,
        };
        change(&mut config);
        let (signals, receiver) = Signals::channel();
        let (bound, addresses) = mpsc::channel();
        let thread = thread::spawn(move || {
            Runtime::new().expect("a runtime").block_on(async {
                let server = server::bind(config).await?;
                bound.send((server.address(), server.admin_address())).expect("the test waits for it");
                server.run(receiver).await
            })
        });
        let (address, admin) = addresses.recv().expect("the server starts");
        Self { address, admin, certificates, signals, thread: Some(thread) }
    }
}

impl Serves for Server {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    fn ca(&self) -> String {
        std::fs::read_to_string(self.certificates.path().join("ca.crt")).expect("a CA in PEM")
    }
}

/// It stops as by SIGTERM, and lets requests in flight finish.
impl Drop for Server {
    fn drop(&mut self) {
        self.signals.try_send(Signal::Terminate).expect("the server runs");
        let ended = self.thread.take().expect("it is stopped once").join();
        if !thread::panicking() {
            assert!(matches!(ended, Ok(Ok(Ending::Stopped))), "{ended:?}");
        }
    }
}
