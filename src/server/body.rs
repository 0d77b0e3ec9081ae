//! Reading a body into memory: under a limit, in as few pieces and copies as it came, and out of a budget that all bodies share.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    mem,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::oneshot, time::sleep};

/// The largest body that is small. One that was made to be expensive is decided in some milliseconds; larger ones must not keep a
/// thread that others wait for.
pub(super) const SMALL_BYTES: usize = 128 << 10;
/// The first buffer has room for so many times what came. The whole of most reviews fits.
const FIRST_ROOM: usize = 4;
/// The share of the budget that only small bodies get, as a divisor.
const SMALL_SHARE: usize = 8;

/// Buffers kept for the next large body, and the largest that is kept: 8 MiB in all.
///
/// A fresh buffer of a megabyte is 256 page faults, a tenth of all the time such a review takes.
const SPARES: usize = 4;
const SPARE_BYTES: usize = 2 << 20;
/// The time for which unused buffers are kept.
const SPARE_TIME: Duration = Duration::from_secs(5);

/// The budget of all bodies, and buffers that large bodies leave to those after them.
pub(super) struct BodyBudget {
    most: usize,
    held: Mutex<Held>,
    /// The bytes that are held, for whom it concerns.
    gauge: Gauge,
    spares: Mutex<Vec<Vec<u8>>>,
    used: AtomicBool,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    /// Those of them that are in large bodies.
    large: usize,
    next: u64,
    /// The bodies that are incomplete, oldest first.
    arriving: BTreeMap<u64, Arriving>,
}

struct Arriving {
    bytes: usize,
    give_way: oneshot::Sender<()>,
}

/// A body that is put together. It gives its part of the budget back, and its memory to the next.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    budget: Arc<BodyBudget>,
    id: u64,
    charged: usize,
    is_complete: bool,
}

/// The reason why a body was not read to its end.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is over the limit.
    TooLarge,
    /// The budget is used up, and it is the oldest that is incomplete.
    NoRoom,
    /// The connection or the encoding failed.
    Broken(hyper::Error),
}

/// A whole body.
pub(super) enum Body {
    /// It came in one piece, and is used where it lies.
    One(Bytes),
    /// It was put together.
    Joined(Buffer),
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::One(piece) => piece,
            Self::Joined(buffer) => &buffer.bytes,
        }
    }
}

/// Reads the body to its end, or until it is over the limit or has to give way.
pub(super) async fn read(mut incoming: Incoming, limit: usize, budget: &Arc<BodyBudget>) -> Result<Body, BodyError> {
    let first = loop {
        let Some(data) = next(&mut incoming).await? else { return Ok(Body::One(Bytes::new())) };
        if !data.is_empty() {
            break data;
        }
    };
    if first.len() > limit {
        return Err(BodyError::TooLarge);
    }
    if incoming.is_end_stream() {
        return Ok(Body::One(first));
    }
    let declared = incoming.size_hint().exact().and_then(|rest| usize::try_from(rest).ok());
    let end = declared.map_or(limit, |rest| first.len().saturating_add(rest).min(limit));
    let (mut buffer, give_way) = Buffer::new(budget);
    tokio::select! {
        biased;
        // The error says that the body is complete after all.
        Ok(()) = give_way => Err(BodyError::NoRoom),
        joined = async {
            buffer.put(&first, (first.len() * FIRST_ROOM).min(end))?;
            drop(first);
            while let Some(data) = next(&mut incoming).await? {
                if buffer.bytes.len() + data.len() > limit {
                    return Err(BodyError::TooLarge);
                }
                let room = (buffer.bytes.capacity() * 2).min(end);
                buffer.put(&data, room)?;
            }
            buffer.complete()?;
            Ok(Body::Joined(buffer))
        } => joined,
    }
}

/// The next piece; none at the end.
async fn next(incoming: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        let Some(frame) = incoming.frame().await else { return Ok(None) };
        // Anything else is trailers, which mean nothing here.
        if let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
}

