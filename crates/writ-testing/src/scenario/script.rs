//! The story: every type of entry, in an order that a ledger accepts.

use super::domain::Domain;
use super::recorded::{Recorded, Standing, Told};
use writ_ledger::{Ledger, Proposal, Receipt};
use writ_protocol::action::CommitmentKind;
use writ_protocol::entry::{Opinion, Target, Verdict, Would};
use writ_protocol::statement::{Ending, Signal};
use writ_protocol::{Code, ExecutionId};

type Make = dyn Fn(&Domain, &Told) -> Proposal + Send;

/// One thing that happens. Its proposal can be made once everything before it is recorded.
pub struct Step {
    /// What happens, and the name by which later steps find it.
    pub name: &'static str,
    make: Box<Make>,
}

impl Step {
    fn new(name: &'static str, make: impl Fn(&Domain, &Told) -> Proposal + Send + 'static) -> Self {
        Self { name, make: Box::new(make) }
    }

    /// What to append.
    pub fn proposal(&self, domain: &Domain, told: &Told) -> Proposal {
        (self.make)(domain, told)
    }
}

/// Appends the whole story, and waits for each step.
///
/// # Panics
/// When the ledger refuses a step: it must not.
pub fn run_script(ledger: &Ledger, domain: &Domain) -> Vec<Receipt> {
    let mut told = Told::new(Standing::of(&ledger.published()));
    let mut receipts = Vec::new();
    for step in script(domain) {
        let proposal = step.proposal(domain, &told);
        let openings = proposal.openings.iter().cloned().map(Into::into).collect();
        let receipt =
            ledger.append(proposal).unwrap_or_else(|error| panic!("the ledger refused `{}`: {error}", step.name));
        let recorded = Recorded::of(&receipt, domain.origin(), openings);
        told.tell(step.name, recorded, Standing::of(&ledger.published()));
        receipts.push(receipt);
    }
    receipts
}

/// The story of a domain, to be told in order.
pub fn script(domain: &Domain) -> Vec<Step> {
    let mut steps = beginning();
    steps.extend(permitted(domain));
    steps.extend(admitted(domain));
    steps.extend(refused_and_held(domain));
    steps.extend(caused(domain));
    steps.extend(revoked(domain));
    steps.extend(reports());
    steps.extend(renewed_and_erased());
    steps.extend(halts());
    steps.extend(last(domain));
    steps.extend(in_shadow());
    steps.extend(mandated());
    steps.extend(advised());
    steps.push(Step::new("a person joins", |domain, _| domain.change_entities()));
    steps
}

fn beginning() -> Vec<Step> {
    vec![
        Step::new("gateway-1 is enrolled", |domain, _| domain.enrol(0, 1)),
        Step::new("gateway-2 is enrolled", |domain, _| domain.enrol(1, 1)),
        Step::new("a policy set comes into force", |domain, _| domain.activate(1)),
    ]
}

fn permitted(domain: &Domain) -> Vec<Step> {
    let mut steps = vec![Step::new("a build is granted", |domain, told| {
        domain.grant(&told.standing).labelled(&["secret-read"]).proposal()
    })];
    let names = ["the build is spent", "the build starts", "the build ends"];
    steps.extend(executed(domain.execution_id(), names, "a build is granted", (0, 1), Ending::Exited(0)));
    steps
}

fn admitted(domain: &Domain) -> Vec<Step> {
    const GRANT: &str = "a build is granted and admitted at once";
    let execution = domain.execution_id();
    let [_, start, end] =
        executed(execution, ["", "the admitted build starts", "the admitted build is killed"], GRANT, (0, 1), killed());
    let grant = move |domain: &Domain, told: &Told| domain.grant(&told.standing).admitted(execution).proposal();
    vec![Step::new(GRANT, grant), start, end]
}

fn refused_and_held(domain: &Domain) -> Vec<Step> {
    const GRANT: &str = "the deployment is approved and granted";
    let mut steps = vec![
        Step::new("a removal is denied", |domain, told| domain.denial(&told.standing).proposal()),
        Step::new("an order to halt is denied", |domain, told| domain.denied_order(&told.standing).proposal()),
        Step::new("a deployment is held", |domain, told| domain.hold(&told.standing).proposal()),
        Step::new("an owner approves it", |domain, told| {
            domain.answer(told.entry("a deployment is held"), 1, Verdict::Approve).proposal()
        }),
        Step::new("another owner approves it", |domain, told| {
            domain.answer(told.entry("a deployment is held"), 2, Verdict::Approve).proposal()
        }),
        Step::new(GRANT, |domain, told| {
            let grant = domain.grant(&told.standing).resolving(told.entry("a deployment is held"));
            grant.to_group(domain.group()).proposal()
        }),
    ];
    let names = ["the deployment is spent", "the deployment starts", "the deployment fails"];
    steps.extend(executed(domain.execution_id(), names, GRANT, (1, 1), Ending::Exited(1)));
    steps
}

