//! From a request to a response: what the contract calls protocol errors, and the way to the core and back.

use std::{borrow::Cow, convert::Infallible, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Version,
    body::{Body as _, Bytes, Incoming},
    header::{ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
};
use tokio::time::{Instant, timeout};

use super::{
    audit,
    body::{self, BodyError},
    metrics::Held,
    state::State,
    timeout as asked_timeout,
    watch::Watch,
};
use crate::admission;

const PATH: &str = "/validate";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(super) const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// A reason that quotes what came in goes no further than this.
const REASON_BYTES: usize = 512;

/// Why a request got no review back. Its text is the response's one line.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is nothing here; reviews go to {PATH}")]
    Path,
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
    #[error("too many requests are being answered; try again")]
    Busy,
    #[error("the body could not be read: {0}")]
    Broken(hyper::Error),
    #[error(transparent)]
    NotAReview(admission::NotAReview),
}

/// Answers one request.
pub(super) async fn serve(
    state: Arc<State>,
    watch: Arc<Watch>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let _busy = watch.request();
    let version = request.version();
    let has_body = !request.body().is_end_stream();
    let mut response = match review(&state, request).await {
        Ok(answer) => json(answer),
        Err(refusal) => {
            let unread = has_body && refusal.leaves_body_unread();
            if unread {
                watch.leaves_body_unread();
            }
            refusal.into_response(unread && version <= Version::HTTP_11)
        }
    };
    if version <= Version::HTTP_11 && state.is_draining() {
        response.headers_mut().insert(CONNECTION, CLOSE);
    }
    state.metrics.responded(response.status().as_u16());
    Ok(response)
}

async fn review(state: &State, request: Request<Incoming>) -> Result<Vec<u8>, Refusal> {
    if request.uri().path() != PATH {
        return Err(Refusal::Path);
    }
    if request.method() != Method::POST {
        return Err(Refusal::Method);
    }
    if !is_json(request.headers()) {
        return Err(Refusal::ContentType);
    }
    if is_encoded(request.headers()) {
        return Err(Refusal::ContentEncoding);
    }
    let limit = state.limits.body_bytes;
    if request.body().size_hint().lower() > limit as u64 {
        return Err(Refusal::TooLarge(limit));
    }
    let deadline = request
        .uri()
        .query()
        .and_then(asked_timeout::asked)
        .map_or(state.deadlines.body, |asked| asked.min(state.deadlines.body));

    let _permit = state.in_flight.try_acquire().map_err(|_| Refusal::Busy)?;
    let _held = Held::new(&state.metrics.in_flight);
    let (head, body) = request.into_parts();
    let body = match timeout(deadline, body::read(body, limit, &state.bodies)).await {
        Ok(Ok(body)) => body,
        Ok(Err(BodyError::TooLarge)) => return Err(Refusal::TooLarge(limit)),
        Ok(Err(BodyError::Broken(error))) => return Err(Refusal::Broken(error)),
        Err(_) => return Err(Refusal::TooSlow(deadline)),
    };

    let begun = Instant::now();
    let answer = admission::answer(&body, &state.policy()).map_err(Refusal::NotAReview)?;
    state.metrics.decided(&answer.decision, begun.elapsed());
    audit::log(&answer.decision, &head.headers);
    Ok(answer.body)
}

/// Whether the body is declared as JSON; parameters such as a charset make no difference.
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

fn json(body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A response of one line of text.
pub(super) fn text(status: StatusCode, line: impl Into<Cow<'static, str>>) -> Response<Full<Bytes>> {
    let mut line = line.into().into_owned();
    line.push('\n');
    let mut response = Response::new(Full::new(Bytes::from(line)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) | Self::NotAReview(_) => StatusCode::BAD_REQUEST,
        }
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((ALLOW, HeaderValue::from_static("POST"))),
            Self::Busy => Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            Self::ContentEncoding => {
                Some((HeaderName::from_static("accept-encoding"), HeaderValue::from_static("identity")))
            }
            _ => None,
        }
    }

    fn leaves_body_unread(&self) -> bool {
        !matches!(self, Self::NotAReview(_))
    }

    fn into_response(self, close: bool) -> Response<Full<Bytes>> {
        let mut response = text(self.status(), one_line(&self.to_string()));
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        if close {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        response
    }
}

/// The text as one short line, whatever of the request it quotes.
fn one_line(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(REASON_BYTES)];
    cut.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
