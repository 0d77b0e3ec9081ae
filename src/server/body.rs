//! Reading a body into memory: under a limit, in as few pieces and copies as it came.

use std::ops::Deref;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};

/// What is reserved on the word of a Content-Length, before the bytes are there.
const TRUSTED_BYTES: usize = 1 << 20;

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is over the limit.
    TooLarge,
    /// The connection or the encoding failed.
    Broken(hyper::Error),
}

/// A whole body.
pub(super) enum Body {
    /// It came in one piece, and is used where it lies.
    One(Bytes),
    /// It was put together.
    Joined(Vec<u8>),
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::One(piece) => piece,
            Self::Joined(pieces) => pieces,
        }
    }
}

/// Reads the body to its end, or until it is over the limit.
pub(super) async fn read(mut incoming: Incoming, limit: usize) -> Result<Body, BodyError> {
    let declared = incoming.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    let mut body = Body::One(Bytes::new());
    while let Some(frame) = incoming.frame().await {
        // Anything else is trailers, which mean nothing here.
        let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() else { continue };
        if body.len() + data.len() > limit {
            return Err(BodyError::TooLarge);
        }
        body = match body {
            Body::One(first) if first.is_empty() => Body::One(data),
            Body::One(first) => {
                let expected = declared.unwrap_or(first.len() * 4).min(TRUSTED_BYTES);
                let mut joined = Vec::with_capacity(expected.max(first.len() + data.len()));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                Body::Joined(joined)
            }
            Body::Joined(mut joined) => {
                grow(&mut joined, data.len(), declared.unwrap_or(limit));
                joined.extend_from_slice(&data);
                Body::Joined(joined)
            }
        };
    }
    Ok(body)
}

/// Makes room by doubling, but for no more than can still come.
fn grow(joined: &mut Vec<u8>, more: usize, end: usize) {
    let needed = joined.len() + more;
    if needed > joined.capacity() {
        let target = (joined.capacity() * 2).min(end).max(needed);
        joined.reserve_exact(target - joined.len());
    }
}
