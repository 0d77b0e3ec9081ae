//! From a request to a response: protocol errors (`docs/decision.md`), and the way to the decision and back.

use std::{borrow::Cow, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Version,
    body::{Body as _, Bytes, Incoming},
    header::{ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
};
use tokio::time::{Instant, timeout_at};

use super::{
    body::{self, BodyError},
    decide::{self, Undecided},
    metrics::{GaugeGuard, WEBHOOK},
    progress::Waiting,
    slots::Peer,
    state::State,
    timeout as asked_timeout,
    trace::Parent,
    tracked::TrackedRequest,
};
use crate::{admission, policy::PATH};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(super) const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// A reason that quotes what came in goes no further than this.
const REASON_BYTES: usize = 512;

/// The reason why a request got no review back. Its text is the response's one line.
#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error("there is nothing here; reviews go to {PATH}")]
    Path,
    #[error("no policy is served here; reviews go to {PATH}, or {PATH}/NAME of a policy")]
    NoPolicy,
    #[error("reviews are sent with POST")]
    Method,
    #[error("the content type is not application/json")]
    ContentType,
    #[error("the body is encoded; send it as it is")]
    ContentEncoding,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body was not sent within {} ms", .0.as_millis())]
    TooSlow(Duration),
    #[error("there is no room for the body; try again")]
    Busy,
    #[error("the review could not be decided within {} ms; try again", .0.as_millis())]
    TooLate(Duration),
    #[error("the body could not be read: {0}")]
    Broken(hyper::Error),
    #[error(transparent)]
    NotAReview(admission::NotAReview),
}

/// The most requests that wait for their peers, where connections are few: each costs some kilobytes. More of them can only be HTTP/2
/// streams that are left open.
const MOST_OPEN: i64 = 4096;

/// A request that is open, and counts as such. It is kept with its answer's bytes until the peer took them.
struct Open {
    tracked: TrackedRequest,
    _open: GaugeGuard,
}

impl Open {
    fn begin(state: &State, peer: Arc<Peer>) -> Self {
        let (open, number) = GaugeGuard::counted(&state.metrics.requests_open);
        if number > MOST_OPEN.max(2 * i64::from(state.limits.connections))
            && let Some(closed) = state.connections.close_heaviest()
        {
            state.evicted(WEBHOOK, &closed);
        }
        Self { tracked: TrackedRequest::begin(peer), _open: open }
    }
}

