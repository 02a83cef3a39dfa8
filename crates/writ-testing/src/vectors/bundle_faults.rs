//! Bundles with one fault each; most need a ledger that broke the rules.

use super::BASE_MS;
use super::assembly::signed_by;
use super::bundle_story::{Story, input};
use super::case::{Case, Maker};
use super::mutation::{Structure, array, bytes, text};
use crate::scenario::{Domain, Recorded, Secret, SecretPair, digest, envelope, payload_of, statement_message};
use serde_json::Value;
use writ_ledger::{Draft, Proposal};
use writ_protocol::Code::{
    self, ActionMismatch, CommitmentMismatch, ControlChainBroken, EvidenceIncomplete, EvidenceInvalid, Expired, Halted,
    LineageBroken, Malformed, MissingWrit, NotYetValid, ProofInvalid, Replayed, Revoked, ScopeWidened,
    SignatureInvalid, SurroundingsMismatch, UnknownAuthority, UnsupportedVersion, UsesExhausted, WrongAudience,
};
use writ_protocol::action::{CommitmentKind, Opening};
use writ_protocol::bundle::Bundle;
use writ_protocol::cbor::Value::{Null, Uint};
use writ_protocol::entry::{Place, Positive, Target, Window};
use writ_protocol::statement::{Claim, Ending};
use writ_protocol::{Body, ExecutionId, TrustRoot};
use writ_tlog::{Checkpoint, Hash, InclusionProof, LeafIndex, Origin};

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    forms(&mut maker);
    checkpoints(&mut maker);
    proofs(&mut maker);
    chain(&mut maker);
    genesis(&mut maker);
    selections(&mut maker);
    openings(&mut maker);
    spends(&mut maker);
    forbidden(&mut maker);
    executions(&mut maker);
    signers(&mut maker);
    grants(&mut maker);
    orders(&mut maker);
    maker.done()
}

