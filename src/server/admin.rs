//! Probes and metrics over plain HTTP: `/livez`, `/readyz`, `/metrics`.
//!
//! One request a connection, and each under one deadline: whoever holds the port open cannot keep the kubelet out for
//! long, and there is no state to keep.

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
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};

use super::{
    http::text,
    listener::{Pauses, place},
    state::State,
};

const CONNECTIONS: usize = 64;
const DEADLINE: Duration = Duration::from_secs(5);
const BUFFER: usize = 16 << 10;
const OPENMETRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Serves for as long as the process lives.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut pauses = Pauses::default();
    loop {
        let place = place(&places).await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                pauses.after(&error, "admin").await;
                continue;
            }
        };
        pauses.reset();
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&state, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .keep_alive(false)
                .half_close(true)
                .header_read_timeout(None)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), service);
            // How it ended is the peer's business; that it ended is ours.
            let _ = timeout(DEADLINE, connection).await;
            drop(place);
        });
    }
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

/// A registration that does not fit is told, and no reason to take replicas away: that would not close the hole.
fn ready(state: &State) -> Response<Full<Bytes>> {
    if let Some(reason) = state.unready() {
        return text(StatusCode::SERVICE_UNAVAILABLE, reason);
    }
    let standing = state.standing();
    let misfits = standing.misfits.iter().flatten();
    let misfits = misfits.map(|misfit| format!("\nwarning: updates get past the guard: {misfit}"));
    let problem = standing.problem.iter().map(|problem| format!("\nwarning: the CA is not kept: {problem}"));
    let warnings = misfits.chain(problem);
    text(StatusCode::OK, std::iter::once("ok".to_owned()).chain(warnings).collect::<String>())
}

fn metrics(state: &State) -> Response<Full<Bytes>> {
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
