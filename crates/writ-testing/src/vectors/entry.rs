use super::BASE_MS;
use super::assembly::Assembly;
use super::case::{Case, Maker, hex};
use crate::scenario::{Domain, MandateDraft, ORIGIN, Recorded, Standing, digest};
use serde_json::json;
use writ_ledger::{Draft, Proposal};
use writ_protocol::action::ActionKind;
use writ_protocol::entry::{
    Activation, Ascending, Body, Cause, Count, Denial, Draw, Draws, EntryRef, Erased, Need, Obligation, Place,
    Positive, RootMembers, Surroundings, Tally, TallyFields, Verdict,
};
use writ_protocol::statement::RootCommand;
use writ_protocol::{Code, EntryType, Name};
use writ_tlog::leaf_hash;

/// One entry of each type, by its type.
pub(super) struct Samples {
    pub(super) domain: Domain,
    /// Bytes of the first entry of each type in the script, in the order of the specification.
    pub(super) entries: Vec<(EntryType, Vec<u8>)>,
    pub(super) grant: Recorded,
    pub(super) hold: Recorded,
    pub(super) standing: Standing,
}

impl Samples {
    pub(super) fn new() -> Self {
        let domain = Domain::new(BASE_MS);
        let (assembly, recorded) = Assembly::of_script(&domain);
        let standing = assembly.standing();
        let entry_type = |bytes: &[u8]| {
            let entry = writ_protocol::Entry::decode(bytes, domain.origin()).unwrap();
            entry.body.entry_type()
        };
        let first = |wanted: EntryType| {
            let found = assembly.entries.iter().find(|bytes| entry_type(bytes) == wanted);
            (wanted, found.unwrap().clone())
        };
        let entries = EntryType::ALL.iter().copied().map(first).collect();
        let of_type = |wanted: EntryType| recorded.iter().find(|one| one.entry_type() == wanted).unwrap().clone();
        let (grant, hold) = (of_type(EntryType::Grant), of_type(EntryType::Hold));
        Self { entries, grant, hold, standing, domain }
    }

    pub(super) fn of(&self, wanted: EntryType) -> &[u8] {
        let found = self.entries.iter().find(|(entry_type, _)| *entry_type == wanted);
        &found.unwrap().1
    }

    /// What a draft becomes as the next entry of a fresh ledger.
    pub(super) fn encoded(&self, proposal: Proposal) -> Vec<u8> {
        let body = Assembly::new(&self.domain).body_of(proposal.draft);
        writ_protocol::Entry { origin: self.domain.origin().clone(), body }.encode().unwrap()
    }
}

pub(super) fn cases() -> Vec<Case> {
    let samples = Samples::new();
    let mut maker = Maker::new("entry", "entry");
    for (entry_type, bytes) in &samples.entries {
        let about = format!("An entry of type {}.", entry_type.as_str());
        good(&mut maker, entry_type.as_str(), &about, *entry_type, bytes);
    }
    orders(&mut maker, &samples);
    grants(&mut maker, &samples);
    others(&mut maker, &samples);
    maker.done()
}

fn good(maker: &mut Maker, name: &str, about: &str, entry_type: EntryType, bytes: &[u8]) {
    let results = json!({ "type": entry_type.as_str(), "hash": hex(leaf_hash(bytes).as_bytes()) });
    maker.accept(name, about, json!({ "hex": hex(bytes), "origin": ORIGIN }), results);
}

fn orders(maker: &mut Maker, samples: &Samples) {
    let domain = &samples.domain;
    for target in domain.targets(&samples.grant) {
        let bytes = samples.encoded(domain.revoke(target.clone()));
        let kind = match target {
            writ_protocol::entry::Target::Writ(_) => "writ",
            writ_protocol::entry::Target::Key(_) => "key",
            writ_protocol::entry::Target::Principal(_) => "principal",
            writ_protocol::entry::Target::Policy(_) => "policy",
            writ_protocol::entry::Target::Lineage { .. } => "lineage",
            writ_protocol::entry::Target::Gateway(_) => "gateway",
            writ_protocol::entry::Target::Mandate(_) => "mandate",
        };
        let about = format!("A revocation of a target of kind {kind}.");
        good(maker, &format!("revocation_{kind}"), &about, EntryType::Revocation, &bytes);
    }
    let other = Domain::at("writ.example/ledger/other", BASE_MS);
    let members = vec![other.root_keys()[0].key_pair()];
    for (name, about, order) in [
        (
            "root_order_ledger_keys",
            "A root order of new ledger keys.",
            RootCommand::LedgerKeys(other.ledger_keys().key_pair()),
        ),
        (
            "root_order_root_keys",
            "A root order of new root members.",
            RootCommand::RootKeys(RootMembers::new(1, members).unwrap()),
        ),
    ] {
        good(maker, name, about, EntryType::RootOrder, &samples.encoded(domain.root_order(order)));
    }
    good(maker, "root_order_halt", "A root order to halt.", EntryType::RootOrder, &samples.encoded(domain.root_halt()));
    let mut plain = domain.enrolment(0, 7);
    plain.groups = Ascending::new([]);
    plain.asserts = Ascending::new([]);
    let plain = samples.encoded(Proposal::new(Draft::Gateway(plain)));
    good(maker, "gateway_bare", "A gateway of no group that asserts nobody.", EntryType::Gateway, &plain);
    let (ordered, openings) = Domain::new(BASE_MS).ordered_enrolment(0, 8);
    let ordered = samples.encoded(Proposal::new(Draft::Gateway(ordered)).with_openings(openings));
    good(maker, "gateway_ordered", "A gateway that is enrolled by order.", EntryType::Gateway, &ordered);
    let mut genesis = domain.genesis();
    genesis.root = RootMembers::new(1, vec![domain.root_keys()[0].key_pair()]).unwrap();
    let entry = writ_protocol::Entry { origin: domain.origin().clone(), body: Body::Genesis(genesis) };
    good(maker, "genesis_one_member", "A genesis with one root member.", EntryType::Genesis, &entry.encode().unwrap());
}

