//! Who has which place among the connections, and who gives way when there is none left.
//!
//! Places are shared by crowds: those that the system tells apart, a user of this machine or an address. Whoever has shown who they are keeps
//! theirs. Of the others one goes of the crowd that has most of them: the one that has been there longest, and whoever is being answered last. So a
//! flood pushes out itself, even while all of it is being answered.

use crate::peer::Crowd;
use crate::strangers::Strangers;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

pub(crate) struct Crowds {
    each_max: usize,
    strangers: Arc<Strangers>,
    present: Mutex<Present>,
}

#[derive(Default)]
struct Present {
    arrived: u64,
    /// By when they came.
    guests: HashMap<Crowd, BTreeMap<u64, Arc<Guest>>>,
}

/// One connection, as far as it matters for who stays.
#[derive(Default)]
pub(crate) struct Guest {
    known: AtomicBool,
    useful: AtomicBool,
    busy: AtomicBool,
    spoke: AtomicBool,
    asked: AtomicBool,
    /// One more than the number of the domain that it asks; nothing, if it has asked none of several.
    domain: AtomicUsize,
    leave: Notify,
}

impl Guest {
    /// Somebody known has asked last.
    pub(crate) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    pub(crate) fn set_known(&self, known: bool) {
        self.known.store(known, Ordering::Relaxed);
    }

    /// Something was answered that was no refusal of a stranger.
    pub(crate) fn was_useful(&self) {
        self.useful.store(true, Ordering::Relaxed);
    }

    /// An answer is being made, or is on its way.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// A whole head has come, and is answered, whatever the answer is.
    pub(crate) fn has_asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// It asks the domain of this number.
    pub(crate) fn asks(&self, domain: usize) {
        self.domain.store(domain.saturating_add(1), Ordering::Relaxed);
    }

    fn asks_of(&self, domain: usize) -> bool {
        self.domain.load(Ordering::Relaxed) == domain.saturating_add(1)
    }

    /// Some bytes have come.
    pub(crate) fn has_spoken(&self) {
        self.spoke.store(true, Ordering::Relaxed);
    }

    /// Ready once it has to give way.
    pub(crate) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    fn is_silent(&self) -> bool {
        !self.useful.load(Ordering::Relaxed) && !self.is_busy()
    }
}

/// A place among the connections of a crowd, free again when it goes.
pub(crate) struct Seat {
    crowds: Arc<Crowds>,
    crowd: Crowd,
    number: u64,
    guest: Arc<Guest>,
}

impl Crowds {
    pub(crate) fn new(each_max: usize, strangers: Arc<Strangers>) -> Arc<Self> {
        Arc::new(Self { each_max, strangers, present: Mutex::default() })
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place; where the crowd has none left, that of its oldest connection to which nothing of use was ever answered.
    pub(crate) fn seat(self: &Arc<Self>, crowd: Crowd) -> Option<Seat> {
        let mut present = self.present();
        present.arrived = present.arrived.saturating_add(1);
        let number = present.arrived;
        let guests = present.guests.entry(crowd).or_default();
        if guests.len() >= self.each_max {
            let oldest = guests.iter().find(|(_, guest)| guest.is_silent()).map(|(number, _)| *number);
            guests.remove(&oldest?)?.leave.notify_one();
        }
        let guest = Arc::new(Guest::default());
        guests.insert(number, guest.clone());
        Some(Seat { crowds: self.clone(), crowd, number, guest })
    }

    /// Whether anybody at this listener is not known, and would give way.
    pub(crate) fn gives_way(&self, is_remote: bool) -> bool {
        let present = self.present();
        let mut here = present.guests.iter().filter(|(crowd, _)| crowd.is_remote() == is_remote);
        here.any(|(_, guests)| guests.values().any(|guest| !guest.is_known()))
    }

    /// Has one stranger leave, of the crowd that has most of them.
    pub(crate) fn make_room(&self, is_remote: bool) {
        self.one_leaves(|crowd, _| crowd.is_remote() == is_remote);
    }

    /// The same, of those who ask this domain. Says whether one leaves.
    pub(crate) fn make_room_in(&self, domain: usize) -> bool {
        self.one_leaves(|_, guest| guest.asks_of(domain))
    }

    /// How many ask this domain. Whoever was told to leave is not among them.
    pub(crate) fn present_in(&self, domain: usize) -> usize {
        let present = self.present();
        present.guests.values().flat_map(BTreeMap::values).filter(|guest| guest.asks_of(domain)).count()
    }

    fn one_leaves(&self, is_here: impl Fn(Crowd, &Guest) -> bool) -> bool {
        let mut present = self.present();
        let is_stranger = |crowd: Crowd, guest: &Guest| !guest.is_known() && is_here(crowd, guest);
        let strangers = |crowd: Crowd, guests: &BTreeMap<u64, Arc<Guest>>| {
            guests.values().filter(|guest| is_stranger(crowd, guest)).count()
        };
        let largest = present.guests.iter_mut().max_by_key(|(crowd, guests)| strangers(**crowd, guests));
        let Some((crowd, guests)) = largest else { return false };
        let others = guests.iter().filter(|(_, guest)| is_stranger(*crowd, guest));
        let leaves = others.min_by_key(|(number, guest)| (guest.is_busy(), **number)).map(|(number, _)| *number);
        let leaves = leaves.and_then(|number| guests.remove(&number));
        leaves.as_ref().inspect(|guest| guest.leave.notify_one()).is_some()
    }
}

impl Seat {
    pub(crate) fn crowd(&self) -> Crowd {
        self.crowd
    }

