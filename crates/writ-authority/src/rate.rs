use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use writ_protocol::entry::{AssertedPrincipal, Principal};
use writ_protocol::statement::{Claim, GatewayStatement};
use writ_protocol::{Code, Name, Refusal};

/// Principals remembered at a time; beyond that, those that have been quiet longest are forgotten, and begin anew.
const PRINCIPALS_MAX: usize = 10_000;

/// A request counts once, and once more for each of these: what is recorded of it takes as much room.
const BYTES_EACH: u64 = 4096;

/// How many requests a principal may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Each second, in the long run.
    pub per_second: u64,
    /// At once.
    pub burst: u64,
}

impl Rate {
    /// Enough for a busy machine: some 8 MB a second of the largest requests.
    pub const STANDARD: Self = Self { per_second: 2_000, burst: 4_000 };

    /// So many each second, and twice as many at once.
    pub const fn of(per_second: u64) -> Self {
        Self { per_second, burst: per_second.saturating_mul(2) }
    }

    /// What a request of so many bytes counts. The largest must pass at some time, however small the burst.
    fn counted(self, bytes: usize) -> u64 {
        let size = u64::try_from(bytes).unwrap_or(u64::MAX) / BYTES_EACH;
        size.saturating_add(1).min(self.burst).max(1)
    }
}

/// What is left of a rate. Tokens are thousandths, so that milliseconds refill exactly.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    thousandths: u64,
    at_ms: u64,
}

impl Bucket {
    /// A full one.
    pub fn full(rate: Rate, now_ms: u64) -> Self {
        Self { thousandths: rate.burst.saturating_mul(1000), at_ms: now_ms }
    }

    /// Takes so many, if they are there.
    pub fn take(&mut self, rate: Rate, count: u64, now_ms: u64) -> bool {
        self.refill(rate, now_ms);
        match self.thousandths.checked_sub(count.saturating_mul(1000)) {
            Some(left) => {
                self.thousandths = left;
                true
            }
            None => false,
        }
    }

    /// Leaves nothing.
    fn empty(&mut self) {
        self.thousandths = 0;
    }

    /// Whether there is less than one left.
    pub fn is_spent(&mut self, rate: Rate, now_ms: u64) -> bool {
        self.refill(rate, now_ms);
        self.thousandths < 1000
    }

    /// Whether nothing is missing: then nothing of it need be remembered.
    pub fn is_full(&mut self, rate: Rate, now_ms: u64) -> bool {
        self.refill(rate, now_ms);
        self.thousandths >= rate.burst.saturating_mul(1000)
    }

    /// A clock that was set back refills nothing.
    fn refill(&mut self, rate: Rate, now_ms: u64) {
        let since_ms = now_ms.saturating_sub(self.at_ms);
        let refill = since_ms.saturating_mul(rate.per_second);
        self.thousandths = self.thousandths.saturating_add(refill).min(rate.burst.saturating_mul(1000));
        self.at_ms = self.at_ms.max(now_ms);
    }
}

/// A bucket for each principal, refilled by time.
#[derive(Debug)]
pub(crate) struct Rates {
    rate: Rate,
    buckets: Mutex<BTreeMap<AssertedPrincipal, Bucket>>,
}

/// What all principals of a domain may ask together, if that is bounded.
#[derive(Debug)]
pub(crate) struct Together {
    rate: Option<Rate>,
    bucket: Mutex<Bucket>,
}

impl Together {
    pub(crate) fn new(rate: Option<Rate>, now_ms: u64) -> Self {
        Self { rate, bucket: Mutex::new(Bucket::full(rate.unwrap_or(Rate::STANDARD), now_ms)) }
    }

    /// Takes what a request of so many bytes counts.
    pub(crate) fn take(&self, bytes: usize, now_ms: u64) -> Result<(), Refusal> {
        let Some(rate) = self.rate else { return Ok(()) };
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if bucket.take(rate, rate.counted(bytes), now_ms) { Ok(()) } else { Err(exceeded_together(rate)) }
    }

