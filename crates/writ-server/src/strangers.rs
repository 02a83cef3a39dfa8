//! What may be tried by those who have not shown who they are.
//!
//! To find out that nobody known asks costs a signature to be verified, and each principal's rate begins only behind that. So each crowd, which is a user of this
//! machine or an address, may fail so often; whoever belongs to it is then refused before anything is read, until time has given some back. A
//! connection on which somebody known has asked last goes on meanwhile.

use crate::node::NodeLimits;
use crate::peer::Crowd;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use writ_authority::{Bucket, Rate};
use writ_protocol::Code;

/// Crowds remembered at a time. Of those beyond, only what all together may try is counted.
const CROWDS_MAX: usize = 4096;
/// How often those are forgotten of whom nothing need be remembered, when there are so many.
const SWEPT_EVERY_MS: u64 = 100;
/// How often an operator is told of a flood.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Counts a refusal that nobody known has got.
pub(crate) type TurnedAway = Box<dyn Fn(Code) + Send + Sync>;

pub(crate) struct Strangers {
    tries_each: Rate,
    tries_all: Rate,
    reads_each: Rate,
    began: Instant,
    turned_away: TurnedAway,
    state: Mutex<State>,
}

struct State {
    each: HashMap<Crowd, Allowance>,
    swept_ms: u64,
    /// Of everybody from the network.
    network: Bucket,
    told: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Allowance {
    /// Nothing, if none has failed yet.
    tries: Option<Bucket>,
    reads: Bucket,
}

impl Strangers {
    pub(crate) fn new(limits: &NodeLimits, turned_away: TurnedAway) -> Self {
        let (tries_each, tries_all, reads_each) = (limits.tries_each, limits.tries_all, limits.reads_each);
        let state = State { each: HashMap::new(), swept_ms: 0, network: Bucket::full(tries_all, 0), told: None };
        Self { tries_each, tries_all, reads_each, began: Instant::now(), turned_away, state: Mutex::new(state) }
    }

    /// Whether one of this crowd may still try to be known. Where nobody has failed, nobody is refused for what others did.
    pub(crate) fn may_try(&self, crowd: Crowd) -> bool {
        let now_ms = self.now_ms();
        let mut state = self.state();
        let is_room = state.each.len() < CROWDS_MAX;
        match state.each.get_mut(&crowd).map(|one| one.tries.as_mut()) {
            Some(Some(tries)) => {
                if tries.is_spent(self.tries_each, now_ms) {
                    return false;
                }
            }
            Some(None) => return true,
            None => {
                if is_room {
                    return true;
                }
            }
        }
        !crowd.is_remote() || !state.network.is_spent(self.tries_all, now_ms)
    }

    /// Whether one of this crowd may connect.
    pub(crate) fn may_connect(&self, crowd: Crowd) -> bool {
        let now_ms = self.now_ms();
        let mut state = self.state();
        let tries = state.each.get_mut(&crowd).and_then(|one| one.tries.as_mut());
        !tries.is_some_and(|tries| tries.is_spent(self.tries_each, now_ms))
    }

    /// Somebody has tried, and is nobody. Says whether the crowd has now tried too often, if that is worth telling.
    pub(crate) fn failed(&self, crowd: Crowd) -> bool {
        let now_ms = self.now_ms();
        let mut state = self.state();
        let mut is_spent = false;
        if let Some(allowance) = self.allowance(&mut state, crowd, now_ms) {
            let tries = allowance.tries.get_or_insert_with(|| Bucket::full(self.tries_each, now_ms));
            tries.take(self.tries_each, 1, now_ms);
            is_spent = tries.is_spent(self.tries_each, now_ms);
        }
        if crowd.is_remote() {
            state.network.take(self.tries_all, 1, now_ms);
            is_spent |= state.network.is_spent(self.tries_all, now_ms);
        }
        let is_news = is_spent && state.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY);
        if is_news {
            state.told = Some(Instant::now());
        }
        is_news
    }

