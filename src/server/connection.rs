//! One connection's life: the handshake, HTTP/1.1 or HTTP/2 as ALPN says, and an end that lets the peer read the last
//! answer.

use std::{sync::Arc, time::Duration};

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
    shutdown::{Phase, reached},
    state::State,
    watch::{Overdue, Watch, Watched},
};

/// Room for a request's headers, and the largest piece of a body that is read at once.
const HTTP1_BUFFER: usize = 64 << 10;
const HTTP2_STREAMS: u32 = 64;
const HTTP2_STREAM_WINDOW: u32 = 256 << 10;
const HTTP2_CONNECTION_WINDOW: u32 = 1 << 20;
const HTTP2_HEADERS: u32 = 32 << 10;
/// An HTTP/2 peer that is gone does not answer a ping.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer has to close its side once ours is closed.
const LINGER: Duration = Duration::from_secs(1);
/// How much of a body that nobody wants is thrown away, so that its sender gets to read why.
const LINGER_BYTES: u64 = 128 << 20;

const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    this port speaks HTTPS; use https://\n";
const HEADERS_TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    the headers were not sent in time\n";

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, state: &Arc<State>) {
    let Ok(shaken) = timeout(state.deadlines.handshake, handshake(stream, state)).await else {
        state.metrics.handshake_failed(HandshakeFailure::Timeout);
        return;
    };
    match shaken {
        Ok(tls) if tls.get_ref().1.alpn_protocol() == Some(b"h2") => http2(tls, state).await,
        Ok(tls) => http1(tls, state).await,
        Err(failure) => state.metrics.handshake_failed(failure),
    }
}

async fn handshake(mut stream: TcpStream, state: &State) -> Result<TlsStream<TcpStream>, HandshakeFailure> {
    // Every TLS connection begins with a handshake record, which no HTTP method does.
    let mut first = [0; 1];
    if matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_uppercase() {
        // The peer may be gone; the failure is counted either way.
        let _ = stream.write_all(PLAIN_HTTP).await;
        let _ = stream.shutdown().await;
        discard(stream, LINGER).await;
        return Err(HandshakeFailure::PlainHttp);
    }
    TlsAcceptor::from(state.tls()).accept(stream).await.map_err(|_| HandshakeFailure::Tls)
}

async fn http1(tls: TlsStream<TcpStream>, state: &Arc<State>) {
    let watch = Arc::new(Watch::new());
    let service = {
        let (state, watch) = (Arc::clone(state), Arc::clone(&watch));
        service_fn(move |request| http::serve(Arc::clone(&state), Arc::clone(&watch), request))
    };
    let mut connection = http1::Builder::new()
        // The watch tells idle connections from slow headers; hyper's one timer cannot.
        .header_read_timeout(None)
        // Whoever closes its side after the request still gets the answer.
        .half_close(true)
        .max_buf_size(HTTP1_BUFFER)
        .serve_connection(TokioIo::new(Watched::new(tls, Arc::clone(&watch))), service);

    let mut phases = state.phase.subscribe();
    let mut told = false;
    let overdue = loop {
        tokio::select! {
            biased;
            // How it ended is the peer's business: it is closed now.
            _ = &mut connection => break None,
            () = reached(&mut phases, Phase::Closing), if !told => {
                told = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            overdue = watch.overdue(&state.deadlines, || state.is_crowded()) => break Some(overdue),
        }
    };
    let mut tls = connection.into_parts().io.into_inner().into_inner();
    let linger = if watch.left_body_unread() { state.deadlines.body } else { LINGER };
    // However it ends, it ends; the place is free afterwards.
    let _ = timeout(LINGER, async {
        if overdue == Some(Overdue::Headers) {
            tls.write_all(HEADERS_TOO_SLOW).await?;
        }
        tls.shutdown().await
    })
    .await;
    discard(tls.into_inner().0, linger).await;
}

/// Throws away what the peer still sends until it closes its side. To close with bytes unread would reset the
/// connection, and the peer could lose the answer it has not read yet.
async fn discard(stream: TcpStream, linger: Duration) {
    let _ = timeout(linger, tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink())).await;
}

async fn http2(tls: TlsStream<TcpStream>, state: &Arc<State>) {
    let watch = Arc::new(Watch::new());
    let service = {
        let (state, watch) = (Arc::clone(state), Arc::clone(&watch));
        service_fn(move |request| http::serve(Arc::clone(&state), Arc::clone(&watch), request))
    };
    let mut connection = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .max_header_list_size(HTTP2_HEADERS)
            .keep_alive_interval(HTTP2_PING_INTERVAL)
            .keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .serve_connection(TokioIo::new(tls), service)
    );

    let mut phases = state.phase.subscribe();
    // A connection made while the server drains is needed: it goes with the listener.
    let goes_at = if state.is_draining() { Phase::Closing } else { Phase::Draining };
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = reached(&mut phases, goes_at), if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = watch.overdue(&state.deadlines, || state.is_crowded()) => {
                if told {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                // A peer that neither reads nor answers would never let it end.
                let _ = timeout(LINGER, connection.as_mut()).await;
                return;
            }
        }
    }
}