fn grants(maker: &mut Maker, samples: &Samples) {
    let domain = &samples.domain;
    let draft = || domain.grant(&samples.standing);
    let mut largest = draft();
    largest.fields.uses = Positive::new(u64::MAX).unwrap();
    largest.fields.window = writ_protocol::entry::Window::new(0, u64::MAX).unwrap();
    let mut equal_lease = draft();
    equal_lease.fields.lease.freeze_after_ms = equal_lease.fields.lease.kill_after_ms;
    let mut bare = draft();
    bare.fields.obligations = Vec::new();
    bare.fields.policy.reasons = Ascending::new([]);
    bare.fields.surroundings = Surroundings { components: Ascending::new([]), ..bare.fields.surroundings };
    let mut attested = draft();
    attested.fields.surroundings.level = writ_protocol::entry::Level::Attested;
    let mut proved = draft();
    proved.fields.principal = domain.alice();
    let mut mandated = draft();
    let mandate = EntryRef { entry: digest("mandate"), index: 3, ledger: domain.origin().clone() };
    mandated.fields.cause.mandate = Some(mandate.clone());
    let mut foreign = draft();
    let ledger = writ_tlog::Origin::new("other.example").unwrap();
    let parent = EntryRef { entry: digest("parent"), index: 9, ledger };
    let origin = EntryRef { entry: digest("origin"), ..parent.clone() };
    let place = Place::Caused { depth: 2, parent, origin };
    foreign.fields.cause = Cause { place, mandate: Some(mandate) };
    let mut draws = draft().drawing("calls/builder", u64::MAX);
    let draw =
        |counter: &str, limit| Draw { limit: Positive::new(limit).unwrap(), counter: Name::new(counter).unwrap() };
    draws.fields.obligations[0] =
        Obligation::Budget(Draws::new(vec![draw("a", u64::MAX), draw("aa", 1), draw("b", 2)]).unwrap());
    let mut only_budget = draft().drawing("calls/builder", 1);
    only_budget.fields.obligations.truncate(1);
    let mut order = draft();
    order.fields.action.kind = ActionKind::Order;
    for (name, about, draft) in [
        (
            "grant_budget",
            "A grant that draws from a counter, and demands a sandbox.",
            draft().drawing("calls/builder", 1),
        ),
        ("grant_budget_only", "A grant that draws from a counter and demands nothing else.", only_budget),
        ("grant_budget_draws", "A grant that draws from three counters.", draws),
        ("grant_labelled", "A grant that carries labels.", draft().labelled(&["secret-read", "untrusted"])),
        ("grant_order", "A grant whose action is an order.", order),
        ("grant_group", "A grant for any gateway of a group.", draft().to_group(domain.group())),
        ("grant_admitted", "A grant that is admitted at once.", draft().admitted(domain.execution_id())),
        ("grant_caused", "A grant caused by another of this ledger.", draft().caused_by(&samples.grant)),
        ("grant_caused_elsewhere", "A grant of depth 2, caused in another ledger, under a mandate.", foreign),
        ("grant_resolving", "A grant that resolves a hold.", draft().resolving(&samples.hold)),
        ("grant_largest_numbers", "The largest number of uses and the longest window.", largest),
        ("grant_equal_lease", "A lease whose two times are the same.", equal_lease),
        ("grant_bare", "A grant with every array empty.", bare),
        ("grant_attested", "A grant for attested surroundings.", attested),
        ("grant_principal_key", "A grant to a principal that proved a key.", proved),
        ("grant_mandate", "A grant of depth 0 under a mandate.", mandated),
    ] {
        good(maker, name, about, EntryType::Grant, &samples.encoded(draft.proposal()));
    }
}

