//! The state of one connection, so that one that does nothing, or nothing fast enough, can be closed.
//!
//! One timer for each connection looks now and then; a request costs some stores and no timer.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep},
};

use super::{config::Deadlines, places::Seat};

/// Keeps a wrong flag from making a busy loop.
const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// The state of a connection.
pub(super) struct Watch {
    origin: Instant,
    /// The TLS handshake is complete.
    shaken: AtomicBool,
    /// The peer has taken an answer.
    answered: AtomicBool,
    /// The requests whose bodies are incomplete, that are decided, and whose answers the peer has not taken.
    requests: [AtomicU32; 3],
    /// The begin of the head that is being read, in milliseconds since the origin; 0 for none.
    head_since: AtomicU64,
    /// The end of the last head, body or answer, in milliseconds since the origin.
    progress: AtomicU64,
    /// The peer took less than was written.
    blocked: AtomicBool,
    body_unread: AtomicBool,
    /// The last was written; the peer has to close its side.
    ending: AtomicBool,
}

/// The stage of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Receiving,
    Deciding,
    Responding,
}

/// What a connection waits for its peer to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// To complete the TLS handshake.
    Handshake,
    /// To complete a request's headers.
    Head,
    /// To complete a request's body.
    Body,
    /// To take an answer.
    Response,
    /// To send another request.
    Idle,
}

/// A deadline that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Headers began to arrive and did not end.
    Headers,
    /// No request came, or an answer was not taken.
    Idle,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            shaken: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            requests: Default::default(),
            head_since: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            body_unread: AtomicBool::new(false),
            ending: AtomicBool::new(false),
        }
    }

    /// Notes that the TLS handshake is complete.
    pub(super) fn shook_hands(&self) {
        self.shaken.store(true, Relaxed);
    }

    /// Notes that the answer is given although the peer may still be sending.
    pub(super) fn leaves_body_unread(&self) {
        self.body_unread.store(true, Relaxed);
    }

    pub(super) fn left_body_unread(&self) -> bool {
        self.body_unread.load(Relaxed)
    }

    /// Notes that nothing more is written or answered.
    pub(super) fn ends(&self) {
        self.ending.store(true, Relaxed);
    }

    /// True once the peer took an answer.
    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Relaxed)
    }

    /// What the connection waits for; none while it decides.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        if self.count(Stage::Deciding) > 0 {
            None
        } else if !self.shaken.load(Relaxed) {
            Some(Waiting::Handshake)
        } else if self.count(Stage::Receiving) > 0 {
            Some(Waiting::Body)
        } else if self.count(Stage::Responding) > 0 || self.blocked.load(Relaxed) || self.ending.load(Relaxed) {
            Some(Waiting::Response)
        } else if self.head_since.load(Relaxed) > 0 || !self.is_answered() {
            Some(Waiting::Head)
        } else {
            Some(Waiting::Idle)
        }
    }

    /// True while the connection has to prove itself: its peer never took an answer, or has nothing more to get.
    pub(super) fn is_unproven(&self) -> bool {
        !self.is_answered() || self.ending.load(Relaxed)
    }

    /// How long the peer has completed nothing: since it came, as long as it took no answer.
    pub(super) fn waits_for(&self) -> Duration {
        let since = if self.is_unproven() { 0 } else { self.progress.load(Relaxed) };
        Duration::from_millis(self.now().saturating_sub(since))
    }

    /// The number of requests that wait for the peer.
    pub(super) fn unfinished(&self) -> u32 {
        self.count(Stage::Receiving) + self.count(Stage::Responding)
    }

    fn count(&self, stage: Stage) -> u32 {
        self.requests[stage as usize].load(Relaxed)
    }

    fn bytes_arrived(&self) {
        if self.head_since.load(Relaxed) == 0 && self.count(Stage::Receiving) == 0 && self.count(Stage::Deciding) == 0 {
            self.head_since.store(self.now().max(1), Relaxed);
        }
    }

    /// Returns once the connection has missed a deadline.
    pub(super) async fn overdue(&self, deadlines: &Deadlines) -> Overdue {
        let tick = (deadlines.header.min(deadlines.idle) / 4).max(SHORTEST_TICK);
        loop {
            sleep(tick).await;
            if let Some(overdue) = self.look(deadlines) {
                return overdue;
            }
        }
    }

    fn look(&self, deadlines: &Deadlines) -> Option<Overdue> {
        if self.count(Stage::Receiving) > 0 || self.count(Stage::Deciding) > 0 {
            return None;
        }
        let now = self.now();
        let past = |since: u64, deadline: Duration| u128::from(now.saturating_sub(since)) > deadline.as_millis();
        match self.head_since.load(Relaxed) {
            0 => past(self.progress.load(Relaxed), deadlines.idle).then_some(Overdue::Idle),
            since => past(since, deadlines.header).then_some(Overdue::Headers),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A request from the end of its headers until its peer took the answer.
pub(super) struct Watched {
    seat: Arc<Seat>,
    stage: Stage,
}

impl Watched {
    /// The headers are complete.
    pub(super) fn begin(seat: Arc<Seat>) -> Self {
        let watch = &seat.watch;
        watch.head_since.store(0, Relaxed);
        watch.progress.store(watch.now(), Relaxed);
        watch.requests[Stage::Receiving as usize].fetch_add(1, Relaxed);
        Self { seat, stage: Stage::Receiving }
    }

    /// The body is complete.
    pub(super) fn decides(&mut self) {
        self.step(Stage::Deciding);
    }

    /// The answer is given.
    pub(super) fn responds(&mut self) {
        self.step(Stage::Responding);
        let watch = &self.seat.watch;
        watch.progress.store(watch.now(), Relaxed);
    }

    fn step(&mut self, to: Stage) {
        let watch = &self.seat.watch;
        // In this order it is never seen to do nothing.
        watch.requests[to as usize].fetch_add(1, Relaxed);
        watch.requests[self.stage as usize].fetch_sub(1, Relaxed);
        self.stage = to;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let watch = &self.seat.watch;
        if self.stage == Stage::Responding {
            watch.answered.store(true, Relaxed);
        }
        watch.requests[self.stage as usize].fetch_sub(1, Relaxed);
    }
}

/// A stream that tells the watch when bytes arrive and when they are not taken, and leaves closing to its owner.
pub(super) struct WatchedStream<S> {
    stream: S,
    seat: Arc<Seat>,
}

impl<S> WatchedStream<S> {
    pub(super) fn new(stream: S, seat: Arc<Seat>) -> Self {
        Self { stream, seat }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Notes whether the peer takes what is written.
    fn wrote<T>(&self, written: Poll<T>) -> Poll<T> {
        self.seat.watch.blocked.store(written.is_pending(), Relaxed);
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.seat.watch.bytes_arrived();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.wrote(flushed)
    }

    /// Only flushes: the connection's owner closes it, with time for the peer to read what was written.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.poll_flush(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
