//! Reading a body into memory: under a limit, in as few pieces and copies as it came.

use std::{
    convert::Infallible,
    mem,
    ops::Deref,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use tokio::time::sleep;

/// What is reserved on the word of a Content-Length, before the bytes are there.
const TRUSTED_BYTES: usize = 1 << 20;

/// Buffers kept for the next large body, and the largest that is kept: 8 MiB in all.
///
/// A fresh buffer of a megabyte is 256 page faults, a tenth of all the time such a review takes.
const SPARES: usize = 4;
const SPARE_BYTES: usize = 2 << 20;
/// How long they are kept while nobody needs them.
const SPARE_TIME: Duration = Duration::from_secs(5);
/// Smaller ones the allocator keeps at hand by itself.
const SMALL_BYTES: usize = 64 << 10;

/// Buffers that large bodies leave to those after them.
#[derive(Default)]
pub(super) struct Pool {
    spares: Mutex<Vec<Vec<u8>>>,
    used: AtomicBool,
}

/// A buffer that goes back to its pool.
pub(super) struct Pooled<'a> {
    bytes: Vec<u8>,
    pool: &'a Pool,
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is over the limit.
    TooLarge,
    /// The connection or the encoding failed.
    Broken(hyper::Error),
}

/// A whole body.
pub(super) enum Body<'a> {
    /// It came in one piece, and is used where it lies.
    One(Bytes),
    /// It was put together.
    Joined(Pooled<'a>),
}

impl Deref for Body<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::One(piece) => piece,
            Self::Joined(pieces) => &pieces.bytes,
        }
    }
}

/// Reads the body to its end, or until it is over the limit.
pub(super) async fn read(mut incoming: Incoming, limit: usize, pool: &Pool) -> Result<Body<'_>, BodyError> {
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
                let mut joined = pool.take(expected.max(first.len() + data.len()));
                joined.bytes.extend_from_slice(&first);
                joined.bytes.extend_from_slice(&data);
                Body::Joined(joined)
            }
            Body::Joined(mut joined) => {
                grow(&mut joined.bytes, data.len(), declared.unwrap_or(limit));
                joined.bytes.extend_from_slice(&data);
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

impl Pool {
    /// A buffer with at least this much room.
    fn take(&self, bytes: usize) -> Pooled<'_> {
        let mut buffer = Vec::new();
        if bytes > SMALL_BYTES {
            self.used.store(true, Relaxed);
            buffer = self.spares().pop().unwrap_or_default();
        }
        buffer.reserve_exact(bytes);
        Pooled { bytes: buffer, pool: self }
    }

    /// Gives the memory back once no large body came for a while.
    pub(super) async fn tidy(&self) -> Infallible {
        loop {
            sleep(SPARE_TIME).await;
            if !self.used.swap(false, Relaxed) {
                self.spares().clear();
            }
        }
    }

    fn spares(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // Nothing can fail while the lock is held, so a poisoned one holds good buffers all the same.
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        let mut buffer = mem::take(&mut self.bytes);
        if (SMALL_BYTES..=SPARE_BYTES).contains(&buffer.capacity()) {
            buffer.clear();
            let mut spares = self.pool.spares();
            if spares.len() < SPARES {
                spares.push(buffer);
            }
        }
    }
}
