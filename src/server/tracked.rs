//! Requests and streams that note the progress of their connection.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{progress::Stage, slots::Peer};

/// A request from the end of its headers until its peer took the answer.
pub(super) struct TrackedRequest {
    peer: Arc<Peer>,
    stage: Stage,
}

impl TrackedRequest {
    /// The headers are complete.
    pub(super) fn begin(peer: Arc<Peer>) -> Self {
        peer.progress.begin_request();
        Self { peer, stage: Stage::Receiving }
    }

    /// The body is complete.
    pub(super) fn decides(&mut self) {
        self.step(Stage::Deciding);
    }

    /// The answer is given.
    pub(super) fn responds(&mut self) {
        self.step(Stage::Responding);
    }

    fn step(&mut self, to: Stage) {
        self.peer.progress.step(self.stage, to);
        self.stage = to;
    }
}

impl Drop for TrackedRequest {
    fn drop(&mut self) {
        self.peer.progress.end_request(self.stage);
    }
}

/// A stream that notes when bytes arrive and when they are not taken. Its owner closes it.
pub(super) struct TrackedStream<S> {
    stream: S,
    peer: Arc<Peer>,
}

impl<S> TrackedStream<S> {
    pub(super) fn new(stream: S, peer: Arc<Peer>) -> Self {
        Self { stream, peer }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Notes if the peer does not take what is written.
    fn wrote<T>(&self, written: Poll<T>) -> Poll<T> {
        self.peer.progress.set_blocked(written.is_pending());
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.peer.progress.bytes_arrived();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedStream<S> {
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
