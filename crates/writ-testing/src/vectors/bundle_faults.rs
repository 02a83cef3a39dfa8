//! Bundles with one fault each, in their form, their proofs, their chain and what they hold.

use super::BASE_MS;
use super::assembly::signed_by;
use super::bundle_story::{Story, input};
use super::case::{Case, Maker};
use super::mutation::{Structure, array, bytes, text};
use crate::scenario::{Domain, Recorded, SecretPair, digest};
use serde_json::Value;
use writ_ledger::Draft;
use writ_protocol::Code::{
    self, CommitmentMismatch, ControlChainBroken, EvidenceIncomplete, EvidenceInvalid, LineageBroken, Malformed,
    ProofInvalid, SignatureInvalid, UnknownAuthority, UnsupportedVersion,
};
use writ_protocol::action::{CommitmentKind, Opening};
use writ_protocol::bundle::Bundle;
use writ_protocol::cbor::Value::{self as Item, Null, Uint};
use writ_protocol::entry::{Control, Seal};
use writ_protocol::statement::Ending;
use writ_protocol::{Body, PinnedLedger, TrustRoot};
use writ_tlog::{Checkpoint, Hash, InclusionProof, LeafIndex, Origin};

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    forms(&mut maker);
    checkpoints(&mut maker);
    proofs(&mut maker);
    chain(&mut maker);
    genesis(&mut maker);
    selections(&mut maker);
    strangers(&mut maker);
    openings(&mut maker);
    borrowed_openings(&mut maker);
    maker.done()
}

/// A whole execution, its action and facts opened, and its grant.
fn executed(domain: &Domain) -> (Story<'_>, Recorded) {
    let (mut story, grant) = Story::granted(domain, |standing| domain.grant(standing).proposal());
    story.execute(&grant, domain.execution_id(), Ending::Exited(0));
    (story, grant)
}

fn forms(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (story, grant) = executed(&domain);
    let good = || Structure::of(&story.opened(grant.index.get()).encode());
    let mut bad = |name: &str, about: &str, changed: &[u8], code: Code| {
        maker.refuse(name, about, input(changed, &domain.trust_root()), code);
    };
    for (name, about, changed, code) in [
        ("context", "Another context.", good().set("0", text("writ.entry")), Malformed),
        ("version_2", "A version that this reader does not know.", good().set("1", Uint(2)), UnsupportedVersion),
        (
            "four_elements",
            "An array of four.",
            good().change("", |value| {
                if let Item::Array(items) = value {
                    items.push(Null)
                }
            }),
            Malformed,
        ),
        ("body_array", "The body is an array.", good().set("2", array([])), Malformed),
        ("without_openings", "A field is missing, though it may be empty.", good().remove("2/openings"), Malformed),
        ("unknown_field", "A field that the version does not have.", good().add("2", "note", text("")), Malformed),
        ("no_entries", "No entries.", good().set("2/entries", array([])), Malformed),
        ("checkpoint_text", "The checkpoint is text.", good().set("2/checkpoint", text("")), Malformed),
        (
            "proof_not_whole",
            "A proof that is not of whole hashes.",
            good().set("2/entries/0/2", bytes(&[1; 33])),
            Malformed,
        ),
        (
            "proof_64_hashes",
            "A proof of more hashes than there can be.",
            good().set("2/entries/0/2", bytes(&[1; 64 * 32])),
            ProofInvalid,
        ),
        (
            "opening_unknown_kind",
            "An opening of a kind that there is not.",
            good().set("2/openings/0/0", text("secret")),
            Malformed,
        ),
        ("opening_salt_short", "A salt of 31 bytes.", good().set("2/openings/0/1", bytes(&[1; 31])), Malformed),
        (
            "entry_four_elements",
            "An entry with something besides its proof.",
            good().change("2/entries/0", |value| {
                if let Item::Array(items) = value {
                    items.push(Null)
                }
            }),
            Malformed,
        ),
    ] {
        bad(name, about, &changed.bytes(), code);
    }
    let bundle = story.opened(grant.index.get());
    bad("trailing_byte", "A byte follows.", &[bundle.encode(), vec![0]].concat(), Malformed);
    bad("empty", "No bytes.", &[], Malformed);
    let mut swapped = bundle.clone();
    swapped.entries.swap(1, 2);
    bad("entries_not_ascending", "Entries that do not ascend.", &swapped.encode(), Malformed);
    let mut twice = bundle.clone();
    twice.entries.insert(1, twice.entries[0].clone());
    bad("entry_twice", "One entry twice.", &twice.encode(), Malformed);
}