fn others(maker: &mut Maker, samples: &Samples) {
    let domain = &samples.domain;
    let denial = domain.denial(&samples.standing);
    let bare = Denial { policy: None, facts: None, code: Code::Unauthenticated, ..denial.denial.clone() };
    let bare = samples.encoded(Proposal::new(Draft::Denial(bare)));
    good(maker, "denial_bare", "A denial that came to no policy and no facts.", EntryType::Denial, &bare);
    let resolving = Denial { hold: Some(samples.hold.entry_ref()), code: Code::ApprovalRejected, ..denial.denial };
    let resolving = samples.encoded(Proposal::new(Draft::Denial(resolving)));
    good(maker, "denial_resolving", "A denial that ends a hold.", EntryType::Denial, &resolving);
    let told = Denial { text: Some(digest("why")), code: Code::GateFailed, ..domain.denial(&samples.standing).denial };
    let told = samples.encoded(Proposal::new(Draft::Denial(told)));
    good(maker, "denial_text", "A denial that says more in the vault.", EntryType::Denial, &told);
    let manifest = domain.sign_manifest(&domain.manifest_of(2), &[0, 1]);
    let signed = samples.encoded(domain.activate_signed(2, &manifest));
    good(maker, "policy_signed", "A policy set with its manifest and its gates.", EntryType::Policy, &signed);
    let order = samples.encoded(domain.denied_order(&samples.standing).proposal());
    good(maker, "denial_order", "A denial of an order.", EntryType::Denial, &order);
    let mut order = domain.hold(&samples.standing);
    order.fields.action.kind = ActionKind::Order;
    good(maker, "hold_order", "An order that waits.", EntryType::Hold, &samples.encoded(order.proposal()));
    let (first, _) = domain.activation(1);
    let largest = Activation { epoch: Positive::new(u64::MAX).unwrap(), ..first };
    let largest = samples.encoded(Proposal::new(Draft::Policy(largest)));
    good(maker, "policy_largest_epoch", "A policy set in the largest epoch.", EntryType::Policy, &largest);
    tallies(maker, samples);
    let mut hold = domain.hold(&samples.standing);
    let need = |group: &str, count| Need { group: Name::new(group).unwrap(), count: Positive::new(count).unwrap() };
    hold.fields.needs = vec![need("owners", 16), need("security", 1)];
    good(
        maker,
        "hold_two_groups",
        "A hold that two groups must approve.",
        EntryType::Hold,
        &samples.encoded(hold.proposal()),
    );
    let no = samples.encoded(domain.answer(&samples.hold, 1, Verdict::Reject).proposal());
    good(maker, "approval_rejecting", "Somebody says no.", EntryType::Approval, &no);
    let back = samples.encoded(domain.withdrawal(&samples.hold).proposal());
    good(maker, "approval_withdrawing", "Whoever asked takes it back.", EntryType::Approval, &back);
    mandates(maker, samples);
    let erased = |index, label: &str| Erased { index, commitment: digest(label) };
    let (erasure, openings) = domain.erasing([erased(4, "a"), erased(4, "b"), erased(300, "c")]);
    let erasure = Proposal::new(Draft::Erasure(erasure)).with_openings(openings);
    good(
        maker,
        "erasure_several",
        "An erasure of three values in two entries.",
        EntryType::Erasure,
        &samples.encoded(erasure),
    );
    let heartbeat = samples.encoded(domain.speaker(0, 1).heartbeat(&samples.standing));
    good(maker, "report_heartbeat", "A report with a heartbeat.", EntryType::Report, &heartbeat);
}

fn mandates(maker: &mut Maker, samples: &Samples) {
    let domain = &samples.domain;
    let alice = || (domain.alice(), domain.alice_key());
    let given = |uses, parent| {
        let (by, key) = alice();
        domain.mandate((by, key), domain.agent("builder"), domain.scope(uses), parent)
    };
    let mut say = |name: &str, about: &str, draft: MandateDraft| {
        good(maker, name, about, EntryType::Mandate, &samples.encoded(draft.proposal()));
    };
    say("mandate_first", "The first mandate of a chain.", given(None, None));
    say("mandate_uses", "A mandate for so many executions.", given(Some(5), None));
    let parent = EntryRef { entry: digest("mandate"), index: 3, ledger: domain.origin().clone() };
    say("mandate_delegated", "A mandate that was handed on.", given(Some(2), Some(parent)));
}

fn tallies(maker: &mut Maker, samples: &Samples) {
    let mut every: Vec<Code> = Code::ALL.to_vec();
    every.sort_by_key(|code| code.as_str());
    let count = |code, count| Count { code, count: Positive::new(count).unwrap() };
    let now_ms = samples.domain.now_ms();
    for (name, about, counts, from_ms) in [
        ("tally_one", "One caller that was turned away.", vec![count(Code::Unauthenticated, 1)], 0),
        ("tally_instant", "A count of no time.", vec![count(Code::Unauthenticated, 1)], now_ms),
        (
            "tally_every_code",
            "A count for each code.",
            every.into_iter().map(|code| count(code, u64::MAX)).collect(),
            0,
        ),
    ] {
        let tally = Tally::new(TallyFields { counts, from_ms, time_ms: now_ms }).unwrap();
        let bytes = samples.encoded(Proposal::new(Draft::Tally(tally)));
        good(maker, name, about, EntryType::Tally, &bytes);
    }
}
