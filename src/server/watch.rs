//! What a connection is doing, so that one that does nothing, or nothing fast enough, can be closed.
//!
//! One timer for each connection looks now and then; a request costs two stores and no timer.

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

use super::config::Deadlines;

/// Keeps a wrong flag from making a busy loop.
const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// What a connection is doing.
pub(super) struct Watch {
    origin: Instant,
    /// Requests that are being answered.
    busy: AtomicU32,
    /// When the headers that are being read began, in milliseconds since the origin; 0 when none are.
    head_since: AtomicU64,
    /// When the last request was done, in milliseconds since the origin.
    idle_since: AtomicU64,
    body_unread: AtomicBool,
}

/// What took too long.
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
            busy: AtomicU32::new(0),
            head_since: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            body_unread: AtomicBool::new(false),
        }
    }

    /// A request's headers are complete; it is being answered for as long as the result lives.
    pub(super) fn request(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Relaxed);
        self.head_since.store(0, Relaxed);
        Busy(self)
    }

    /// The answer is given although the peer may still be sending.
    pub(super) fn leaves_body_unread(&self) {
        self.body_unread.store(true, Relaxed);
    }

    pub(super) fn left_body_unread(&self) -> bool {
        self.body_unread.load(Relaxed)
    }

    fn bytes_arrived(&self) {
        if self.busy.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.now().max(1), Relaxed);
        }
    }

    /// Returns once the connection has not done what it should in time. `crowded` tells whether others are waiting
    /// for its place: an idle connection then has to make room as soon as one that is slow.
    pub(super) async fn overdue(&self, deadlines: &Deadlines, crowded: impl Fn() -> bool) -> Overdue {
        let tick = (deadlines.header.min(deadlines.idle) / 4).max(SHORTEST_TICK);
        loop {
            sleep(tick).await;
            let idle = if crowded() { deadlines.idle.min(deadlines.header) } else { deadlines.idle };
            if let Some(overdue) = self.look(deadlines.header, idle) {
                return overdue;
            }
        }
    }

    fn look(&self, header: Duration, idle: Duration) -> Option<Overdue> {
        if self.busy.load(Relaxed) > 0 {
            return None;
        }
        let now = self.now();
        let past = |since: u64, deadline: Duration| u128::from(now.saturating_sub(since)) > deadline.as_millis();
        match self.head_since.load(Relaxed) {
            0 => past(self.idle_since.load(Relaxed), idle).then_some(Overdue::Idle),
            since => past(since, header).then_some(Overdue::Headers),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A request that is being answered.
pub(super) struct Busy<'a>(&'a Watch);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.now(), Relaxed);
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

/// A stream that tells the watch when bytes arrive, and leaves closing to its owner.
pub(super) struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.watch.bytes_arrived();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