fn checkpoints(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (story, grant) = executed(&domain);
    let bundle = || story.bundle(grant.index.get());
    let other = Domain::at("writ.example/ledger/other", BASE_MS);
    maker.refuse(
        "trust_root_of_other_ledger",
        "A ledger that is not pinned.",
        input(&bundle().encode(), &other.trust_root()),
        UnknownAuthority,
    );
    let head = story.ledger.checkpoint();
    let stranger = Bundle { checkpoint: signed_by(&head, &SecretPair::new("stranger")), ..bundle() };
    maker.refuse(
        "checkpoint_other_keys",
        "A checkpoint signed with keys that are not pinned.",
        story.input(&stranger),
        SignatureInvalid,
    );
    let changed = String::from_utf8(story.ledger.note()).unwrap().replacen(
        &head.root.to_base64(),
        &digest("root").to_base64(),
        1,
    );
    let changed = Bundle { checkpoint: changed.into_bytes(), ..bundle() };
    maker.refuse(
        "checkpoint_changed",
        "The root of the checkpoint is changed.",
        story.input(&changed),
        SignatureInvalid,
    );
    let elsewhere = Checkpoint { origin: Origin::new("writ.example/ledger/other").unwrap(), ..head };
    let elsewhere = Bundle { checkpoint: signed_by(&elsewhere, domain.ledger_keys()), ..bundle() };
    maker.refuse(
        "checkpoint_other_origin",
        "A checkpoint of a ledger that is not pinned.",
        story.input(&elsewhere),
        UnknownAuthority,
    );
    let none = Bundle { checkpoint: Vec::new(), ..bundle() };
    maker.refuse("checkpoint_empty", "No checkpoint.", story.input(&none), Malformed);
}

fn proofs(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (story, grant) = executed(&domain);
    let bundle = || story.bundle(grant.index.get());
    let mut bad =
        |name: &str, about: &str, bundle: Bundle, code: Code| maker.refuse(name, about, story.input(&bundle), code);
    let at = bundle().entries.iter().position(|entry| entry.index == grant.index).unwrap();
    let mut swapped = bundle();
    let mut hashes = swapped.entries[at].proof.hashes().to_vec();
    hashes.swap(0, 1);
    swapped.entries[at].proof = InclusionProof::new(hashes.clone());
    bad("proof_swapped", "Two hashes of a proof in the wrong order.", swapped, ProofInvalid);
    let mut short = bundle();
    short.entries[at].proof = InclusionProof::new(hashes[1..].to_vec());
    bad("proof_short", "A proof with a hash missing.", short, ProofInvalid);
    let mut long = bundle();
    long.entries[at].proof = InclusionProof::new([bundle().entries[at].proof.hashes(), &hashes[..1]].concat());
    bad("proof_long", "A proof with a hash too many.", long, ProofInvalid);
    let mut changed = bundle();
    changed.entries[at].bytes = Structure::of(&changed.entries[at].bytes).set("4/uses", Uint(1000)).bytes();
    bad("entry_changed", "A grant that permits more than the one that is logged.", changed, ProofInvalid);
    let mut moved = bundle();
    moved.entries[at].index = LeafIndex::new(grant.index.get() + 1);
    bad("entry_moved", "A grant at another index.", moved, ProofInvalid);
    let strange: [(&str, &str, Structure, Code); 4] = [
        (
            "entry_type_unknown",
            "A proved entry of a type that this reader does not know.",
            grant_structure(&story, &grant).set("1", text("warrant")),
            UnsupportedVersion,
        ),
        (
            "entry_version_2",
            "A proved entry of a version that this reader does not know.",
            grant_structure(&story, &grant).set("2", Uint(2)),
            UnsupportedVersion,
        ),
        (
            "entry_other_origin",
            "A proved entry of another ledger.",
            grant_structure(&story, &grant).set("3", text("writ.example/ledger/other")),
            UnknownAuthority,
        ),
        (
            "entry_malformed",
            "A proved grant without uses.",
            grant_structure(&story, &grant).remove("4/uses"),
            Malformed,
        ),
    ];
    for (name, about, entry, code) in strange {
        let mut story = Story::new(&domain);
        let index = story.ledger.raw(entry.bytes());
        story.ledger.seal();
        story.mine.push(index);
        maker.refuse(name, about, story.input(&story.bundle(index)), code);
    }
}