    pub(crate) fn guest(&self) -> &Arc<Guest> {
        &self.guest
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.guest.asked.load(Ordering::Relaxed) {
            self.crowds.strangers.came_for_nothing(self.crowd, self.guest.spoke.load(Ordering::Relaxed));
        }
        let mut present = self.crowds.present();
        if let Some(guests) = present.guests.get_mut(&self.crowd) {
            guests.remove(&self.number);
            if guests.is_empty() {
                present.guests.remove(&self.crowd);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Crowds, Guest};
    use crate::node::NodeLimits;
    use crate::peer::Crowd;
    use crate::strangers::Strangers;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Waker};

    fn crowds(each_max: usize) -> Arc<Crowds> {
        Crowds::new(each_max, Arc::new(Strangers::new(&NodeLimits::STANDARD, Box::new(|_| {}))))
    }

    fn host(last: u8) -> Crowd {
        Crowd::Network([192, 0, 2, last].into())
    }

    fn must_leave(guest: &Guest) -> bool {
        pin!(guest.told_to_leave()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_crowd_that_is_full_loses_its_oldest_silent_connection() {
        let crowds = crowds(2);
        let (first, second) = (crowds.seat(host(1)).unwrap(), crowds.seat(host(1)).unwrap());
        first.guest().was_useful();
        let third = crowds.seat(host(1)).unwrap();
        assert!(must_leave(second.guest()) && !must_leave(first.guest()));
        third.guest().set_busy(true);
        assert!(crowds.seat(host(1)).is_none(), "neither has to go");
        drop(first);
        assert!(crowds.seat(host(1)).is_some());
    }

    #[test]
    fn the_largest_crowd_makes_room_and_whoever_is_known_stays() {
        let crowds = crowds(8);
        let alone = crowds.seat(host(1)).unwrap();
        let many: Vec<_> = (0..4).map(|_| crowds.seat(host(2)).unwrap()).collect();
        let local = crowds.seat(Crowd::Uid(7)).unwrap();
        many[0].guest().set_known(true);
        many[1].guest().set_busy(true);
        let left = || {
            let all = many.iter().chain([&alone, &local]);
            all.filter(|seat| must_leave(seat.guest())).map(|seat| seat.number).collect::<Vec<_>>()
        };
        // Whoever came first of a crowd goes first, but who is being answered goes after the others.
        for leaves in [&many[2], &many[3]] {
            assert!(crowds.gives_way(true));
            crowds.make_room(true);
            assert_eq!(left(), [leaves.number]);
        }
        // One each is left.
        crowds.make_room(true);
        crowds.make_room(true);
        assert_eq!(left(), [many[1].number, alone.number]);
        assert!(!crowds.gives_way(true));
        crowds.make_room(true);
        assert!(left().is_empty());
        assert!(crowds.gives_way(false));
    }

    #[test]
    fn a_flood_that_is_all_being_answered_pushes_out_itself() {
        let crowds = crowds(8);
        let flood: Vec<_> = (0..3).map(|_| crowds.seat(host(2)).unwrap()).collect();
        flood.iter().for_each(|seat| seat.guest().set_busy(true));
        let honest = crowds.seat(host(1)).unwrap();
        crowds.make_room(true);
        assert!(must_leave(flood[0].guest()) && !must_leave(honest.guest()));
    }
}
