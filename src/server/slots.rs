//! Slots for connections, and the choice of the connection that is closed when a newcomer finds none free.
//!
//! An honest peer needs milliseconds for a handshake, a head or a body. So the newcomer always gets a slot, and the connection
//! that has completed nothing for longest loses its own.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, oneshot};

use super::progress::{Progress, Waiting};

/// The time within which an honest peer gets its first answer. One that takes longer is closed before any that was answered.
const NEWCOMERS_TIME: Duration = Duration::from_secs(1);
/// The share of slots for connections that were not answered yet, as a divisor. Without it, peers that were answered once and
/// stay would leave newcomers to close each other before they have had their milliseconds.
const NEWCOMERS_SHARE: usize = 8;

/// The slots of one listener.
pub(super) struct ConnectionSlots {
    most: usize,
    taken: Mutex<Occupied>,
    freed: Notify,
}

#[derive(Default)]
struct Occupied {
    next: u64,
    open: HashMap<u64, (Arc<Peer>, oneshot::Sender<()>)>,
}

/// The peer of a connection that has a slot.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) progress: Progress,
}

/// A slot. Dropping it frees it.
pub(super) struct Slot {
    slots: Arc<ConnectionSlots>,
    id: u64,
    pub(super) peer: Arc<Peer>,
    leave: oneshot::Receiver<()>,
    is_lost: bool,
}

/// A connection that was closed for a newcomer.
pub(super) struct Evicted {
    pub(super) peer: SocketAddr,
    pub(super) waiting: Waiting,
}

impl ConnectionSlots {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default(), freed: Notify::new() }
    }

    /// Takes a slot, and tells which connection was closed for it. None while every connection is about to be answered.
    pub(super) fn take(self: &Arc<Self>, peer: SocketAddr) -> Option<(Slot, Option<Evicted>)> {
        let mut taken = self.taken();
        let evicted = if taken.open.len() < self.most { None } else { Some(taken.evict(longest_waiting, self.most)?) };
        let id = taken.next;
        taken.next += 1;
        let peer = Arc::new(Peer { address: peer, progress: Progress::new() });
        let (tell, leave) = oneshot::channel();
        taken.open.insert(id, (Arc::clone(&peer), tell));
        Some((Slot { slots: Arc::clone(self), id, peer, leave, is_lost: false }, evicted))
    }

    /// Closes the connection that has waited for longest.
    pub(super) fn close_longest_waiting(&self) -> Option<Evicted> {
        self.taken().evict(longest_waiting, self.most)
    }

    /// Closes the connection with the most requests that wait for its peer.
    pub(super) fn close_heaviest(&self) -> Option<Evicted> {
        self.taken().evict(heaviest, self.most)
    }

    /// Waits until a slot is free, or may be.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Waits until every slot is free.
    pub(super) async fn all_free(&self) {
        while !self.taken().open.is_empty() {
            self.freed().await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, Occupied> {
        // Nothing can fail while the lock is held, so a poisoned one holds a good map all the same.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Occupied {
    fn evict(&mut self, choose: fn(&Self, usize) -> Option<u64>, most: usize) -> Option<Evicted> {
        let id = choose(self, most)?;
        let (peer, tell) = self.open.remove(&id)?;
        let waiting = peer.progress.waiting().unwrap_or(Waiting::Response);
        // It may be ending by itself.
        let _ = tell.send(());
        Some(Evicted { peer: peer.address, waiting })
    }
}

/// A connection that could be closed.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: u64,
    is_unproven: bool,
    /// The time for which it has completed nothing. None while it is about to be answered.
    waits_for: Option<Duration>,
}

fn longest_waiting(taken: &Occupied, most: usize) -> Option<u64> {
    let candidate = |(id, (peer, _)): (&u64, &(Arc<Peer>, _))| Candidate {
        id: *id,
        is_unproven: peer.progress.is_unproven(),
        waits_for: peer.progress.waiting().map(|_| peer.progress.waits_for()),
    };
    choose(taken.open.iter().map(candidate), most)
}

/// A connection that was answered outlives those that were not, as long as newcomers have their share.
fn choose(candidates: impl Iterator<Item = Candidate>, most: usize) -> Option<u64> {
    let (mut unproven, mut answered) = (None, None);
    let mut newcomers = 0;
    for Candidate { id, is_unproven, waits_for } in candidates {
        newcomers += usize::from(is_unproven);
        if let Some(waits_for) = waits_for {
            let oldest = if is_unproven { &mut unproven } else { &mut answered };
            // Of the same millisecond the first that came.
            *oldest = (*oldest).max(Some((waits_for, Reverse(id))));
        }
    }
    let is_patient = unproven.is_some_and(|(time, _)| time < NEWCOMERS_TIME) && newcomers * NEWCOMERS_SHARE < most;
    let chosen = if is_patient { answered.or(unproven) } else { unproven.or(answered) };
    chosen.map(|(_, Reverse(id))| id)
}

fn heaviest(taken: &Occupied, _: usize) -> Option<u64> {
    let weight = |peer: &Peer| (peer.progress.unfinished(), peer.progress.waits_for());
    taken.open.iter().max_by_key(|(_, (peer, _))| weight(peer)).map(|(id, _)| *id)
}

impl Slot {
    /// Returns once the slot is a newcomer's. Not to be called again after that.
    pub(super) async fn needed(&mut self) {
        // The error says that the map dropped the slot without a word, which is the same.
        let _ = (&mut self.leave).await;
        self.is_lost = true;
    }

    /// True once the slot is a newcomer's.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken().open.remove(&self.id);
        // One task waits for a slot, or for all of them, and never both at a time.
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unproven(id: u64, milliseconds: u64) -> Candidate {
        Candidate { id, is_unproven: true, waits_for: Some(Duration::from_millis(milliseconds)) }
    }

    fn answered(id: u64, milliseconds: u64) -> Candidate {
        Candidate { is_unproven: false, ..unproven(id, milliseconds) }
    }

    fn chosen(most: usize, candidates: &[Candidate]) -> Option<u64> {
        choose(candidates.iter().copied(), most)
    }

    #[test]
    fn closes_the_oldest_never_answered_before_any_answered() {
        assert_eq!(chosen(4, &[answered(0, 90_000), unproven(1, 3), unproven(2, 2), answered(3, 1)]), Some(1));
        assert_eq!(chosen(4, &[unproven(2, 3), unproven(1, 3)]), Some(1), "the first that came");
    }

    #[test]
    fn closes_the_longest_idle_where_all_were_answered() {
        assert_eq!(chosen(3, &[answered(0, 5), answered(1, 9), answered(2, 7)]), Some(1));
    }

    #[test]
    fn leaves_newcomers_time_while_answered_ones_hold_most_slots() {
        let mut all: Vec<Candidate> = (0..15).map(|id| answered(id, 100 + id)).collect();
        all.push(unproven(15, 40));
        assert_eq!(chosen(16, &all), Some(14), "it has just come");
        all[15] = unproven(15, 1_000);
        assert_eq!(chosen(16, &all), Some(15), "it had its time");
        all[15] = unproven(15, 40);
        all[..2].copy_from_slice(&[unproven(0, 50), unproven(1, 30)]);
        assert_eq!(chosen(16, &all), Some(0), "newcomers have their share");
    }

    #[test]
    fn closes_none_that_is_about_to_be_answered() {
        let decides = Candidate { waits_for: None, ..unproven(0, 0) };
        assert_eq!(chosen(1, &[decides]), None);
        assert_eq!(chosen(2, &[decides, answered(1, 0)]), Some(1));
        assert_eq!(chosen(0, &[]), None);
    }
}