fn grant_structure(story: &Story<'_>, grant: &Recorded) -> Structure {
    Structure::of(story.ledger.entry(grant.index.get()))
}

fn chain(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (story, grant) = executed(&domain);
    let bundle = || story.bundle(grant.index.get());
    let without = |index: u64| {
        let mut bundle = bundle();
        bundle.entries.retain(|entry| entry.index.get() != index);
        bundle
    };
    let mut bad =
        |name: &str, about: &str, bundle: Bundle, code: Code| maker.refuse(name, about, story.input(&bundle), code);
    bad("control_entry_missing", "A control entry is left out.", without(2), ControlChainBroken);
    bad("last_control_entry_missing", "The last control entry is left out.", without(4), ControlChainBroken);
    bad("genesis_missing", "Genesis is left out.", without(0), ControlChainBroken);
    bad("closing_seal_missing", "The closing seal is left out.", without(story.ledger.size() - 1), EvidenceIncomplete);
    let mut older = bundle();
    older.entries.retain(|entry| entry.index.get() < story.ledger.size() - 3);
    older.entries.push(story.proved(story.ledger.size() - 3));
    bad("closing_seal_older", "The last entry is a seal, but not that of the last batch.", older, EvidenceIncomplete);
    let (mut unsealed, grant) = executed(&domain);
    unsealed.ledger.push(domain.halt());
    maker.refuse(
        "unsealed",
        "The checkpoint does not end with a seal.",
        unsealed.input(&unsealed.bundle(grant.index.get())),
        EvidenceIncomplete,
    );
    closing_seals(maker);
    seals_within(maker);
    links(maker);
}

fn closing_seals(maker: &mut Maker) {
    type Change = fn(&mut Seal);
    let seals: [(&str, &str, Change); 3] = [
        ("seal_other_head", "The closing seal names another control head.", |seal| seal.control.head = digest("head")),
        ("seal_other_seq", "The closing seal counts more control entries.", |seal| seal.control.seq += 1),
        ("seal_other_ledger", "The closing seal names another ledger.", |seal| {
            seal.control.ledger = Origin::new("writ.example/ledger/other").unwrap()
        }),
    ];
    for (name, about, change) in seals {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        let grant = story.ledger.push(domain.grant(&story.ledger.standing()).proposal());
        story.mine.push(grant.index.get());
        let mut seal = story.ledger.next_seal();
        change(&mut seal);
        story.ledger.push_body(Body::Seal(seal), Vec::new());
        maker.refuse(name, about, story.input(&story.bundle(grant.index.get())), ControlChainBroken);
    }
}