    /// Refuses where nothing is left, and takes nothing.
    fn judge(&self, now_ms: u64) -> Result<(), Refusal> {
        let Some(rate) = self.rate else { return Ok(()) };
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if bucket.is_spent(rate, now_ms) { Err(exceeded_together(rate)) } else { Ok(()) }
    }

    /// Takes what something of so many bytes counts that was let through before: all that is left, where that is less.
    fn charge(&self, bytes: usize, now_ms: u64) {
        let Some(rate) = self.rate else { return };
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if !bucket.take(rate, rate.counted(bytes), now_ms) {
            bucket.empty();
        }
    }
}

/// What gateways may state: each by itself, and what begins or turns away something together besides. What a gateway states is counted once
/// its signature has held, so that nobody takes anything of another's with what they forge.
#[derive(Debug)]
pub(crate) struct Stated {
    each: Rates,
    together: Together,
}

impl Stated {
    pub(crate) fn new(rate: Rate, rate_together: Option<Rate>, now_ms: u64) -> Self {
        Self { each: Rates::new(rate), together: Together::new(rate_together, now_ms) }
    }

    /// Refuses what is stated by whoever has nothing left.
    pub(crate) fn judge(&self, statement: &GatewayStatement, now_ms: u64) -> Result<(), Refusal> {
        if let Some(gateway) = counted(statement)? {
            self.each.judge(&gateway, now_ms)?;
        }
        if may_be_kept_out(&statement.claim) { self.together.judge(now_ms) } else { Ok(()) }
    }

    /// Takes what a statement of so many bytes counts that was recorded.
    pub(crate) fn charge(&self, statement: &GatewayStatement, bytes: usize, now_ms: u64) {
        if let Ok(Some(gateway)) = counted(statement) {
            self.each.charge(&gateway, bytes, now_ms);
        }
        if may_be_kept_out(&statement.claim) {
            self.together.charge(bytes, now_ms);
        }
    }
}

/// Whose a statement is, where it counts: starts and ends are bounded by what was granted.
fn counted(statement: &GatewayStatement) -> Result<Option<AssertedPrincipal>, Refusal> {
    match statement.claim {
        Claim::Started { .. } | Claim::Ended { .. } => Ok(None),
        Claim::Spent { .. } | Claim::Refused { .. } | Claim::Heartbeat { .. } | Claim::Labelled { .. } => {
            Ok(Some(AssertedPrincipal { kind: Name::new(Principal::GATEWAY)?, id: statement.gateway.clone() }))
        }
    }
}

/// What begins something, or says that nothing has begun: without it nothing runs. What has begun goes on the record, however much others state.
fn may_be_kept_out(claim: &Claim) -> bool {
    match claim {
        Claim::Spent { .. } | Claim::Refused { .. } | Claim::Heartbeat { .. } => true,
        Claim::Started { .. } | Claim::Ended { .. } | Claim::Labelled { .. } => false,
    }
}

fn exceeded_together(rate: Rate) -> Refusal {
    let why = format!("the domain has more than {} requests a second; ask again later", rate.per_second);
    Refusal::new(Code::RateLimited, why)
}

impl Rates {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::new(BTreeMap::new()) }
    }

    /// Takes what a request of so many bytes counts.
    pub(crate) fn take(&self, principal: &AssertedPrincipal, bytes: usize, now_ms: u64) -> Result<(), Refusal> {
        let count = self.rate.counted(bytes);
        match self.with(principal, now_ms, |bucket| bucket.take(self.rate, count, now_ms)) {
            true => Ok(()),
            false => Err(self.exceeded()),
        }
    }

    /// Takes what something of so many bytes counts that was let through before: all that is left, where that is less.
    fn charge(&self, principal: &AssertedPrincipal, bytes: usize, now_ms: u64) {
        let count = self.rate.counted(bytes);
        self.with(principal, now_ms, |bucket| {
            if !bucket.take(self.rate, count, now_ms) {
                bucket.empty();
            }
        });
    }

    fn with<T>(&self, principal: &AssertedPrincipal, now_ms: u64, work: impl FnOnce(&mut Bucket) -> T) -> T {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= PRINCIPALS_MAX && !buckets.contains_key(principal) {
            let quietest = buckets.iter().min_by_key(|(_, bucket)| bucket.at_ms).map(|(name, _)| name.clone());
            quietest.map(|name| buckets.remove(&name));
        }
        work(buckets.entry(principal.clone()).or_insert_with(|| Bucket::full(self.rate, now_ms)))
    }

    /// Refuses whoever is said to ask if nothing is left for them: before anything is verified, since the answer would be the same.
    pub(crate) fn judge(&self, principal: &AssertedPrincipal, now_ms: u64) -> Result<(), Refusal> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let is_spent = buckets.get_mut(principal).is_some_and(|bucket| bucket.is_spent(self.rate, now_ms));
        if is_spent { Err(self.exceeded()) } else { Ok(()) }
    }

    fn exceeded(&self) -> Refusal {
        let why = format!("more than {} requests a second, or as much in size; ask again later", self.rate.per_second);
        Refusal::new(Code::RateLimited, why)
    }
}

