//! One connection's life: the handshake, HTTP/1.1 or HTTP/2 as ALPN says, and an end that lets the peer read the last
//! answer.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    http,
    metrics::HandshakeFailure,
    progress::{Overdue, Waiting},
    shutdown::{Phase, reached},
    slots::{Peer, Slot},
    state::State,
    tracked::TrackedStream,
};

/// Room for a request's headers, and the largest piece of a body that is read at once.
const HTTP1_BUFFER: usize = 64 << 10;
const HTTP2_STREAMS: u32 = 64;
const HTTP2_STREAM_WINDOW: u32 = 256 << 10;
const HTTP2_CONNECTION_WINDOW: u32 = 1 << 20;
/// The smallest that the protocol allows: a frame is read whole before anything is done with it.
const HTTP2_FRAME: u32 = 16 << 10;
/// An API server sends a few hundred bytes. A header block that goes on in more CONTINUATION frames than this takes ends the connection.
const HTTP2_HEADERS: u32 = 16 << 10;
/// The most that HPACK keeps for the connection's life: the protocol's default, which clients count on before they have
/// read our settings.
const HTTP2_HEADER_TABLE: u32 = 4 << 10;
/// Streams that the peer reset before they were begun (rapid reset). More of them end the connection.
const HTTP2_RESETS_BY_PEER: usize = 20;
/// Streams that we reset because the peer broke the protocol. More of them end the connection. One that is refused for being one too
/// many is not among them.
const HTTP2_RESETS_BY_US: usize = 128;
/// The most that is buffered of one answer until the peer accepts it. A denial has some kilobytes.
const HTTP2_SEND_BUFFER: usize = 64 << 10;
/// An HTTP/2 peer that is gone does not answer a ping.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The time for a peer to close its side once ours is closed.
const LINGER: Duration = Duration::from_secs(1);
/// The most of an unwanted body that is read and discarded, so that its sender reads the response.
const LINGER_BYTES: u64 = 128 << 20;

const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    this port speaks HTTPS; use https://\n";
const HEADERS_TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    the headers were not sent in time\n";

/// Serves one connection to its end, or until a newcomer needs its slot.
pub(super) async fn serve(stream: TcpStream, mut slot: Slot, state: &Arc<State>) {
    let peer = Arc::clone(&slot.peer);
    let shaken = tokio::select! {
        biased;
        () = slot.needed() => return,
        shaken = timeout(state.deadlines.handshake, handshake(stream, state)) => shaken,
    };
    let (reason, error) = match shaken {
        Ok(Ok(tls)) => {
            peer.progress.shook_hands();
            if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
                http2(tls, slot, state).await;
            } else {
                http1(tls, slot, state).await;
            }
            return;
        }
        Ok(Err((reason, error))) => (reason, error),
        Err(_) => (HandshakeFailure::Timeout, "the handshake was not completed in time".to_owned()),
    };
    state.metrics.handshake_failed(reason);
    state.log_limiter.handshake_failed(peer.address, reason, &error);
}

async fn handshake(mut stream: TcpStream, state: &State) -> Result<TlsStream<TcpStream>, (HandshakeFailure, String)> {
    // Every TLS connection begins with a handshake record, which no HTTP method does.
    let mut first = [0; 1];
    if matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_uppercase() {
        // The peer may be gone; the failure is counted either way.
        let _ = stream.write_all(PLAIN_HTTP).await;
        let _ = stream.shutdown().await;
        discard(stream, LINGER).await;
        return Err((HandshakeFailure::PlainHttp, "the peer speaks plain HTTP".to_owned()));
    }
    let accepted = TlsAcceptor::from(state.tls().await).accept(stream).await;
    accepted.map_err(|error| (HandshakeFailure::Tls, error.to_string()))
}

