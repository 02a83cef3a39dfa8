use super::calling::{Myself, wait};
use super::clock::TestClock;
use super::entered::{Entered, Judgement, entered, judged};
use super::members::{Member, Members};
use super::policies::PolicyFiles;
use crate::scenario::{Domain, Secret};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use writ_authority::{Answer, Authority, AuthorityError, Caller, Rate, Received, Semantics, Setting, SolverCommand};
use writ_ledger::{Draft, Ledger, LedgerError, Options, Proposal, Receipt};
use writ_protocol::action::{Command, CommitmentKind};
use writ_protocol::entry::{Ascending, Erased, Erasure, ErasureFields, Policy, Positive, Target};
use writ_protocol::statement::{Ask, Authorize, Claim, GatewayStatement, Request, RootCommand, Shadowing};
use writ_protocol::{Ed25519Key, Name, Refusal};
use writ_tlog::Hash;

pub use writ_ledger::Place;

/// When it begins.
const BASE_MS: u64 = 1_795_248_000_000;
/// The user that is nobody but `Workload::job`.
const JOB_UID: u32 = 4_000;

/// The solver of the repository.
fn solver() -> SolverCommand {
    SolverCommand::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/cvc5"))
}

/// A domain with its node.
pub struct GovernedDomain {
    /// Keys of ledger, root and gateways, and what is made of them.
    pub domain: Domain,
    /// Who is known.
    pub members: Members,
    /// The time, everywhere.
    pub clock: TestClock,
    /// Where the ledger is.
    pub place: Place,
    /// What principals may ask; counts from the next opening on.
    pub rate: Rate,
    /// What all of them may ask together; counts from the next opening on.
    pub rate_together: Option<Rate>,
    /// How large the store may become; counts from the next opening on.
    pub bytes_max: Option<u64>,
    /// By which semantics sets come into force; counts from the next opening on.
    pub semantics: Semantics,
    authority: Option<Authority>,
    home: TempDir,
}

impl GovernedDomain {
    /// With the standard members and policies, and both gateways enrolled.
    pub fn new() -> Self {
        let members = Self::members();
        let policies = PolicyFiles::standard(&members);
        Self::with(members, &policies)
    }

    /// Who is known in it, unless a test says otherwise.
    pub fn members() -> Members {
        Members::standard(JOB_UID)
    }

