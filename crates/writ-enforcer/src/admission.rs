use crate::time::BootTime;
use writ_protocol::entry::{Ascending, Positive};
use writ_protocol::statement::{Claim, Ending};
use writ_protocol::{Code, ExecutionId, Label, Refusal, Verified, Writ};
use writ_tlog::Hash;

/// The right to start one execution, once: starting consumes it (Invariant 6).
///
/// ```
/// fn once(admission: writ_enforcer::Admission) {
///     let (_claim, _running) = admission.start();
/// }
/// ```
///
/// It cannot be copied:
///
/// ```compile_fail,E0599
/// fn twice(admission: writ_enforcer::Admission) {
///     admission.clone().start();
///     admission.start();
/// }
/// ```
///
/// Nor can it be used twice, or made by whoever did not verify:
///
/// ```compile_fail,E0382
/// fn twice(admission: writ_enforcer::Admission) {
///     let _ = admission.start();
///     let _ = admission.start();
/// }
/// ```
///
/// ```compile_fail,E0624
/// use writ_protocol::{ExecutionId, Verified, Writ, entry::Positive};
/// use writ_tlog::Hash;
///
/// fn forged(writ: Verified<Writ>, execution: ExecutionId, digest: Hash) -> writ_enforcer::Admission {
///     writ_enforcer::Admission::new(writ, execution, Positive::ONE, digest, digest)
/// }
/// ```
#[derive(Debug)]
#[must_use = "an admission that is dropped is an execution that never starts; report it as unknown"]
pub struct Admission {
    writ: Verified<Writ>,
    execution: ExecutionId,
    usage: Positive,
    action: Hash,
    surroundings: Hash,
}

impl Admission {
    pub(crate) fn new(
        writ: Verified<Writ>,
        execution: ExecutionId,
        usage: Positive,
        action: Hash,
        surroundings: Hash,
    ) -> Self {
        Self { writ, execution, usage, action, surroundings }
    }

    /// The writ it comes from.
    pub fn writ(&self) -> &Verified<Writ> {
        &self.writ
    }

    /// The execution it is for.
    pub fn execution(&self) -> ExecutionId {
        self.execution
    }

    /// Which use of the writ it is.
    pub fn usage(&self) -> Positive {
        self.usage
    }

    /// Begins the execution: the admission is gone, and what is left is to run what was measured and to say how it ended. The claim must be
    /// recorded before the first instruction runs.
    pub fn start(self) -> (Claim, Running) {
        let claim = Claim::Started {
            writ: *self.writ.entry(),
            execution: self.execution,
            action: self.action,
            surroundings: self.surroundings,
        };
        let freeze_after_ms = self.writ.grant().lease.freeze_after_ms;
        (claim, Running { writ: *self.writ.entry(), execution: self.execution, freeze_after_ms })
    }

    /// That it carries more than it was granted with.
    pub fn labelled(&self, labels: Ascending<Label>) -> Claim {
        Claim::Labelled { writ: *self.writ.entry(), execution: self.execution, labels }
    }

    /// Gives it up before anything ran.
    pub fn abandon(self) -> Claim {
        Claim::Ended { writ: *self.writ.entry(), execution: self.execution, result: Ending::Unknown }
    }
}

/// An execution under way. Its end must be reported.
#[derive(Debug)]
#[must_use = "how an execution ended must be recorded"]
pub struct Running {
    writ: Hash,
    execution: ExecutionId,
    freeze_after_ms: Positive,
}

impl Running {
    /// Whether the first instruction may still run, when the start was sent at `sent` and is recorded. What speaks against the writ was recorded
    /// before it, or comes after; a gateway that was stopped meanwhile does not know how much has come.
    pub fn in_time(&self, sent: BootTime, now: BootTime) -> Result<(), Refusal> {
        let (age_ms, most_ms) = (now.since(sent), self.freeze_after_ms.get());
        if age_ms <= most_ms {
            return Ok(());
        }
        Err(Refusal::new(
            Code::ViewStale,
            format!("{age_ms} ms have passed since the start was sent, {most_ms} ms are allowed; start again"),
        ))
    }

    /// The execution.
    pub fn execution(&self) -> ExecutionId {
        self.execution
    }

    /// How it ended by itself.
    pub fn ended(self, result: Ending) -> Claim {
        Claim::Ended { writ: self.writ, execution: self.execution, result }
    }

    /// That the gateway ended it, because trust was lost.
    pub fn terminated(self, code: Code) -> Claim {
        self.ended(Ending::Terminated(code))
    }
}
