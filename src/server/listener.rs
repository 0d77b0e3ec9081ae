//! Accepting connections: all of them at once, each in the slot of another one if none is free, and not in a hot loop when the
//! system has nothing left.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tracing::warn;

use super::{
    connection,
    metrics::{GaugeGuard, WEBHOOK},
    shutdown::{Phase, reached},
    slots::{ConnectionSlots, Slot},
    state::State,
};

/// The pause after a failure such as too many open files, which only time can mend.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The pause of a connection without a slot before it looks for one again.
const NEXT_TRY: Duration = Duration::from_millis(5);
/// A listener that fails fails often; say so only now and then.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Accepts and serves until the server closes its listener.
///
/// Until there is a certificate to serve, connections wait in the system's queue. API servers call a replica whose container was
/// restarted before they learn of its end: those calls then succeed a little later.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut phases = state.phase.subscribe();
    let mut pauses = Pauses::default();
    tokio::select! {
        () = reached(&mut phases, Phase::Closing) => return,
        _ = state.tls() => {}
    }
    loop {
        let accepted = tokio::select! {
            biased;
            () = reached(&mut phases, Phase::Closing) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pauses.reset();
                admit(stream, peer, &state).await;
            }
            Err(error) => {
                state.metrics.accept_errors.inc();
                if has_no_more_files(&error)
                    && let Some(closed) = state.connections.close_longest_waiting()
                {
                    state.evicted(WEBHOOK, &closed);
                }
                tokio::select! {
                    () = reached(&mut phases, Phase::Closing) => break,
                    () = pauses.after(&error, WEBHOOK) => {}
                }
            }
        }
    }
    // To close it now would reset those that the system has accepted already.
    let Ok(listener) = listener.into_std() else { return };
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                if stream.set_nonblocking(true).is_ok()
                    && let Ok(stream) = TcpStream::from_std(stream)
                {
                    admit(stream, peer, &state).await;
                }
            }
            // Of one that is gone already.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
    }
}

/// Serves the connection as soon as it has a slot.
async fn admit(stream: TcpStream, peer: SocketAddr, state: &Arc<State>) {
    // An answer is one write; waiting for more to send with it only delays it. Where that fails the peer is gone.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let slot = take_slot(&state.connections, peer, WEBHOOK, state).await;
    let state = Arc::clone(state);
    tokio::spawn(async move {
        let _open = GaugeGuard::new(&state.metrics.connections_open);
        connection::serve(stream, slot, &state).await;
    });
}

/// Takes a slot. Waits only if every connection is about to be answered.
pub(super) async fn take_slot(
    slots: &Arc<ConnectionSlots>,
    peer: SocketAddr,
    listener: &'static str,
    state: &State,
) -> Slot {
    // A listener on all addresses of both families sees those of the older one in the form of the newer.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    loop {
        if let Some((slot, evicted)) = slots.take(peer) {
            if let Some(closed) = evicted {
                state.evicted(listener, &closed);
            }
            return slot;
        }
        // One is free once a connection ends, and can be taken once an answer is given, of which there is no notice.
        let _ = timeout(NEXT_TRY, slots.freed()).await;
    }
}

/// True if the process or the system has too many open files.
pub(super) fn has_no_more_files(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// The pauses after failures in a row.
#[derive(Default)]
pub(super) struct Pauses {
    next: Option<Duration>,
    logged: Option<Instant>,
}

impl Pauses {
    pub(super) fn reset(&mut self) {
        self.next = None;
    }

    /// Waits longer after each failure, except where only the one connection failed.
    pub(super) async fn after(&mut self, error: &io::Error, listener: &'static str) {
        if self.logged.is_none_or(|logged| logged.elapsed() > LOG_INTERVAL) {
            self.logged = Some(Instant::now());
            warn!(%error, listener, "cannot accept connections");
        }
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::InvalidInput
        ) {
            return;
        }
        let pause = self.next.unwrap_or(FIRST_PAUSE);
        self.next = Some((pause * 2).min(LONGEST_PAUSE));
        sleep(pause).await;
    }
}