/// The bytes of an answer.
struct Answer {
    bytes: Vec<u8>,
    _open: Open,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Answers one request.
pub(super) async fn serve(
    state: Arc<State>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut open = Open::begin(&state, Arc::clone(&peer));
    let version = request.version();
    let has_body = !request.body().is_end_stream();
    let (mut response, bytes) = match review(&state, peer.address, request, &mut open).await {
        Ok(answer) => (json(), answer),
        Err(refusal) => {
            let unread = has_body && refusal.leaves_body_unread();
            if unread {
                peer.progress.leaves_body_unread();
            }
            refusal.note(&state, peer.address);
            refusal.into_response(unread && version <= Version::HTTP_11)
        }
    };
    if version <= Version::HTTP_11 && state.is_draining() {
        response.headers_mut().insert(CONNECTION, CLOSE);
    }
    state.metrics.responded(response.status().as_u16());
    open.tracked.responds();
    Ok(response.map(|()| Full::new(Bytes::from_owner(Answer { bytes, _open: open }))))
}

async fn review(
    state: &Arc<State>,
    peer: SocketAddr,
    request: Request<Incoming>,
    open: &mut Open,
) -> Result<Vec<u8>, HttpError> {
    let path = request.uri().path().to_owned();
    let Some(policy) = state.policies().at(&path).cloned() else {
        let is_ours = path.strip_prefix(PATH).is_some_and(|below| below.is_empty() || below.starts_with('/'));
        return Err(if is_ours { HttpError::NoPolicy } else { HttpError::Path });
    };
    if request.method() != Method::POST {
        return Err(HttpError::Method);
    }
    if !is_json(request.headers()) {
        return Err(HttpError::ContentType);
    }
    if is_encoded(request.headers()) {
        return Err(HttpError::ContentEncoding);
    }
    let limit = state.limits.body_bytes;
    if request.body().size_hint().lower() > limit as u64 {
        return Err(HttpError::TooLarge(limit));
    }
    let time = request
        .uri()
        .query()
        .and_then(asked_timeout::asked)
        .map_or(state.deadlines.body, |asked| asked.min(state.deadlines.body));
    let deadline = Instant::now() + time;
    // The headers are not kept while the body is waited for.
    let traceparent = Parent::header(request.headers());
    let body = request.into_body();
    let body = match timeout_at(deadline, body::read(body, limit, &state.body_budget)).await {
        Ok(Ok(body)) => body,
        Ok(Err(BodyError::TooLarge)) => return Err(HttpError::TooLarge(limit)),
        Ok(Err(BodyError::NoRoom)) => return Err(HttpError::Busy),
        Ok(Err(BodyError::Broken(error))) => return Err(HttpError::Broken(error)),
        Err(_) => return Err(HttpError::TooSlow(time)),
    };
    open.tracked.decides();
    let _held = GaugeGuard::new(&state.metrics.in_flight);
    // The policy of this moment, unless it was taken away meanwhile.
    let policy = state.policies().at(&path).cloned().unwrap_or(policy);
    decide::decide(state, policy, body, traceparent, peer, deadline).await.map_err(|undecided| match undecided {
        Undecided::NotAReview(error) => HttpError::NotAReview(error),
        Undecided::TooLate => HttpError::TooLate(time),
    })
}

/// True if the body is declared as JSON; parameters such as a charset make no difference.
fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn json() -> Response<()> {
    let mut response = Response::new(());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A response of one line of text.
pub(super) fn text(status: StatusCode, line: impl Into<Cow<'static, str>>) -> Response<Full<Bytes>> {
    let (response, line) = plain(status, line);
    response.map(|()| Full::new(Bytes::from(line)))
}

/// The head and the bytes of a response of one line of text.
fn plain(status: StatusCode, line: impl Into<Cow<'static, str>>) -> (Response<()>, Vec<u8>) {
    let mut line = line.into().into_owned();
    line.push('\n');
    let mut response = Response::new(());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    (response, line.into_bytes())
}

impl HttpError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Path | Self::NoPolicy => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Busy | Self::TooLate(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) | Self::NotAReview(_) => StatusCode::BAD_REQUEST,
        }
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((ALLOW, HeaderValue::from_static("POST"))),
            Self::Busy | Self::TooLate(_) => Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            Self::ContentEncoding => {
                Some((HeaderName::from_static("accept-encoding"), HeaderValue::from_static("identity")))
            }
            _ => None,
        }
    }

    fn leaves_body_unread(&self) -> bool {
        !matches!(self, Self::NotAReview(_) | Self::TooLate(_))
    }

    /// Counts and logs it, for an alert about it to be acted on.
    fn note(&self, state: &State, peer: SocketAddr) {
        let kind = match self {
            Self::Busy => {
                state.metrics.closed_to_make_room(WEBHOOK, Waiting::Body);
                return state.log_limiter.body_gave_way(peer);
            }
            Self::TooLate(_) => return,
            Self::Path | Self::NoPolicy => "path",
            Self::Method => "method",
            Self::ContentType | Self::ContentEncoding => "content type",
            Self::TooLarge(_) => "too large",
            Self::TooSlow(_) => "too slow",
            Self::Broken(_) => "broken",
            Self::NotAReview(_) => "no review",
        };
        state.log_limiter.bad_request(peer, self.status().as_u16(), kind, &one_line(&self.to_string()));
    }

    fn into_response(self, close: bool) -> (Response<()>, Vec<u8>) {
        let (mut response, line) = plain(self.status(), one_line(&self.to_string()));
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        if close {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        (response, line)
    }
}

/// The text as one short line, whatever of the request it quotes.
fn one_line(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(REASON_BYTES)];
    cut.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