/// A spend at a time of choice.
pub(super) fn spent_at(domain: &Domain, grant: &Recorded, execution: ExecutionId, time_ms: u64) -> Proposal {
    let usage = Positive::ONE;
    let claim = Claim::Spent { writ: grant.hash, index: grant.index.get(), execution, usage };
    let mut statement = domain.speaker(0, 1).statement(claim);
    statement.time_ms = time_ms;
    Proposal::new(Draft::Statement(domain.speaker(0, 1).sign(&statement)))
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
                if let writ_protocol::cbor::Value::Array(items) = value {
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
                if let writ_protocol::cbor::Value::Array(items) = value {
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
    let mut older = without(story.ledger.size() - 1);
    older.entries.push(story.proved(story.ledger.size() - 3));
    older.entries.sort_by_key(|entry| entry.index);
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
    links(maker);
}

fn closing_seals(maker: &mut Maker) {
    let seals: [(&str, &str, fn(&mut writ_protocol::entry::Seal)); 3] = [
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

fn links(maker: &mut Maker) {
    let changes: [(&str, &str, fn(&mut writ_protocol::entry::Control)); 2] = [
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
    let pinned = |genesis: Hash| {
        writ_protocol::PinnedLedger::new(domain.origin().clone(), genesis, domain.ledger_keys().key_pair()).unwrap()
    };
    let mut bad =
        |name: &str, about: &str, trust: &TrustRoot| maker.refuse(name, about, input(&bundle, trust), UnknownAuthority);
    bad("genesis_other", "Another genesis is pinned.", &TrustRoot::new(domain.id(), pinned(digest("genesis"))));
    let other = Domain::at("writ.example/ledger/other", BASE_MS);
    bad("domain_other", "Another domain is pinned.", &TrustRoot::new(other.id(), pinned(domain.genesis_hash())));
    let mut rotated = writ_protocol::PinnedLedger::new(
        domain.origin().clone(),
        domain.genesis_hash(),
        other.ledger_keys().key_pair(),
    )
    .unwrap();
    rotated.rotate(1, domain.ledger_keys().key_pair()).unwrap();
    bad("genesis_keys_other", "Other keys are pinned for the beginning.", &TrustRoot::new(domain.id(), rotated));
}

fn selections(maker: &mut Maker) {
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = executed(&domain);
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

/// One grant of a draft, one proposal after it that the ledger must not have taken.
fn after_grant(
    maker: &mut Maker,
    (name, about, code): (&str, &str, Code),
    uses: u64,
    tell: impl FnOnce(&mut Story<'_>, &Domain, &Recorded),
) {
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).uses(uses).proposal());
    tell(&mut story, &domain, &grant);
    maker.refuse(name, about, story.input(&story.bundle(grant.index.get())), code);
}

fn spends(maker: &mut Maker) {
    after_grant(
        maker,
        ("spent_by_other_gateway", "Spent by a gateway that the writ is not for.", WrongAudience),
        1,
        |story, domain, grant| {
            story.tell(domain.speaker(1, 1).spent(grant, domain.execution_id()));
        },
    );
    after_grant(
        maker,
        ("spent_in_ended_epoch", "Spent in an epoch that has ended.", WrongAudience),
        1,
        |story, domain, grant| {
            story.tell(domain.enrol(0, 2));
            story.tell(domain.speaker(0, 1).spent(grant, domain.execution_id()));
        },
    );
    after_grant(
        maker,
        ("spent_in_next_epoch", "Spent in an epoch after that of the writ.", WrongAudience),
        1,
        |story, domain, grant| {
            story.tell(domain.enrol(0, 2));
            story.tell(domain.speaker(0, 2).spent(grant, domain.execution_id()));
        },
    );
    after_grant(maker, ("spent_twice", "One use spent twice.", Replayed), 1, |story, domain, grant| {
        story.tell(domain.speaker(0, 1).spent(grant, domain.execution_id()));
        story.tell(domain.speaker(0, 1).spent(grant, domain.execution_id()));
    });
    after_grant(maker, ("execution_twice", "One execution for two uses.", Replayed), 2, |story, domain, grant| {
        let execution = domain.execution_id();
        story.tell(domain.speaker(0, 1).spent(grant, execution));
        story.tell(domain.speaker(0, 1).spent_use(grant, execution, 2));
    });
    after_grant(maker, ("use_2_of_1", "A use more than were granted.", UsesExhausted), 1, |story, domain, grant| {
        story.tell(domain.speaker(0, 1).spent_use(grant, domain.execution_id(), 2));
    });
    after_grant(
        maker,
        ("spent_before_window", "Spent a millisecond before the window.", NotYetValid),
        1,
        |story, domain, grant| {
            let time_ms = grant.grant().window.from_ms() - 1;
            story.tell(spent_at(domain, grant, domain.execution_id(), time_ms));
        },
    );
    after_grant(
        maker,
        ("spent_after_window", "Spent when the window has ended.", Expired),
        1,
        |story, domain, grant| {
            let time_ms = grant.grant().window.until_ms();
            story.tell(spent_at(domain, grant, domain.execution_id(), time_ms));
        },
    );
    after_grant(
        maker,
        ("spent_other_index", "A spend that names the grant at the index of another entry.", EvidenceIncomplete),
        1,
        |story, domain, grant| {
            let moved = Recorded { index: LeafIndex::new(2), ..grant.clone() };
            story.tell(domain.speaker(0, 1).spent(&moved, domain.execution_id()));
        },
    );
    after_grant(
        maker,
        ("spent_other_hash", "A spend of another writ at the index of the grant.", MissingWrit),
        1,
        |story, domain, grant| {
            let other = Recorded { hash: digest("writ"), ..grant.clone() };
            story.tell(domain.speaker(0, 1).spent(&other, domain.execution_id()));
        },
    );
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = Story::granted(&domain, |standing| {
        domain.grant(standing).to_group(writ_protocol::Name::new("others").unwrap()).proposal()
    });
    story.tell(domain.speaker(0, 1).spent(&grant, domain.execution_id()));
    maker.refuse(
        "spent_outside_group",
        "Spent by a gateway that is not of the group.",
        story.input(&story.bundle(grant.index.get())),
        WrongAudience,
    );
    let execution = domain.execution_id();
    let (mut story, grant) = Story::granted(&domain, |standing| domain.grant(standing).admitted(execution).proposal());
    story.tell(domain.speaker(0, 1).spent(&grant, domain.execution_id()));
    maker.refuse(
        "admitted_spent_again",
        "A use that the grant has spent by itself.",
        story.input(&story.bundle(grant.index.get())),
        Replayed,
    );
}

/// Spends after something that forbids them.
fn forbidden(maker: &mut Maker) {
    let names = ["writ", "key", "principal", "policy", "lineage", "gateway"];
    for (number, name) in names.into_iter().enumerate() {
        let about = format!("Spent after the revocation of the {name}.");
        after_grant(maker, (&format!("spent_revoked_{name}"), &about, Revoked), 1, |story, domain, grant| {
            story.tell(domain.revoke(domain.targets(grant)[number].clone()));
            story.tell(domain.speaker(0, 1).spent(grant, domain.execution_id()));
        });
    }
    after_grant(
        maker,
        ("spent_revoked_gateway_key", "Spent by a gateway whose key is revoked.", Revoked),
        1,
        |story, domain, grant| {
            story.tell(domain.revoke(Target::Key(domain.gateway_key(0, 1).public().fingerprint())));
            story.tell(domain.speaker(0, 1).spent(grant, domain.execution_id()));
        },
    );
    after_grant(
        maker,
        ("started_revoked_gateway_key", "A start stated with a key that is revoked.", Revoked),
        1,
        |story, domain, grant| {
            let execution = domain.execution_id();
            story.tell(domain.speaker(0, 1).spent(grant, execution));
            story.tell(domain.revoke(Target::Key(domain.gateway_key(0, 1).public().fingerprint())));
            story.tell(domain.speaker(0, 1).started(grant, execution));
        },
    );
    after_grant(maker, ("spent_halted", "Spent during a halt.", Halted), 1, |story, domain, grant| {
        story.tell(domain.halt());
        story.tell(domain.speaker(0, 1).spent(grant, domain.execution_id()));
    });
    after_grant(
        maker,
        ("spent_halted_by_root", "Spent during a halt by the root.", Halted),
        1,
        |story, domain, grant| {
            story.tell(domain.root_halt());
            story.tell(domain.speaker(0, 1).spent(grant, domain.execution_id()));
        },
    );
    for (name, lineage) in [("writ", false), ("lineage", true)] {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        let parent = story.leave_out(domain.grant(&story.ledger.standing()).proposal());
        let grant = story.tell(domain.grant(&story.ledger.standing()).caused_by(&parent).proposal());
        let lineage = lineage.then(|| Target::Lineage { ledger: domain.origin().clone(), entry: parent.hash });
        story.tell(domain.revoke(lineage.unwrap_or(Target::Writ(parent.hash))));
        story.tell(domain.speaker(0, 1).spent(&grant, domain.execution_id()));
        let about = format!("Spent after the revocation of the parent's {name}.");
        maker.refuse(
            &format!("spent_revoked_parent_{name}"),
            &about,
            story.input(&story.bundle(grant.index.get())),
            Revoked,
        );
    }
}

fn executions(maker: &mut Maker) {
    let started = |grant: &Recorded, execution, action, surroundings| Claim::Started {
        writ: grant.hash,
        execution,
        action,
        surroundings,
    };
    after_grant(
        maker,
        ("started_other_action", "Another action was started.", ActionMismatch),
        1,
        |story, domain, grant| {
            let execution = domain.execution_id();
            story.tell(domain.speaker(0, 1).spent(grant, execution));
            story.tell(domain.speaker(0, 1).state(started(
                grant,
                execution,
                digest("action"),
                grant.grant().surroundings.digest,
            )));
        },
    );
    after_grant(
        maker,
        ("started_other_surroundings", "Started in other surroundings.", SurroundingsMismatch),
        1,
        |story, domain, grant| {
            let execution = domain.execution_id();
            story.tell(domain.speaker(0, 1).spent(grant, execution));
            story.tell(domain.speaker(0, 1).state(started(
                grant,
                execution,
                grant.grant().action.digest,
                digest("elsewhere"),
            )));
        },
    );
    after_grant(
        maker,
        ("started_without_spend", "Started without a spend.", EvidenceIncomplete),
        1,
        |story, domain, grant| {
            story.tell(domain.speaker(0, 1).started(grant, domain.execution_id()));
        },
    );
    after_grant(maker, ("started_twice", "Started twice.", Replayed), 1, |story, domain, grant| {
        let execution = domain.execution_id();
        story.start(grant, execution);
        story.tell(domain.speaker(0, 1).started(grant, execution));
    });
    after_grant(
        maker,
        ("started_by_other_gateway", "Started by another gateway than spent it.", LineageBroken),
        1,
        |story, domain, grant| {
            let execution = domain.execution_id();
            story.tell(domain.speaker(0, 1).spent(grant, execution));
            story.tell(domain.speaker(1, 1).started(grant, execution));
        },
    );
    after_grant(maker, ("ended_without_start", "Ended without a start.", LineageBroken), 1, |story, domain, grant| {
        let execution = domain.execution_id();
        story.tell(domain.speaker(0, 1).spent(grant, execution));
        story.tell(domain.speaker(0, 1).ended(grant, execution, Ending::Exited(0)));
    });
    after_grant(
        maker,
        ("ended_without_spend", "Ended without a spend.", EvidenceIncomplete),
        1,
        |story, domain, grant| {
            story.tell(domain.speaker(0, 1).ended(grant, domain.execution_id(), Ending::Unknown));
        },
    );
    after_grant(maker, ("ended_twice", "Ended twice.", Replayed), 1, |story, domain, grant| {
        let execution = domain.execution_id();
        story.execute(grant, execution, Ending::Exited(0));
        story.tell(domain.speaker(0, 1).ended(grant, execution, Ending::Exited(1)));
    });
    after_grant(
        maker,
        ("ended_by_other_gateway", "Ended by another gateway than started it.", LineageBroken),
        1,
        |story, domain, grant| {
            let execution = domain.execution_id();
            story.start(grant, execution);
            story.tell(domain.speaker(1, 1).ended(grant, execution, Ending::Exited(0)));
        },
    );
    after_grant(
        maker,
        ("started_other_writ", "Started for another writ than was spent.", LineageBroken),
        1,
        |story, domain, grant| {
            let execution = domain.execution_id();
            story.tell(domain.speaker(0, 1).spent(grant, execution));
            let other = Recorded { hash: digest("writ"), ..grant.clone() };
            story.tell(domain.speaker(0, 1).started(&other, execution));
        },
    );
}

fn signers(maker: &mut Maker) {
    let stated = |domain: &Domain, grant: &Recorded, secret: &Secret, by: Hash| {
        let claim = Claim::Spent {
            writ: grant.hash,
            index: grant.index.get(),
            execution: domain.execution_id(),
            usage: Positive::ONE,
        };
        let statement = domain.speaker(0, 1).statement(claim);
        let payload = payload_of(&domain.speaker(0, 1).sign(&statement));
        let signature = secret.sign(&statement_message(&payload));
        Proposal::new(Draft::Statement(envelope(&payload, &[(by, signature)])))
    };
    after_grant(
        maker,
        ("signed_by_other_key", "A statement signed by another key.", UnknownAuthority),
        1,
        |story, domain, grant| {
            let other = domain.gateway_key(1, 1);
            story.tell(stated(domain, grant, &other, other.public().fingerprint().0));
        },
    );
    after_grant(
        maker,
        ("signature_invalid", "A statement with a signature that does not verify.", SignatureInvalid),
        1,
        |story, domain, grant| {
            let (own, other) = (domain.gateway_key(0, 1), domain.gateway_key(1, 1));
            story.tell(stated(domain, grant, &other, own.public().fingerprint().0));
        },
    );
    after_grant(
        maker,
        ("gateway_not_enrolled_epoch", "A statement of an epoch that was never enrolled.", UnknownAuthority),
        1,
        |story, domain, grant| {
            story.tell(domain.speaker(0, 3).spent(grant, domain.execution_id()));
        },
    );
    after_grant(
        maker,
        ("statement_other_kind", "A spend that carries the statement of a start.", Malformed),
        1,
        |story, domain, grant| {
            let Draft::Statement(statement) = domain.speaker(0, 1).started(grant, domain.execution_id()).draft else {
                panic!("a statement")
            };
            let statement = writ_protocol::cbor::Bytes(statement);
            story.tell_body(Body::Spend(writ_protocol::entry::Evidence { statement }));
        },
    );
    after_grant(
        maker,
        ("statement_other_origin", "A statement for another ledger.", UnknownAuthority),
        1,
        |story, domain, grant| {
            let Draft::Statement(statement) = domain.speaker(0, 1).spent(grant, domain.execution_id()).draft else {
                panic!("a statement")
            };
            let payload = Structure::of(&payload_of(&statement)).set("3", text("writ.example/ledger/other")).bytes();
            let key = domain.gateway_key(0, 1);
            let statement =
                envelope(&payload, &[(key.public().fingerprint().0, key.sign(&statement_message(&payload)))]);
            let statement = writ_protocol::cbor::Bytes(statement);
            story.tell_body(Body::Spend(writ_protocol::entry::Evidence { statement }));
        },
    );
    let domain = Domain::new(BASE_MS);
    let mut story = Story {
        domain: &domain,
        ledger: super::assembly::Assembly::new(&domain),
        mine: Vec::new(),
        openings: Vec::new(),
    };
    let report = story.tell(domain.speaker(0, 1).heartbeat(&story.ledger.standing()));
    maker.refuse(
        "gateway_not_enrolled",
        "A report of a gateway that is not enrolled.",
        story.input(&story.bundle(report.index.get())),
        UnknownAuthority,
    );
}

/// Grants that no ledger may take.
fn grants(maker: &mut Maker) {
    type Change = fn(&mut crate::scenario::GrantDraft, &Domain);
    let changes: [(&str, &str, Code, Change); 11] = [
        ("window_too_long", "A window beyond the limit.", ScopeWidened, |draft, _| {
            let from_ms = draft.fields.window.from_ms();
            draft.fields.window = Window::new(from_ms, from_ms + 3_600_001).unwrap();
        }),
        ("freeze_too_late", "Frozen later than the limit.", ScopeWidened, |draft, _| {
            (draft.fields.lease.freeze_after_ms, draft.fields.lease.kill_after_ms) =
                (positive(60_001), positive(60_001));
        }),
        ("kill_too_late", "Killed later than the limit.", ScopeWidened, |draft, _| {
            draft.fields.lease.kill_after_ms = positive(120_001)
        }),
        ("too_deep", "A lineage deeper than the limit.", ScopeWidened, |draft, domain| {
            draft.fields.cause.place = caused(domain, 5, 7, 8)
        }),
        ("depth_1_other_origin", "At depth 1 parent and origin differ.", LineageBroken, |draft, domain| {
            draft.fields.cause.place = caused(domain, 1, 7, 8)
        }),
        ("depth_2_same_origin", "At depth 2 the parent is the origin.", LineageBroken, |draft, domain| {
            draft.fields.cause.place = caused(domain, 2, 7, 7)
        }),
        ("audience_not_enrolled", "For a gateway that is not enrolled.", UnknownAuthority, |draft, _| {
            *draft = draft.clone().to_gateway(writ_protocol::Name::new("gateway-3").unwrap(), 1);
        }),
        ("audience_other_epoch", "For an epoch that is not the current one.", WrongAudience, |draft, domain| {
            *draft = draft.clone().to_gateway(domain.gateway_name(0), 2);
        }),
        ("as_of_future", "Decided on a state after its own index.", Malformed, |draft, _| draft.fields.as_of.size += 1),
        ("as_of_other_control", "Decided on a control head that the ledger did not have.", Malformed, |draft, _| {
            draft.fields.as_of.control = digest("control")
        }),
        ("as_of_other_ledger", "Decided on the state of another ledger.", Malformed, |draft, _| {
            draft.fields.as_of.ledger = Origin::new("writ.example/ledger/other").unwrap()
        }),
    ];
    for (name, about, code, change) in changes {
        let domain = Domain::new(BASE_MS);
        let (story, grant) = Story::granted(&domain, |standing| {
            let mut draft = domain.grant(standing);
            change(&mut draft, &domain);
            draft.proposal()
        });
        maker.refuse(&format!("grant_{name}"), about, story.input(&story.bundle(grant.index.get())), code);
    }
    let domain = Domain::new(BASE_MS);
    let mut story = Story::new(&domain);
    story.tell(domain.halt());
    let grant = story.tell(domain.grant(&story.ledger.standing()).proposal());
    maker.refuse("grant_halted", "Granted during a halt.", story.input(&story.bundle(grant.index.get())), Halted);
    for (name, target) in [
        ("principal", Target::Principal(domain.builder_name())),
        ("holder", Target::Key(domain.holder().public().fingerprint())),
        ("gateway", Target::Gateway(domain.gateway_name(0))),
    ] {
        let mut story = Story::new(&domain);
        story.tell(domain.revoke(target));
        let grant = story.tell(domain.grant(&story.ledger.standing()).proposal());
        let about = format!("Granted after the revocation of the {name}.");
        maker.refuse(&format!("grant_revoked_{name}"), &about, story.input(&story.bundle(grant.index.get())), Revoked);
    }
}

fn positive(value: u64) -> Positive {
    Positive::new(value).unwrap()
}

/// Caused by a grant of this ledger that no bundle here holds.
fn caused(domain: &Domain, depth: u64, parent: u8, origin: u8) -> Place {
    let reference = |byte: u8| writ_protocol::entry::EntryRef {
        entry: Hash::from_bytes([byte; 32]),
        index: byte.into(),
        ledger: domain.origin().clone(),
    };
    Place::Caused { depth, parent: reference(parent), origin: reference(origin) }
}

fn orders(maker: &mut Maker) {
    type Tell = fn(&mut Story<'_>, &Domain);
    let cases: [(&str, &str, Code, Tell); 8] = [
        ("order_resume_not_halted", "The root resumes what is not halted.", EvidenceInvalid, |story, domain| {
            story.tell(domain.root_resume());
        }),
        ("order_below_threshold", "A root order that too few have signed.", SignatureInvalid, |story, domain| {
            let halt = domain.root_statement(writ_protocol::statement::RootCommand::Halt(
                writ_protocol::Label::new("drill").unwrap(),
            ));
            story.tell(Proposal::new(Draft::RootOrder(domain.sign_root(&halt, &[&domain.root_keys()[0]]))));
        }),
        ("order_other_domain", "A root order for another domain.", UnknownAuthority, |story, domain| {
            let mut halt = domain.root_statement(writ_protocol::statement::RootCommand::Halt(
                writ_protocol::Label::new("drill").unwrap(),
            ));
            halt.domain = writ_protocol::DomainId::from_bytes([9; 16]);
            let members = [&domain.root_keys()[0], &domain.root_keys()[1]];
            story.tell(Proposal::new(Draft::RootOrder(domain.sign_root(&halt, &members))));
        }),
        ("order_other_members", "A root order by members of another domain.", UnknownAuthority, |story, domain| {
            let halt = domain.root_statement(writ_protocol::statement::RootCommand::Halt(
                writ_protocol::Label::new("drill").unwrap(),
            ));
            let other = Domain::at("writ.example/ledger/other", BASE_MS);
            let members = [&other.root_keys()[0], &other.root_keys()[1]];
            story.tell(Proposal::new(Draft::RootOrder(domain.sign_root(&halt, &members))));
        }),
        ("order_twice", "One root statement twice.", Replayed, |story, domain| {
            let Draft::RootOrder(halt) = domain.root_halt().draft else { panic!("a root order") };
            story.tell(Proposal::new(Draft::RootOrder(halt.clone())));
            story.tell(Proposal::new(Draft::RootOrder(halt)));
        }),
        ("gateway_first_epoch_2", "A gateway enrolled in epoch 2.", WrongAudience, |story, domain| {
            let enrolment = writ_protocol::entry::Enrolment {
                gateway: writ_protocol::Name::new("gateway-3").unwrap(),
                ..domain.enrolment(0, 2)
            };
            story.tell(Proposal::new(Draft::Gateway(enrolment)));
        }),
        ("gateway_same_epoch", "A gateway enrolled again in its epoch.", WrongAudience, |story, domain| {
            story.tell(domain.enrol(0, 1));
        }),
        ("gateway_revoked", "A gateway enrolled again after its revocation.", Revoked, |story, domain| {
            story.tell(domain.revoke(Target::Gateway(domain.gateway_name(0))));
            story.tell(domain.enrol(0, 2));
        }),
    ];
    for (name, about, code, tell) in cases {
        let domain = Domain::new(BASE_MS);
        let mut story = Story::new(&domain);
        tell(&mut story, &domain);
        maker.refuse(name, about, story.input(&story.bundle(2)), code);
    }
    let domain = Domain::new(BASE_MS);
    let (mut story, grant) = executed(&domain);
    let revocation = domain.revocation(Target::Writ(digest("writ")));
    story.tell(Proposal::new(Draft::Revocation(revocation.clone())));
    story.tell(Proposal::new(Draft::Revocation(revocation)));
    maker.refuse(
        "order_id_twice",
        "Two revocations of one id.",
        story.input(&story.bundle(grant.index.get())),
        Replayed,
    );
}