fn caused(domain: &Domain) -> Vec<Step> {
    const GRANT: &str = "a build caused by the first is granted";
    let mut steps = vec![Step::new(GRANT, |domain, told| {
        let grant = domain.grant(&told.standing).caused_by(told.entry("a build is granted"));
        grant.drawing("calls/builder", 1).labelled(&["secret-read"]).proposal()
    })];
    let names = ["the caused build is spent", "the caused build starts", "the caused build ends"];
    steps.extend(executed(domain.execution_id(), names, GRANT, (0, 1), Ending::Exited(0)));
    steps
}

fn revoked(domain: &Domain) -> Vec<Step> {
    const GRANT: &str = "a build to be revoked is granted";
    let names = ["the revoked build is spent", "the revoked build starts", "the revoked build is terminated"];
    let [spend, start, end] = executed(domain.execution_id(), names, GRANT, (0, 1), Ending::Terminated(Code::Revoked));
    vec![
        Step::new(GRANT, |domain, told| domain.grant(&told.standing).proposal()),
        spend,
        start,
        Step::new("its writ is revoked", |domain, told| domain.revoke(Target::Writ(told.entry(GRANT).hash))),
        end,
    ]
}

fn reports() -> Vec<Step> {
    vec![
        Step::new("gateway-1 refuses the revoked writ", |domain, told| {
            let presented = told.entry("a build to be revoked is granted").hash;
            domain.speaker(0, 1).refused(Code::Revoked, Some(presented))
        }),
        Step::new("strangers were turned away", |domain, _| domain.tally()),
        Step::new("gateway-2 is alive", |domain, told| domain.speaker(1, 1).heartbeat(&told.standing)),
    ]
}

fn renewed_and_erased() -> Vec<Step> {
    vec![
        Step::new("gateway-1 is renewed", |domain, _| domain.enrol(0, 2)),
        Step::new("the facts of the first build are erased", |domain, told| {
            domain.erase(told.entry("a build is granted"), CommitmentKind::Facts)
        }),
    ]
}

fn halts() -> Vec<Step> {
    vec![
        Step::new("alice halts the domain", |domain, _| domain.halt()),
        Step::new("the root resumes it", |domain, _| domain.root_resume()),
        Step::new("the root halts the domain", |domain, _| domain.root_halt()),
        Step::new("the root resumes it again", |domain, _| domain.root_resume()),
    ]
}

fn last(domain: &Domain) -> Vec<Step> {
    const GRANT: &str = "a last build is granted";
    let mut steps = vec![Step::new(GRANT, |domain, told| {
        domain.grant(&told.standing).to_gateway(domain.gateway_name(0), 2).proposal()
    })];
    let names = ["the last build is spent", "the last build starts", "the last build ends"];
    steps.extend(executed(domain.execution_id(), names, GRANT, (0, 2), Ending::Exited(0)));
    steps
}

fn in_shadow() -> Vec<Step> {
    vec![
        Step::new("an installation would be permitted", |domain, told| {
            domain.shadow(&told.standing, Would::Permit).proposal()
        }),
        Step::new("an installation would be refused", |domain, told| {
            domain.shadow(&told.standing, Would::PolicyDenied).proposal()
        }),
    ]
}

fn mandated() -> Vec<Step> {
    const MANDATE: &str = "alice gives the builder a mandate";
    vec![
        Step::new(MANDATE, |domain, _| {
            let key = domain.alice_key();
            domain.mandate((domain.alice(), key), domain.builder_name(), domain.scope(None), None).proposal()
        }),
        Step::new("a build under the mandate is granted", |domain, told| {
            let mut draft = domain.grant(&told.standing).to_gateway(domain.gateway_name(0), 2);
            draft.fields.cause.mandate = Some(told.entry(MANDATE).entry_ref());
            draft.proposal()
        }),
    ]
}

fn advised() -> Vec<Step> {
    vec![
        Step::new("somebody is advised that a letter may be sent", |domain, told| {
            domain.advised(&told.standing, Opinion::Permit).proposal()
        }),
        Step::new("somebody is advised who may send it", |domain, told| {
            domain.advised(&told.standing, Opinion::Searched).proposal()
        }),
    ]
}

/// Spent, started and ended by a gateway in an epoch.
fn executed(
    execution: ExecutionId,
    [spend, start, end]: [&'static str; 3],
    grant: &'static str,
    (gateway, epoch): (usize, u64),
    ending: Ending,
) -> [Step; 3] {
    [
        Step::new(spend, move |domain, told| domain.speaker(gateway, epoch).spent(told.entry(grant), execution)),
        Step::new(start, move |domain, told| domain.speaker(gateway, epoch).started(told.entry(grant), execution)),
        Step::new(end, move |domain, told| domain.speaker(gateway, epoch).ended(told.entry(grant), execution, ending)),
    ]
}

fn killed() -> Ending {
    Ending::Signaled(Signal::new(9).unwrap())
}
