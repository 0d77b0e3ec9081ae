//! Probes and metrics over plain HTTP: `/livez`, `/readyz`, `/metrics`.
//!
//! One request a connection, under short deadlines, and a newcomer takes the slot of the oldest: a peer that holds the port open
//! cannot keep the kubelet out, and there is no state to keep.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    http::text,
    listener::{Pauses, has_no_more_files, take_slot},
    metrics::ADMIN,
    slots::{ConnectionSlots, Peer},
    state::State,
    tracked::TrackedRequest,
};
use crate::{policy::Problem, registration::Drift};

const CONNECTIONS: usize = 64;
/// The deadline of a request's headers, and then of its answer.
const DEADLINE: Duration = Duration::from_secs(1);
const BUFFER: usize = 16 << 10;
const OPENMETRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Serves for as long as the process lives.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let slots = Arc::new(ConnectionSlots::new(CONNECTIONS));
    let mut pauses = Pauses::default();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if has_no_more_files(&error)
                    && let Some(closed) = slots.close_longest_waiting()
                {
                    state.evicted(ADMIN, &closed);
                }
                pauses.after(&error, ADMIN).await;
                continue;
            }
        };
        pauses.reset();
        let mut slot = take_slot(&slots, peer, ADMIN, &state).await;
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let peer = Arc::clone(&slot.peer);
            tokio::select! {
                biased;
                () = slot.needed() => {}
                () = connection(stream, &peer, &state) => {}
            }
        });
    }
}

/// Answers one request, under a deadline for each half of it.
async fn connection(stream: TcpStream, peer: &Arc<Peer>, state: &State) {
    peer.progress.shook_hands();
    let asked = Notify::new();
    let service = service_fn(|request| {
        let mut tracked = TrackedRequest::begin(Arc::clone(peer));
        tracked.decides();
        let response = answer(state, &request);
        tracked.responds();
        asked.notify_one();
        async move { Ok::<_, Infallible>(response) }
    });
    let mut connection = http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .header_read_timeout(None)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    // How it ended is the peer's business; that it ended is ours.
    tokio::select! {
        biased;
        _ = &mut connection => return,
        () = asked.notified() => {}
        () = sleep(DEADLINE) => return,
    }
    let _ = timeout(DEADLINE, connection).await;
}

fn answer(state: &State, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/livez" | "/readyz" | "/metrics") {
        return text(StatusCode::NOT_FOUND, "there is nothing here; try /livez, /readyz or /metrics");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "this is read with GET");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/readyz" => ready(state),
        "/metrics" => metrics(state),
        _ => text(StatusCode::OK, "ok"),
    }
}

/// Drift is a warning, and no reason to take replicas away: that would not close the hole.
fn ready(state: &State) -> Response<Full<Bytes>> {
    if let Some(reason) = state.unready() {
        return text(StatusCode::SERVICE_UNAVAILABLE, reason);
    }
    let (status, policies) = (state.status(), state.policies());
    let served = policies.policies().map(|policy| format!("\npolicy {}", policy.name_and_digest()));
    let drift = status.drift.iter().flatten().map(|Drift { policy, message }| match policy {
        Some(_) if policies.is_single() => format!("\nwarning: updates get past the guard: {message}"),
        Some(policy) => format!("\nwarning: updates get past the guard that policy {policy} denies: {message}"),
        None => format!("\nwarning: updates are rejected: {message}"),
    });
    let ca = status.ca_problem.iter().map(|problem| format!("\nwarning: cannot store the CA: {problem}"));
    let files = policies.problems().map(|Problem { reason, before, .. }| match before {
        Some(before) => {
            let before = if policies.is_single() { "the policy" } else { before.name() };
            format!("\nwarning: the policy file cannot be used, and {before} before stays in effect: {reason}")
        }
        None => format!("\nwarning: the policy file cannot be used: {reason}"),
    });
    let retired = policies.retired().map(|policy| {
        format!("\nwarning: the file of policy {} is gone; it stays in effect while webhooks lead to it", policy.name())
    });
    let ok = std::iter::once("ok".to_owned());
    text(StatusCode::OK, ok.chain(served).chain(drift).chain(ca).chain(files).chain(retired).collect::<String>())
}

fn metrics(state: &State) -> Response<Full<Bytes>> {
    state.tell_ready();
    match state.metrics.text() {
        Ok(page) => {
            let mut response = Response::new(Full::new(Bytes::from(page)));
            response.headers_mut().insert(CONTENT_TYPE, OPENMETRICS);
            response
        }
        // Writing to a string does not fail; if it ever did, a scrape must not look like an empty success.
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics cannot be written: {error}")),
    }
}