    /// With these members and policies, and both gateways enrolled.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn with(members: Members, policies: &PolicyFiles) -> Self {
        Self::begun_under(Semantics::CURRENT, members, policies)
    }

    /// As [`GovernedDomain::with`], with another ledger than that of other domains of a test, and these policies for the same members with the same keys.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn at(origin: &str, policies: &PolicyFiles) -> Self {
        Self::begun(Domain::at(origin, BASE_MS), Semantics::CURRENT, Self::members(), policies)
    }

    /// The same, as a release would have made it that decided by these semantics.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn begun_under(semantics: Semantics, members: Members, policies: &PolicyFiles) -> Self {
        Self::begun(Domain::new(BASE_MS), semantics, members, policies)
    }

    fn begun(domain: Domain, semantics: Semantics, members: Members, policies: &PolicyFiles) -> Self {
        let home = tempfile::Builder::new().prefix("writ-governed-").tempdir().unwrap();
        let place = Place::new(home.path().join("ledger.db"), home.path().join("mark"));
        Ledger::create(&place, &domain.genesis(), &domain.ledger_signer()).unwrap();
        let clock = TestClock::at(BASE_MS + 1_000);
        let mut made = Self {
            domain,
            members,
            clock,
            place,
            rate: Rate::STANDARD,
            rate_together: None,
            bytes_max: None,
            semantics,
            authority: None,
            home,
        };
        made.open(policies);
        for gateway in 0..2 {
            let key = made.gateway_key(gateway, 1);
            made.authority().enrol(&made.domain.gateway_name(gateway), key, vec![made.domain.group()]).unwrap();
        }
        made
    }

    /// A folder that goes away with it.
    pub fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    /// Starts the node with this policy set.
    ///
    /// # Panics
    /// If it does not start.
    pub fn open(&mut self, policies: &PolicyFiles) {
        self.close();
        let theirs = self.clock.clone();
        let ledger = self.ledger().unwrap();
        let clock = Box::new(move || theirs.now_ms());
        let (rate, rate_together, semantics, solver) = (self.rate, self.rate_together, self.semantics, solver());
        let setting = Setting { clock, rate, rate_together, solver, semantics };
        self.authority = Some(Authority::open(ledger, &self.place.store, &policies.snapshot(), setting).unwrap());
    }

    /// Starts the node of a domain whose root has pinned policy authors: with the set that the control chain names.
    pub fn resume(&mut self) -> Result<(), AuthorityError> {
        self.close();
        let theirs = self.clock.clone();
        let ledger = self.ledger()?;
        let clock = Box::new(move || theirs.now_ms());
        let (rate, rate_together, semantics, solver) = (self.rate, self.rate_together, self.semantics, solver());
        let setting = Setting { clock, rate, rate_together, solver, semantics };
        self.authority = Some(Authority::resume(ledger, &self.place.store, setting)?);
        Ok(())
    }

    /// A child that another thread is spawning has every file of this process, and so the lock of a store that was just closed, until it is
    /// another program: that is waited for, and nothing longer.
    fn ledger(&self) -> Result<Ledger, LedgerError> {
        let begun = Instant::now();
        loop {
            let clock = self.clock.clone();
            let options = Options::new(move || clock.now_ms()).within(self.bytes_max);
            match Ledger::open(&self.place, self.domain.ledger_signer(), options) {
                Err(LedgerError::Locked(_)) if begun.elapsed() < Duration::from_secs(5) => std::thread::yield_now(),
                opened => return opened,
            }
        }
    }

    /// Stops the node.
    ///
    /// # Panics
    /// If it does not end well.
    pub fn close(&mut self) {
        if let Some(authority) = self.authority.take() {
            authority.close().unwrap();
        }
    }

    /// The node's authority.
    ///
    /// # Panics
    /// While it is stopped.
    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("the node runs")
    }

    /// The public key of a gateway in an epoch.
    pub fn gateway_key(&self, gateway: usize, epoch: u64) -> Ed25519Key {
        Ed25519Key::new(self.domain.gateway_key(gateway, epoch).public()).unwrap()
    }

    /// A member by its id.
    pub fn member(&self, id: &str) -> &Member {
        self.members.named(id)
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.authority().published().checkpoint.checkpoint().size.get()
    }

    /// A new request for a writ for this command at gateway 0.
    pub fn asked(&self, arguments: &[&str]) -> Request {
        let action = self.domain.action(arguments);
        Request { time_ms: self.clock.now_ms(), action: action.value, action_salt: action.salt, ..self.domain.asked() }
    }

    /// A new request for a usual build.
    pub fn asked_to_build(&self) -> Request {
        self.asked(&["/usr/bin/make", "test"])
    }

    /// The same request, with another ask.
    ///
    /// # Panics
    /// If it is an order.
    pub fn changed(request: Request, change: impl FnOnce(&mut Authorize)) -> Request {
        let Ask::Authorize(mut ask) = request.ask else { panic!("expected a request for a writ") };
        change(&mut ask);
        Request { ask: Ask::Authorize(ask), ..request }
    }

    /// A member asks for a writ, over the network.
    pub fn asks(&self, member: &str, request: &Request) -> Answer {
        let signed = self.member(member).sign(request, self.domain.origin());
        self.sent(&signed)
    }

    /// What a signed request for a writ is answered.
    pub fn sent(&self, signed: &[u8]) -> Answer {
        wait(self.authority().authorize(&Caller::Remote, Received::Signed(signed)))
    }

    /// The same request, in shadow.
    pub fn in_shadow(&self, request: Request) -> Request {
        let ask =
            Shadowing { gateway: self.domain.gateway_name(0), mandate: None, surroundings: self.domain.surroundings() };
        Request { ask: Ask::Shadow(ask), ..request }
    }

    /// A member asks what policy would answer, over the network.
    pub fn shadows(&self, member: &str, request: &Request) -> Answer {
        let signed = self.member(member).sign(request, self.domain.origin());
        wait(self.authority().shadow(&Caller::Remote, Received::Signed(&signed)))
    }

    /// A process of this machine asks for a writ, without a signature.
    pub fn asks_as_user(&self, uid: u32, request: &Request) -> Answer {
        let bytes = request.payload(self.domain.origin());
        wait(self.authority().authorize(&Myself::now().as_user(uid), Received::Bare(&bytes)))
    }

    /// The user that is `Workload::job`.
    pub fn job_uid(&self) -> u32 {
        JOB_UID
    }

    /// A member gives an order, over the network.
    pub fn orders(&self, member: &str, command: Command) -> Answer {
        let request = Request { time_ms: self.clock.now_ms(), ..self.domain.asked_order(command) };
        let signed = self.member(member).sign(&request, self.domain.origin());
        wait(self.authority().order(&Caller::Remote, Received::Signed(&signed)))
    }

    /// Alice erases the value behind a commitment of an entry, and with an action the request that holds it too.
    pub fn erases(&self, index: u64, commitment: Hash) -> Answer {
        let entry = self.entered().into_iter().find(|one| one.index == index);
        let held = entry.map(|entry| entry.body.commitments()).unwrap_or_default();
        let of = |wanted| held.iter().find(|(kind, _)| *kind == wanted).map(|(_, commitment)| *commitment);
        let request = of(CommitmentKind::Request).filter(|_| of(CommitmentKind::Action) == Some(commitment));
        let all = [Some(commitment), request].into_iter().flatten();
        self.orders("alice", Command::Erase(Ascending::new(all.map(|commitment| Erased { index, commitment }))))
    }

    /// Stops the node and has its ledger record an erasure that the authority would have refused.
    ///
    /// # Panics
    /// If the rules of order refuse it.
    pub fn slips_in_erasure(&mut self, index: u64, commitment: Hash) {
        self.close();
        let control = writ_ledger::Reader::open(&self.place.store).unwrap().view().unwrap().control;
        let active = control.policy().unwrap();
        let (erasure, openings) = self.domain.erasing([Erased { index, commitment }]);
        let mut fields = ErasureFields::clone(&erasure);
        fields.policy = Policy {
            set: active.set,
            epoch: active.epoch.get(),
            semantics: active.semantics.clone(),
            entities: control.entities().map(|active| active.entities.clone()),
            ..fields.policy
        };
        let erasure = Erasure::new(fields).unwrap();
        self.slips_in([Proposal::new(Draft::Erasure(erasure)).with_openings(openings)]);
    }

    /// Alice revokes something.
    ///
    /// # Panics
    /// If she may not.
    pub fn revoke(&self, target: Target) {
        let answer = self.orders("alice", Command::Revoke(target));
        assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    }

    /// A gateway says something, as the next after what it has said so far.
    pub fn states(&self, gateway: usize, claim: Claim) -> Result<Receipt, Refusal> {
        let statement = self.statement(gateway, claim);
        wait(self.authority().state(&Caller::Remote, &statement, None))
    }

    /// The next statement of a gateway in epoch 1, signed.
    ///
    /// # Panics
    /// If the store cannot be read.
    pub fn statement(&self, gateway: usize, claim: Claim) -> Vec<u8> {
        let name: Name = self.domain.gateway_name(gateway);
        let reader = writ_ledger::Reader::open(&self.place.store).unwrap();
        let last = reader.last_seq(&name, Positive::ONE).unwrap();
        let (seq, time_ms) = (Positive::new(last + 1).unwrap(), self.clock.now_ms());
        let key: Secret = self.domain.gateway_key(gateway, 1);
        let statement = GatewayStatement { gateway: name, epoch: Positive::ONE, seq, time_ms, claim };
        statement.sign(self.domain.origin(), key.signing_key())
    }

    /// The root orders something while the node is stopped; it is started again with this policy set.
    pub fn root_orders(&mut self, order: RootCommand, policies: &PolicyFiles) -> Result<Receipt, LedgerError> {
        self.close();
        let clock = self.clock.clone();
        let options = Options::new(move || clock.now_ms());
        let ledger = Ledger::open(&self.place, self.domain.ledger_signer(), options)?;
        let receipt = ledger.append(self.domain.root_order(order));
        ledger.close()?;
        self.open(policies);
        receipt
    }

    /// Stops the node and has its ledger record these, whatever the authority would have said.
    ///
    /// # Panics
    /// If the rules of order refuse one.
    pub fn slips_in(&mut self, proposals: impl IntoIterator<Item = Proposal>) {
        self.close();
        let clock = self.clock.clone();
        let options = Options::new(move || clock.now_ms());
        let ledger = Ledger::open(&self.place, self.domain.ledger_signer(), options).unwrap();
        for proposal in proposals {
            ledger.append(proposal).unwrap();
        }
        ledger.close().unwrap();
    }

    /// Every entry so far.
    pub fn entered(&self) -> Vec<Entered> {
        entered(&self.place.store)
    }

    /// Stops the node, and has its ledger audited and replayed.
    pub fn judged(&mut self) -> Judgement {
        self.close();
        judged(&self.place, &self.domain.trust_root())
    }
}

impl Default for GovernedDomain {
    fn default() -> Self {
        Self::new()
    }
}