impl BodyBudget {
    /// With a budget of this many bytes.
    pub(super) fn new(most: usize, gauge: Gauge) -> Self {
        Self { most, held: Mutex::default(), gauge, spares: Mutex::default(), used: AtomicBool::new(false) }
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

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing can fail while the lock is held, so a poisoned one holds good numbers all the same.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spares(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // The same.
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Changes what one body is charged.
    fn change(&mut self, from: usize, to: usize) {
        let large = |bytes| if bytes > SMALL_BYTES { bytes } else { 0 };
        self.bytes = self.bytes + to - from;
        self.large = self.large + large(to) - large(from);
    }

    /// Has the oldest incomplete bodies give way until all fit. False if the one of this id is to give way, or none can.
    fn fit(&mut self, most: usize, id: u64) -> bool {
        loop {
            let large_only = self.large > most - most / SMALL_SHARE;
            if !large_only && self.bytes <= most {
                return true;
            }
            let mut eligible = self.arriving.iter().filter(|(_, body)| !large_only || body.bytes > SMALL_BYTES);
            let Some(oldest) = eligible.next().map(|(oldest, _)| *oldest).filter(|oldest| *oldest != id) else {
                return false;
            };
            if let Some(body) = self.arriving.remove(&oldest) {
                self.change(body.bytes, 0);
                // It may have ended in this moment.
                let _ = body.give_way.send(());
            }
        }
    }
}

impl Buffer {
    fn new(budget: &Arc<BodyBudget>) -> (Self, oneshot::Receiver<()>) {
        let (give_way, told) = oneshot::channel();
        let mut held = budget.held();
        let id = held.next;
        held.next += 1;
        held.arriving.insert(id, Arriving { bytes: 0, give_way });
        (Self { bytes: Vec::new(), budget: Arc::clone(budget), id, charged: 0, is_complete: false }, told)
    }

    /// Appends, and makes this much room where there is too little.
    fn put(&mut self, data: &[u8], room: usize) -> Result<(), BodyError> {
        let needed = self.bytes.len() + data.len();
        if needed > self.bytes.capacity() {
            let spare = if needed > SMALL_BYTES { self.spare(needed) } else { None };
            let target = spare.as_ref().map_or(room.max(needed), Vec::capacity);
            self.charge(target)?;
            if let Some(spare) = spare {
                let small = mem::replace(&mut self.bytes, spare);
                self.bytes.extend_from_slice(&small);
            } else {
                self.bytes.reserve_exact(target - self.bytes.len());
            }
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// An empty buffer that is at hand and has this much room.
    fn spare(&self, needed: usize) -> Option<Vec<u8>> {
        self.budget.used.store(true, Relaxed);
        let mut spares = self.budget.spares();
        let fits = spares.iter().position(|spare| spare.capacity() >= needed)?;
        Some(spares.swap_remove(fits))
    }

    fn charge(&mut self, target: usize) -> Result<(), BodyError> {
        let mut held = self.budget.held();
        let Some(this) = held.arriving.get_mut(&self.id) else { return Err(BodyError::NoRoom) };
        this.bytes = target;
        held.change(self.charged, target);
        self.charged = target;
        let fits = held.fit(self.budget.most, self.id);
        self.budget.gauge.set(held.bytes.try_into().unwrap_or(i64::MAX));
        if fits { Ok(()) } else { Err(BodyError::NoRoom) }
    }

    /// From here on it no longer gives way.
    fn complete(&mut self) -> Result<(), BodyError> {
        self.budget.held().arriving.remove(&self.id).map(|_| self.is_complete = true).ok_or(BodyError::NoRoom)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut held = self.budget.held();
        // What gave way is no longer counted.
        if held.arriving.remove(&self.id).is_some() || self.is_complete {
            held.change(self.charged, 0);
        }
        self.budget.gauge.set(held.bytes.try_into().unwrap_or(i64::MAX));
        drop(held);
        let mut buffer = mem::take(&mut self.bytes);
        if (SMALL_BYTES..=SPARE_BYTES).contains(&buffer.capacity()) {
            buffer.clear();
            let mut spares = self.budget.spares();
            if spares.len() < SPARES {
                spares.push(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    type Arrives = (Buffer, oneshot::Receiver<()>);

    fn budget() -> Arc<BodyBudget> {
        Arc::new(BodyBudget::new(8 * MIB, Gauge::default()))
    }

    fn arrives(budget: &Arc<BodyBudget>, bytes: usize) -> Result<Arrives, BodyError> {
        let (mut buffer, told) = Buffer::new(budget);
        buffer.charge(bytes).map(|()| (buffer, told))
    }

    fn gave_way((_, told): &mut Arrives) -> bool {
        told.try_recv().is_ok()
    }

    #[test]
    fn the_oldest_incomplete_body_gives_way() {
        let bodies = budget();
        let mut all: Vec<Arrives> = (0..7).map(|_| arrives(&bodies, MIB).expect("room")).collect();
        all[0].0.complete().expect("room");
        let _newcomer = arrives(&bodies, MIB).expect("room is made");
        let gone: Vec<bool> = all.iter_mut().map(gave_way).collect();
        assert_eq!(gone, [false, true, false, false, false, false, false], "the complete one stays");
        assert!(all[1].0.complete().is_err(), "it was told");
        drop(all);
        assert_eq!(bodies.gauge.get(), 1 << 20);
    }

    #[test]
    fn a_small_body_has_room_where_large_ones_hold_all_they_may() {
        let bodies = budget();
        let mut all: Vec<Arrives> = (0..7).map(|_| arrives(&bodies, MIB).expect("room")).collect();
        for (large, _) in &mut all {
            large.complete().expect("room");
        }
        assert!(arrives(&bodies, MIB).is_err(), "all that could give way is complete");
        let mut small: Vec<Arrives> = (0..8).map(|_| arrives(&bodies, SMALL_BYTES).expect("room")).collect();
        let _newcomer = arrives(&bodies, SMALL_BYTES).expect("room is made");
        assert!(gave_way(&mut small[0]) && !gave_way(&mut small[1]), "and among them the oldest gives way");
        assert_eq!(bodies.gauge.get(), 8 << 20);
    }

    #[test]
    fn a_body_gives_way_itself_where_it_is_the_oldest() {
        let bodies = budget();
        let mut first = arrives(&bodies, MIB).expect("room");
        let _second = arrives(&bodies, 6 * MIB).expect("room");
        assert!(first.0.charge(2 * MIB).is_err());
        drop(first);
        assert_eq!(bodies.gauge.get(), 6 << 20, "what it was charged is given back");
    }
}