    /// Whether one of this crowd may read once more what anybody may read.
    pub(crate) fn may_read(&self, crowd: Crowd) -> bool {
        let now_ms = self.now_ms();
        let mut state = self.state();
        let allowance = self.allowance(&mut state, crowd, now_ms);
        allowance.is_none_or(|allowance| allowance.reads.take(self.reads_each, 1, now_ms))
    }

    /// A connection has ended on which nothing of use was asked, though something may have been said.
    pub(crate) fn came_for_nothing(&self, crowd: Crowd, has_spoken: bool) {
        self.failed(crowd);
        // Whoever only looks whether somebody listens is no caller who was refused.
        if has_spoken {
            self.turned_away(Code::Malformed);
        }
    }

    /// Counts a refusal that nobody known has got, for the record.
    pub(crate) fn turned_away(&self, code: Code) {
        (self.turned_away)(code);
    }

    fn allowance<'s>(&self, state: &'s mut State, crowd: Crowd, now_ms: u64) -> Option<&'s mut Allowance> {
        if state.each.len() >= CROWDS_MAX
            && !state.each.contains_key(&crowd)
            && now_ms.saturating_sub(state.swept_ms) >= SWEPT_EVERY_MS
        {
            state.swept_ms = now_ms;
            state.each.retain(|_, one| {
                let has_tried = one.tries.as_mut().is_some_and(|tries| !tries.is_full(self.tries_each, now_ms));
                has_tried || !one.reads.is_full(self.reads_each, now_ms)
            });
        }
        let is_room = state.each.len() < CROWDS_MAX || state.each.contains_key(&crowd);
        let full = || Allowance { tries: None, reads: Bucket::full(self.reads_each, now_ms) };
        is_room.then(|| state.each.entry(crowd).or_insert_with(full))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{CROWDS_MAX, Strangers};
    use crate::node::NodeLimits;
    use crate::peer::Crowd;
    use writ_authority::Rate;

    const NEVER: Rate = Rate { per_second: 0, burst: 3 };

    fn host(number: u32) -> Crowd {
        Crowd::Network(std::net::Ipv4Addr::from_bits(number).into())
    }

    fn strangers(tries_all: u64) -> Strangers {
        let tries_all = Rate { per_second: 0, burst: tries_all };
        let limits = NodeLimits { tries_each: NEVER, tries_all, reads_each: NEVER, ..NodeLimits::STANDARD };
        Strangers::new(&limits, Box::new(|_| {}))
    }

    #[test]
    fn a_crowd_fails_so_often_and_another_has_its_own() {
        let strangers = strangers(100);
        for _ in 0..2 {
            assert!(!strangers.failed(host(1)));
            assert!(strangers.may_try(host(1)));
        }
        assert!(strangers.failed(host(1)), "worth telling");
        assert!(!strangers.failed(host(1)), "and once");
        assert!(!strangers.may_try(host(1)));
        assert!(strangers.may_try(host(2)) && strangers.may_try(Crowd::Uid(1)));
        for _ in 0..3 {
            assert!(strangers.may_read(host(1)), "reading is counted apart");
        }
        assert!(!strangers.may_read(host(1)));
    }

    #[test]
    fn all_from_the_network_fail_so_often_together_and_this_machine_has_its_own() {
        let strangers = strangers(4);
        (0..4).for_each(|number| assert!(!strangers.failed(host(number)) || number == 3));
        assert!(!strangers.may_try(host(3)) && strangers.may_connect(host(3)));
        assert!(strangers.may_try(host(99)), "who has not failed yet may try");
        assert!(strangers.may_try(Crowd::Uid(1)));
    }

    #[test]
    fn no_number_of_addresses_takes_memory_without_end() {
        let strangers = strangers(u64::MAX / 2000);
        for number in 0..u32::try_from(CROWDS_MAX).unwrap() + 10 {
            strangers.failed(host(number));
        }
        assert_eq!(strangers.state().each.len(), CROWDS_MAX);
        assert!(strangers.may_try(host(u32::MAX)));
    }
}