/// A seal before the closing one says what the chain was then.
fn seals_within(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    let grant = story.ledger.push(domain.grant(&story.ledger.standing()).proposal());
    let mut seal = story.ledger.next_seal();
    seal.control.head = digest("head");
    let seal = story.ledger.push_body(Body::Seal(seal), Vec::new());
    story.mine.extend([grant.index.get(), seal.index.get()]);
    story.tell(domain.speaker(0, 1).heartbeat(&story.ledger.standing()));
    let about = "A seal before the closing one names another control head.";
    maker.refuse("seal_within_other_head", about, story.input(&story.bundle(grant.index.get())), ControlChainBroken);
}

fn links(maker: &mut Maker) {
    type Change = fn(&mut Control);
    let changes: [(&str, &str, Change); 2] = [
        ("control_prev", "A control entry names another before it.", |control| control.prev = digest("prev")),
        ("control_seq", "A control entry counts on by two.", |control| control.seq += 1),
    ];
    for (name, about, change) in changes {
        let domain = Domain::new(BASE_MS);
        let (mut story, grant) = executed(&domain);
        let Draft::Halt(mut halt) = domain.halt().draft else { panic!("a halt") };
        halt.control = story.ledger.next_control();
        change(&mut halt.control);
        story.tell_body(Body::Halt(halt));
        maker.refuse(name, about, story.input(&story.bundle(grant.index.get())), ControlChainBroken);
    }
}

fn genesis(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (story, grant) = executed(&domain);
    let bundle = story.bundle(grant.index.get()).encode();
    let pinned =
        |genesis: Hash| PinnedLedger::new(domain.origin().clone(), genesis, domain.ledger_keys().key_pair()).unwrap();
    let mut bad =
        |name: &str, about: &str, trust: &TrustRoot| maker.refuse(name, about, input(&bundle, trust), UnknownAuthority);
    bad("genesis_other", "Another genesis is pinned.", &TrustRoot::new(domain.id(), pinned(digest("genesis"))));
    let other = Domain::at("writ.example/ledger/other", BASE_MS);
    bad("domain_other", "Another domain is pinned.", &TrustRoot::new(other.id(), pinned(domain.genesis_hash())));
    let mut rotated =
        PinnedLedger::new(domain.origin().clone(), domain.genesis_hash(), other.ledger_keys().key_pair()).unwrap();
    rotated.rotate(1, domain.ledger_keys().key_pair()).unwrap();
    bad("genesis_keys_other", "Other keys are pinned for the beginning.", &TrustRoot::new(domain.id(), rotated));
}

fn selections(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (story, grant) = executed(&domain);
    let subject = grant.index.get();
    let steps = story.mine[3..].to_vec();
    let without = |story: &Story<'_>, index: u64, subject: u64| {
        let mut bundle = story.bundle(subject);
        bundle.entries.retain(|entry| entry.index.get() != index);
        bundle
    };
    let mut bad = |name: &str, about: &str, input: Value, code: Code| maker.refuse(name, about, input, code);
    bad(
        "grant_missing",
        "The grant of a spend is left out.",
        story.input(&without(&story, subject, steps[0])),
        EvidenceIncomplete,
    );
    bad(
        "spend_missing",
        "The spend of a start is left out.",
        story.input(&without(&story, steps[0], subject)),
        EvidenceIncomplete,
    );
    bad(
        "start_missing",
        "The start of an outcome is left out.",
        story.input(&without(&story, steps[1], subject)),
        LineageBroken,
    );
    bad(
        "subject_missing",
        "The subject is not among the entries.",
        story.input(&without(&story, steps[2], steps[2])),
        EvidenceIncomplete,
    );
    bad("subject_beyond", "The subject is beyond the tree.", story.input(&story.bundle(10_000)), EvidenceIncomplete);
    bad(
        "subject_seal",
        "The subject is a seal.",
        story.input(&story.bundle(story.ledger.size() - 1)),
        EvidenceIncomplete,
    );
    bad(
        "subject_other",
        "The subject is a control entry, beside an execution.",
        story.input(&story.bundle(2)),
        EvidenceInvalid,
    );
}

