use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use writ_protocol::Code;
use writ_protocol::entry::{Count, Positive, Tally, TallyFields};

/// Refusals of callers nobody knows, counted until they are recorded together: a flood must not fill the ledger.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    counted: Mutex<Counted>,
}

#[derive(Debug)]
struct Counted {
    from_ms: u64,
    counts: BTreeMap<&'static str, (Code, u64)>,
}

impl TurnedAway {
    pub(crate) fn since(from_ms: u64) -> Self {
        Self { counted: Mutex::new(Counted { from_ms, counts: BTreeMap::new() }) }
    }

    pub(crate) fn count(&self, code: Code) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, count) = counted.counts.entry(code.as_str()).or_insert((code, 0));
        *count = count.saturating_add(1);
    }

    /// What was counted so far, as an entry to be; counting begins anew. Nothing counted makes no entry.
    pub(crate) fn take(&self, now_ms: u64) -> Option<Tally> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let from_ms = std::mem::replace(&mut counted.from_ms, now_ms).min(now_ms);
        let counts = std::mem::take(&mut counted.counts);
        let counts =
            counts.into_values().filter_map(|(code, count)| Some(Count { code, count: Positive::new(count)? }));
        Tally::new(TallyFields { counts: counts.collect(), from_ms, time_ms: now_ms }).ok()
    }

    /// Puts back what could not be recorded.
    pub(crate) fn put_back(&self, tally: &Tally) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.from_ms = counted.from_ms.min(tally.from_ms);
        for Count { code, count } in &tally.counts {
            let (_, known) = counted.counts.entry(code.as_str()).or_insert((*code, 0));
            *known = known.saturating_add(count.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TurnedAway;
    use writ_protocol::Code;

    #[test]
    fn what_was_counted_is_taken_once_and_can_be_put_back() {
        let turned_away = TurnedAway::since(10);
        assert!(turned_away.take(20).is_none());
        for code in [Code::Unauthenticated, Code::RateLimited, Code::Unauthenticated] {
            turned_away.count(code);
        }
        let tally = turned_away.take(30).unwrap();
        let counts: Vec<_> = tally.counts.iter().map(|one| (one.code, one.count.get())).collect();
        assert_eq!(counts, [(Code::RateLimited, 1), (Code::Unauthenticated, 2)]);
        assert_eq!((tally.from_ms, tally.time_ms), (20, 30));
        assert!(turned_away.take(40).is_none());
        turned_away.put_back(&tally);
        turned_away.count(Code::RateLimited);
        let again = turned_away.take(50).unwrap();
        let counts: Vec<_> = again.counts.iter().map(|one| (one.code, one.count.get())).collect();
        assert_eq!((again.from_ms, counts), (20, vec![(Code::RateLimited, 2), (Code::Unauthenticated, 2)]));
    }
}
