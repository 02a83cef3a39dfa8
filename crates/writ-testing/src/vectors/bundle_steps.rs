//! Bundles of ledgers that recorded a step of an execution against the rules of order.

use super::BASE_MS;
use super::bundle_story::Story;
use super::case::{Case, Maker};
use super::mutation::{Structure, text};
use crate::scenario::{Domain, Recorded, Secret, digest, envelope, payload_of, statement_message};
use writ_ledger::{Draft, Proposal};
use writ_protocol::Code::{
    self, ActionMismatch, EvidenceIncomplete, Expired, Halted, LineageBroken, Malformed, MissingWrit, NotYetValid,
    Replayed, Revoked, SignatureInvalid, SurroundingsMismatch, UnknownAuthority, UsesExhausted, WrongAudience,
};
use writ_protocol::entry::{Positive, Target};
use writ_protocol::statement::{Claim, Ending};
use writ_protocol::{Body, ExecutionId};
use writ_tlog::{Hash, LeafIndex};

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    spends(&mut maker);
    spends_in_time(&mut maker);
    spends_of_others(&mut maker);
    forbidden(&mut maker);
    forbidden_starts(&mut maker);
    executions(&mut maker);
    executions_mixed_up(&mut maker);
    signers(&mut maker);
    strange_statements(&mut maker);
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
}

fn spends_in_time(maker: &mut Maker) {
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
        ("spent_other_index", "A spend that names the grant at the index of another entry.", MissingWrit),
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
}

fn spends_of_others(maker: &mut Maker) {
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

/// What was spent before it was forbidden may not start after that, whoever says so.
fn forbidden_starts(maker: &mut Maker) {
    let names = ["writ", "key", "principal", "policy", "lineage", "gateway"];
    for (number, name) in names.into_iter().enumerate() {
        let about = format!("Started after the revocation of the {name}.");
        after_grant(maker, (&format!("started_revoked_{name}"), &about, Revoked), 1, |story, domain, grant| {
            let execution = domain.execution_id();
            story.tell(domain.speaker(0, 1).spent(grant, execution));
            story.tell(domain.revoke(domain.targets(grant)[number].clone()));
            story.tell(domain.speaker(0, 1).started(grant, execution));
        });
    }
    after_grant(maker, ("started_halted", "Started during a halt.", Halted), 1, |story, domain, grant| {
        let execution = domain.execution_id();
        story.tell(domain.speaker(0, 1).spent(grant, execution));
        story.tell(domain.halt());
        story.tell(domain.speaker(0, 1).started(grant, execution));
    });
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
}

fn executions_mixed_up(maker: &mut Maker) {
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
}

fn strange_statements(maker: &mut Maker) {
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