async fn http1(tls: TlsStream<TcpStream>, mut slot: Slot, state: &Arc<State>) {
    let peer = Arc::clone(&slot.peer);
    let service = {
        let (state, peer) = (Arc::clone(state), Arc::clone(&peer));
        service_fn(move |request| http::serve(Arc::clone(&state), Arc::clone(&peer), request))
    };
    let mut connection = http1::Builder::new()
        // The watch tells idle connections from slow headers; hyper's one timer cannot.
        .header_read_timeout(None)
        // A peer that closes its side after the request still gets the answer.
        .half_close(true)
        .max_buf_size(HTTP1_BUFFER)
        .serve_connection(TokioIo::new(TrackedStream::new(tls, Arc::clone(&peer))), service);

    let mut phases = state.phase.subscribe();
    let mut is_closing = false;
    let mut told = false;
    let overdue = loop {
        tokio::select! {
            biased;
            () = slot.needed() => {
                if peer.progress.waiting() != Some(Waiting::Idle) {
                    return;
                }
                break None;
            }
            // How it ended is the peer's business: it is closed now.
            _ = &mut connection => break None,
            () = reached(&mut phases, Phase::Closing), if !is_closing => is_closing = true,
            () = answered(&peer), if is_closing && !told => {
                told = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            overdue = peer.progress.overdue(&state.deadlines) => break Some(overdue),
        }
    };
    peer.progress.ends();
    let mut tls = connection.into_parts().io.into_inner().into_inner();
    let linger = if peer.progress.left_body_unread() { state.deadlines.body } else { LINGER };
    let goodbye = async {
        // However it ends, the slot is free afterwards.
        let _ = timeout(LINGER, async {
            if overdue == Some(Overdue::Headers) {
                tls.write_all(HEADERS_TOO_SLOW).await?;
            }
            tls.shutdown().await
        })
        .await;
        discard(tls.into_inner().0, linger).await;
    };
    farewell(&mut slot, state, goodbye).await;
}

/// Closes gracefully until the slot is needed. If it is needed already, a few connections at a time still may.
async fn farewell(slot: &mut Slot, state: &State, goodbye: impl Future<Output = ()>) {
    if slot.is_lost() {
        let Ok(_permit) = state.farewells.try_acquire() else { return };
        goodbye.await;
    } else {
        tokio::select! {
            biased;
            () = slot.needed() => {}
            () = goodbye => {}
        }
    }
}

/// Throws away what the peer still sends until it closes its side. To close with bytes unread would reset the
/// connection, and the peer could lose the answer it has not read yet.
async fn discard(stream: TcpStream, linger: Duration) {
    let _ = timeout(linger, tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink())).await;
}

/// Returns once the peer took an answer. It must be asked again whenever the connection did something.
async fn answered(peer: &Peer) {
    poll_fn(|_| if peer.progress.is_answered() { Poll::Ready(()) } else { Poll::Pending }).await;
}

async fn http2(tls: TlsStream<TcpStream>, mut slot: Slot, state: &Arc<State>) {
    let peer = Arc::clone(&slot.peer);
    let service = {
        let (state, peer) = (Arc::clone(state), Arc::clone(&peer));
        service_fn(move |request| http::serve(Arc::clone(&state), Arc::clone(&peer), request))
    };
    let mut connection = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .max_frame_size(HTTP2_FRAME)
            .max_header_list_size(HTTP2_HEADERS)
            .header_table_size(HTTP2_HEADER_TABLE)
            .max_pending_accept_reset_streams(HTTP2_RESETS_BY_PEER)
            .max_local_error_reset_streams(HTTP2_RESETS_BY_US)
            .max_send_buf_size(HTTP2_SEND_BUFFER)
            .keep_alive_interval(HTTP2_PING_INTERVAL)
            .keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .serve_connection(TokioIo::new(tls), service)
    );

    let mut phases = state.phase.subscribe();
    // A connection made while the server drains is needed: it goes with the listener.
    let goes_at = if state.is_draining() { Phase::Closing } else { Phase::Draining };
    let mut goes = false;
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            () = slot.needed() => {
                if peer.progress.waiting() != Some(Waiting::Idle) {
                    return;
                }
                break;
            }
            _ = connection.as_mut() => return,
            () = reached(&mut phases, goes_at), if !goes => goes = true,
            // A request may be on its way.
            () = answered(&peer), if goes && !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = peer.progress.overdue(&state.deadlines) => break,
        }
    }
    if !told {
        connection.as_mut().graceful_shutdown();
        peer.progress.ends();
        // A peer that neither reads nor answers would never let it end.
        let goodbye = async {
            let _ = timeout(LINGER, connection.as_mut()).await;
        };
        farewell(&mut slot, state, goodbye).await;
    }
}