fn strangers(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, _) = executed(&domain);
    let mut bad = |name: &str, about: &str, input: Value, code: Code| maker.refuse(name, about, input, code);
    let denial = story.tell(domain.denial(&story.ledger.standing()).proposal());
    bad(
        "denial_with_grant",
        "A denial, beside an execution.",
        story.input(&story.bundle(denial.index.get())),
        EvidenceInvalid,
    );
    let (mut story, grant) = executed(&domain);
    story.tell(domain.grant(&story.ledger.standing()).proposal());
    bad(
        "foreign_grant",
        "A grant that does not belong to the subject.",
        story.input(&story.bundle(grant.index.get())),
        EvidenceInvalid,
    );
    let (mut story, grant) = executed(&domain);
    let other = story.tell(domain.grant(&story.ledger.standing()).proposal());
    story.tell(domain.speaker(0, 1).spent(&other, domain.execution_id()));
    bad(
        "foreign_execution",
        "An execution that does not belong to the subject.",
        story.input(&story.bundle(grant.index.get())),
        EvidenceInvalid,
    );
}

/// What another decision was about must not be shown as this one's.
fn borrowed_openings(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = executed(&domain);
    let denial = story.tell(domain.denial(&story.ledger.standing()).proposal());
    let with = |openings: Vec<Opening>| Bundle { openings, ..story.bundle(grant.index.get()) };
    let borrowed = with(vec![denial.opening(CommitmentKind::Action).clone()]);
    let about = "The opening of a denial in the same bundle.";
    maker.refuse("opening_of_another_decision", about, story.input(&borrowed), CommitmentMismatch);
    let facts = grant.opening(CommitmentKind::Facts);
    let twice = with(vec![facts.clone(), facts.clone()]);
    maker.refuse("opening_twice", "One opening, twice.", story.input(&twice), CommitmentMismatch);
}

fn openings(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (story, grant) = executed(&domain);
    let with = |opening: Opening| Bundle { openings: vec![opening], ..story.bundle(grant.index.get()) };
    let facts = || grant.opening(CommitmentKind::Facts).clone();
    let mut bad = |name: &str, about: &str, opening: Opening, code: Code| {
        maker.refuse(name, about, story.input(&with(opening)), code)
    };
    bad(
        "opening_other_value",
        "An opening with another value.",
        Opening { value: b"{}".to_vec(), ..facts() },
        CommitmentMismatch,
    );
    bad(
        "opening_other_salt",
        "An opening with another salt.",
        Opening { salt: [7; 32], ..facts() },
        CommitmentMismatch,
    );
    bad(
        "opening_other_kind",
        "An opening of another kind.",
        Opening { kind: CommitmentKind::Action, ..facts() },
        CommitmentMismatch,
    );
    bad(
        "opening_text",
        "No entry commits to a value of this kind.",
        domain.opening(CommitmentKind::Text, b"text".to_vec()),
        CommitmentMismatch,
    );
    for (name, about, value, code) in [
        (
            "opening_action_not_canonical",
            "An action that was committed but is not canonical.",
            b"make test".to_vec(),
            Malformed,
        ),
        (
            "opening_action_kind_unknown",
            "An action that was committed, of a kind that this reader does not know.",
            Structure::of(&grant.opening(CommitmentKind::Action).value).set("1", text("tool")).bytes(),
            UnsupportedVersion,
        ),
    ] {
        let opening = domain.opening(CommitmentKind::Action, value);
        let mut draft = domain.grant(&Story::new(&domain).ledger.standing());
        draft.fields.action.digest = opening.commitment();
        let mut story = Story::new(&domain);
        draft.fields.as_of.size = story.ledger.size();
        draft.fields.as_of.control = story.ledger.standing().control;
        let grant = story.tell(draft.proposal());
        let bundle = Bundle { openings: vec![opening], ..story.bundle(grant.index.get()) };
        maker.refuse(name, about, story.input(&bundle), code);
    }
}