#[cfg(test)]
mod tests {
    use super::{Rate, Rates, Together};
    use writ_protocol::entry::AssertedPrincipal;
    use writ_protocol::{Code, Name};

    fn principal(id: &str) -> AssertedPrincipal {
        AssertedPrincipal { kind: Name::new("Agent").unwrap(), id: Name::new(id).unwrap() }
    }

    #[test]
    fn a_burst_is_allowed_and_then_as_many_as_time_refills() {
        let rates = Rates::new(Rate { per_second: 10, burst: 3 });
        let (busy, quiet) = (principal("busy"), principal("quiet"));
        for _ in 0..3 {
            rates.take(&busy, 300, 1_000).unwrap();
        }
        assert_eq!(rates.take(&busy, 300, 1_099).unwrap_err().code(), Code::RateLimited);
        rates.take(&busy, 300, 1_100).unwrap();
        assert_eq!(rates.take(&busy, 300, 1_100).unwrap_err().code(), Code::RateLimited);
        rates.take(&quiet, 300, 1_100).unwrap();
    }

    #[test]
    fn who_has_nothing_left_is_refused_before_anything_is_verified() {
        let rates = Rates::new(Rate { per_second: 10, burst: 1 });
        let one = principal("one");
        rates.judge(&one, 1_000).unwrap();
        rates.take(&one, 300, 1_000).unwrap();
        assert_eq!(rates.judge(&one, 1_099).unwrap_err().code(), Code::RateLimited);
        rates.judge(&one, 1_100).unwrap();
        rates.judge(&principal("another"), 1_000).unwrap();
    }

    #[test]
    fn all_together_have_a_bound_where_there_is_one() {
        let together = Together::new(Some(Rate { per_second: 10, burst: 3 }), 1_000);
        together.take(2 * 4096, 1_000).unwrap();
        assert_eq!(together.take(300, 1_099).unwrap_err().code(), Code::RateLimited);
        together.take(300, 1_100).unwrap();
        let unbound = Together::new(None, 1_000);
        (0..100_000).for_each(|_| unbound.take(300, 1_000).unwrap());
    }

    #[test]
    fn a_clock_set_back_gives_nothing_away() {
        let rates = Rates::new(Rate { per_second: 1000, burst: 1 });
        let one = principal("one");
        rates.take(&one, 300, 10_000).unwrap();
        assert_eq!(rates.take(&one, 300, 1).unwrap_err().code(), Code::RateLimited);
        assert_eq!(rates.take(&one, 300, 10_000).unwrap_err().code(), Code::RateLimited);
        rates.take(&one, 300, 10_001).unwrap();
    }

    #[test]
    fn a_large_request_counts_by_its_size_and_passes_at_some_time() {
        let rates = Rates::new(Rate { per_second: 10, burst: 30 });
        let one = principal("one");
        rates.take(&one, 25 * 4096, 1_000).unwrap();
        assert_eq!(rates.take(&one, 25 * 4096, 1_000).unwrap_err().code(), Code::RateLimited);
        rates.take(&one, 300, 1_000).unwrap();
        assert_eq!(rates.take(&one, 8 << 20, 3_000).unwrap_err().code(), Code::RateLimited);
        rates.take(&one, 8 << 20, 10_000).unwrap();
    }
}
