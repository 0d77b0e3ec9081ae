//! Accepting connections: no more than there are places for, and not in a hot loop when the system has none left.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tracing::warn;

use super::{
    connection,
    metrics::Held,
    shutdown::{Phase, reached},
    state::State,
};

/// The pause after a failure such as too many open files, which only time can mend.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A listener that fails fails often; say so only now and then.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Accepts and serves until the server closes its listener.
///
/// Until there is a certificate to serve, connections wait in the system's queue. A replica whose container was started again is
/// called before anybody has heard of its end: those calls then succeed a little later, and do not fail for a certificate
/// that nobody trusts.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut phases = state.phase.subscribe();
    let mut pauses = Pauses::default();
    tokio::select! {
        () = reached(&mut phases, Phase::Closing) => return,
        () = state.certificate() => {}
    }
    loop {
        let accepted = tokio::select! {
            biased;
            () = reached(&mut phases, Phase::Closing) => return,
            accepted = next(&listener, &state) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                pauses.reset();
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    let _open = Held::new(&state.metrics.connections_open);
                    connection::serve(stream, &state).await;
                    drop(place);
                });
            }
            Err(error) => {
                state.metrics.accept_errors.inc();
                tokio::select! {
                    () = reached(&mut phases, Phase::Closing) => return,
                    () = pauses.after(&error, "webhook") => {}
                }
            }
        }
    }
}

/// The next connection, once there is a place for it. Until then it waits in the system's queue, where it costs nothing.
async fn next(listener: &TcpListener, state: &State) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = if let Ok(place) = Arc::clone(&state.connections).try_acquire_owned() {
        place
    } else {
        state.set_crowded(true);
        let place = place(&state.connections).await;
        state.set_crowded(false);
        place
    };
    let (stream, _) = listener.accept().await?;
    // An answer is one write; waiting for more to send with it only delays it.
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

/// Waits for a place.
pub(super) async fn place(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(places).acquire_owned().await {
        Ok(place) => place,
        // Nobody closes the semaphore; if somebody did there would be no places any more.
        Err(_) => std::future::pending().await,
    }
}

/// How long to wait after failures in a row.
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
