//! Bundles of ledgers in which executions are under mandates, by the rules of order and against them.

use super::BASE_MS;
use super::bundle::nothing;
use super::bundle_story::{Shown, Story};
use super::case::{Case, Maker, hex};
use crate::scenario::{Domain, GrantDraft, MandateDraft, Recorded, digest};
use writ_protocol::Code::{
    EvidenceIncomplete, EvidenceInvalid, Expired, IdentityMismatch, LineageBroken, NotYetValid, Revoked, ScopeWidened,
    SignatureInvalid,
};
use writ_protocol::action::Command;
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{AssertedPrincipal, EntryRef, MANDATES_MAX, Positive, Target, Window};
use writ_protocol::scope::{Among, File, Path, Program, Scope, ScopeFields};
use writ_protocol::{Code as Refused, Name};

pub(super) fn cases() -> Vec<Case> {
    let domain = Domain::new(BASE_MS);
    let mut maker = Maker::new("bundle", "bundle");
    accepted(&domain, &mut maker);
    given_wrongly(&domain, &mut maker);
    handed_on_wrongly(&domain, &mut maker);
    granted_outside(&domain, &mut maker);
    revoked(&domain, &mut maker);
    not_there(&domain, &mut maker);
    opened(&domain, &mut maker);
    maker.done()
}

/// Alice gives a mandate.
fn by_alice(domain: &Domain, to: AssertedPrincipal, scope: Scope) -> MandateDraft {
    let key = domain.alice_key();
    domain.mandate((domain.alice(), key), to, scope, None)
}

/// An owner hands one on.
fn by_owner(domain: &Domain, number: usize, to: AssertedPrincipal, scope: Scope, above: &Recorded) -> MandateDraft {
    let (by, key) = domain.owner(number);
    domain.mandate((by, &key), to, scope, Some(above.entry_ref()))
}

fn owner(domain: &Domain, number: usize) -> AssertedPrincipal {
    domain.owner(number).0.asserted()
}

fn changed(scope: &Scope, change: impl FnOnce(&mut ScopeFields)) -> Scope {
    let mut fields = ScopeFields::clone(scope);
    change(&mut fields);
    Scope::new(fields).unwrap()
}

/// A grant under a mandate, drawing from the counters of these.
fn under(domain: &Domain, story: &Story<'_>, mandate: &Recorded, counted: &[(&Recorded, u64)]) -> GrantDraft {
    let mut draft = domain.grant(&story.ledger.standing());
    draft.fields.cause.mandate = Some(mandate.entry_ref());
    let mut counted: Vec<_> =
        counted.iter().map(|(one, limit)| (format!("mandate/{}", hex(one.hash.as_bytes())), *limit)).collect();
    counted.sort();
    let counted: Vec<(&str, u64)> = counted.iter().map(|(counter, limit)| (counter.as_str(), *limit)).collect();
    if counted.is_empty() { draft } else { draft.drawing_all(&counted) }
}

fn accepted(domain: &Domain, maker: &mut Maker) {
    let mut story = Story::new(domain);
    let mandate = story.tell(by_alice(domain, domain.builder_name(), domain.scope(None)).proposal());
    let at = mandate.index.get();
    let shown = Shown { openings: 2, ..nothing(at, "mandate") };
    maker.accept("mandate", "A mandate, with everything opened.", story.input(&story.opened(at)), shown.to_value());
    let grant = story.tell(under(domain, &story, &mandate, &[]).proposal()).index.get();
    let about = "A grant under a mandate.";
    maker.accept("mandate_granted", about, story.input(&story.bundle(grant)), nothing(grant, "grant").to_value());

    let mut story = Story::new(domain);
    let first = story.tell(by_alice(domain, owner(domain, 1), domain.scope(Some(5))).proposal());
    let scope = domain.scope(Some(2));
    let second = story.tell(by_owner(domain, 1, domain.builder_name(), scope, &first).proposal());
    let grant = story.tell(under(domain, &story, &second, &[(&first, 5), (&second, 2)]).proposal()).index.get();
    let about = "A grant under a mandate that was handed on, counted by both.";
    maker.accept("mandate_chain", about, story.input(&story.bundle(grant)), nothing(grant, "grant").to_value());

    let mut story = Story::new(domain);
    let last = chain(domain, &mut story, MANDATES_MAX);
    let about = "As many mandates as a chain has.";
    let at = last.index.get();
    maker.accept("mandate_chain_longest", about, story.input(&story.bundle(at)), nothing(at, "mandate").to_value());
}

/// So many mandates, each handed on to whoever has it.
fn chain(domain: &Domain, story: &mut Story<'_>, length: usize) -> Recorded {
    let mut last = story.tell(by_alice(domain, owner(domain, 1), domain.scope(None)).proposal());
    for _ in 1..length {
        last = story.tell(by_owner(domain, 1, owner(domain, 1), domain.scope(None), &last).proposal());
    }
    last
}

fn given_wrongly(domain: &Domain, maker: &mut Maker) {
    let mut refuse = |name: &str, about: &str, code: Refused, change: &dyn Fn(&mut MandateDraft)| {
        let mut story = Story::new(domain);
        let mut draft = by_alice(domain, domain.builder_name(), domain.scope(Some(5)));
        change(&mut draft);
        let at = story.tell(draft.proposal()).index.get();
        maker.refuse(&format!("mandate_{name}"), about, story.input(&story.bundle(at)), code);
    };
    refuse("to_another", "A mandate for somebody else than was signed.", EvidenceInvalid, &|draft| {
        draft.fields.to = owner(domain, 1);
    });
    refuse("of_another_scope", "A mandate of another scope than was signed.", EvidenceInvalid, &|draft| {
        draft.fields.scope = domain.scope(Some(6));
    });
    refuse("handed_on_unsaid", "A mandate above which nobody has signed.", EvidenceInvalid, &|draft| {
        let ledger = domain.origin().clone();
        draft.fields.parent = Some(EntryRef { entry: digest("mandate"), index: 1, ledger });
    });
    refuse("of_another_request", "A mandate of another request than was signed.", EvidenceInvalid, &|draft| {
        draft.fields.request.digest = digest("request");
    });
    refuse("another_order", "A mandate that was signed as an order to halt.", EvidenceInvalid, &|draft| {
        let asked = domain.asked_order(Command::Halt);
        let signed = asked.sign(domain.origin(), domain.alice_key().signing_key());
        draft.fields.request.key = asked.key;
        draft.fields.request.digest = asked.opening(&signed).commitment();
        draft.fields.action.digest = asked.action().unwrap().1.commitment();
        draft.fields.statement = Bytes(signed);
    });
    refuse("tampered", "A mandate whose statement does not verify.", SignatureInvalid, &|draft| {
        let last = draft.fields.statement.0.len() - 1;
        draft.fields.statement.0[last] ^= 1;
    });
    refuse("ended", "A mandate that ends before it is given.", Expired, &|draft| {
        draft.fields.time_ms = draft.fields.scope.window.until_ms();
    });
}

fn handed_on_wrongly(domain: &Domain, maker: &mut Maker) {
    let mut refuse = |name: &str, about: &str, code: Refused, hand: &dyn Fn(&Recorded) -> MandateDraft| {
        let mut story = Story::new(domain);
        let first = story.tell(by_alice(domain, owner(domain, 1), domain.scope(Some(5))).proposal());
        let at = story.tell(hand(&first).proposal()).index.get();
        maker.refuse(&format!("delegated_{name}"), about, story.input(&story.bundle(at)), code);
    };
    let builder = || domain.builder_name();
    refuse("wider", "A mandate that widens the one above.", ScopeWidened, &|first| {
        by_owner(domain, 1, builder(), domain.scope(Some(6)), first)
    });
    refuse("longer", "A mandate that ends after the one above.", ScopeWidened, &|first| {
        let longer = changed(&domain.scope(Some(5)), |scope| {
            scope.window = Window::new(scope.window.from_ms(), scope.window.until_ms() + 1).unwrap();
        });
        by_owner(domain, 1, builder(), longer, first)
    });
    refuse("unbounded", "A mandate without a bound of the one above.", ScopeWidened, &|first| {
        by_owner(domain, 1, builder(), domain.scope(None), first)
    });
    refuse("by_another", "Handed on by somebody whom it is not for.", IdentityMismatch, &|first| {
        by_owner(domain, 2, builder(), domain.scope(Some(5)), first)
    });
    refuse("of_no_mandate", "Handed on is another entry of the ledger.", LineageBroken, &|first| {
        let above = EntryRef { entry: digest("another"), ..first.entry_ref() };
        let (by, key) = domain.owner(1);
        domain.mandate((by, &key), builder(), domain.scope(Some(5)), Some(above))
    });
    refuse("of_another_ledger", "Handed on is a mandate of another ledger.", LineageBroken, &|first| {
        let ledger = writ_tlog::Origin::new("other.example").unwrap();
        let (by, key) = domain.owner(1);
        domain.mandate((by, &key), builder(), domain.scope(Some(5)), Some(EntryRef { ledger, ..first.entry_ref() }))
    });
    let mut story = Story::new(domain);
    let last = chain(domain, &mut story, MANDATES_MAX);
    let at = story.tell(by_owner(domain, 1, owner(domain, 1), domain.scope(None), &last).proposal()).index.get();
    let about = "One more mandate than a chain has.";
    maker.refuse("delegated_too_deep", about, story.input(&story.bundle(at)), ScopeWidened);
}

fn granted_outside(domain: &Domain, maker: &mut Maker) {
    let mut refuse = |name: &str, about: &str, code: Refused, scope: Scope, change: &dyn Fn(&mut GrantDraft)| {
        let mut story = Story::new(domain);
        let uses = scope.uses.map(Positive::get);
        let mandate = story.tell(by_alice(domain, domain.builder_name(), scope).proposal());
        let counted: Vec<_> = uses.iter().map(|uses| (&mandate, *uses)).collect();
        let mut draft = under(domain, &story, &mandate, &counted);
        change(&mut draft);
        let at = story.tell(draft.proposal()).index.get();
        maker.refuse(&format!("mandate_grant_{name}"), about, story.input(&story.bundle(at)), code);
    };
    let open = || domain.scope(None);
    refuse("for_another", "A grant to somebody whom the mandate is not for.", IdentityMismatch, open(), &|draft| {
        draft.fields.principal = domain.alice();
    });
    refuse("after", "A grant after the mandate has ended.", Expired, open(), &|draft| {
        draft.fields.time_ms += 3_600_000_000;
    });
    refuse("before", "A grant before the mandate begins.", NotYetValid, open(), &|draft| {
        draft.fields.time_ms = 1;
    });
    let short = changed(&open(), |scope| {
        scope.window = Window::new(scope.window.from_ms(), domain.now_ms() + 30_000).unwrap();
    });
    refuse("window_longer", "A grant whose window ends after its mandate.", ScopeWidened, short, &|_| {});
    let elsewhere = changed(&open(), |scope| {
        scope.gateways = Some(Among::new([Name::new("process/99").unwrap()]).unwrap());
    });
    refuse("gateway", "A grant for another gateway than the mandate's.", ScopeWidened, elsewhere, &|_| {});
    refuse("uncounted", "A grant that its mandate does not count.", ScopeWidened, domain.scope(Some(5)), &|draft| {
        draft.fields.obligations.remove(0);
    });
    refuse("several_uses", "A grant of two uses, counted once.", ScopeWidened, domain.scope(Some(5)), &|draft| {
        draft.fields.uses = Positive::new(2).unwrap();
    });
    let mut story = Story::new(domain);
    let mandate = story.tell(by_alice(domain, domain.builder_name(), domain.scope(Some(5))).proposal());
    let draft = under(domain, &story, &mandate, &[(&mandate, 6)]);
    let at = story.tell(draft.proposal()).index.get();
    let about = "A grant that draws from the mandate's counter with another limit.";
    maker.refuse("mandate_grant_other_limit", about, story.input(&story.bundle(at)), ScopeWidened);
    escapes(domain, maker);
}

/// What an execution under a mandate causes stays under it.
fn escapes(domain: &Domain, maker: &mut Maker) {
    let caused = |story: &mut Story<'_>, mandate: &Recorded| {
        let parent = story.tell(under(domain, story, mandate, &[]).proposal());
        domain.grant(&story.ledger.standing()).caused_by(&parent)
    };
    let mut story = Story::new(domain);
    let mandate = story.tell(by_alice(domain, domain.builder_name(), domain.scope(None)).proposal());
    let child = caused(&mut story, &mandate);
    let at = story.tell(child.proposal()).index.get();
    let about = "A child without the mandate of its parent.";
    maker.refuse("mandate_left", about, story.input(&story.bundle(at)), ScopeWidened);

    let mut story = Story::new(domain);
    let mandate = story.tell(by_alice(domain, domain.builder_name(), domain.scope(None)).proposal());
    let other = story.tell(by_alice(domain, domain.builder_name(), domain.scope(None)).proposal());
    let mut child = caused(&mut story, &mandate);
    child.fields.cause.mandate = Some(other.entry_ref());
    let at = story.tell(child.proposal()).index.get();
    let about = "A child under another mandate than its parent's.";
    maker.refuse("mandate_changed", about, story.input(&story.bundle(at)), ScopeWidened);

    let mut story = Story::new(domain);
    let deep = changed(&domain.scope(None), |scope| scope.depth = Some(0));
    let mandate = story.tell(by_alice(domain, domain.builder_name(), deep).proposal());
    let mut child = caused(&mut story, &mandate);
    child.fields.cause.mandate = Some(mandate.entry_ref());
    let at = story.tell(child.proposal()).index.get();
    let about = "A child deeper than the mandate goes.";
    maker.refuse("mandate_too_deep", about, story.input(&story.bundle(at)), ScopeWidened);
}

fn revoked(domain: &Domain, maker: &mut Maker) {
    type Of<'a> = dyn Fn(&Recorded, &Recorded) -> Target + 'a;
    let cases: [(&str, &str, &Of<'_>); 6] = [
        ("itself", "Its own mandate is revoked.", &|_, second| Target::Mandate(second.hash)),
        ("above", "The mandate above is revoked.", &|first, _| Target::Mandate(first.hash)),
        ("giver", "Who gave the first mandate is revoked.", &|_, _| Target::Principal(domain.alice().asserted())),
        ("middle", "Who handed it on is revoked.", &|_, _| Target::Principal(owner(domain, 1))),
        ("middle_key", "The key that handed it on is revoked.", &|_, _| {
            Target::Key(domain.owner(1).1.public().fingerprint())
        }),
        ("asker", "Whom it is for is revoked.", &|_, _| Target::Principal(domain.builder_name())),
    ];
    for (name, about, target) in cases {
        let told = |late: bool| {
            let mut story = Story::new(domain);
            let first = story.tell(by_alice(domain, owner(domain, 1), domain.scope(None)).proposal());
            let second = by_owner(domain, 1, domain.builder_name(), domain.scope(None), &first);
            let second = story.tell(second.proposal());
            let target = target(&first, &second);
            let revocation = if late { None } else { Some(story.tell(domain.revoke(target.clone()))) };
            let grant = story.tell(under(domain, &story, &second, &[]).proposal());
            let revocation = revocation.unwrap_or_else(|| story.tell(domain.revoke(target)));
            (story, grant.index.get(), revocation.index.get())
        };
        let (story, at, _) = told(false);
        maker.refuse(&format!("mandate_revoked_{name}"), about, story.input(&story.bundle(at)), Revoked);
        let (story, at, revoked_at) = told(true);
        let shown = Shown { revoked_at: Some(revoked_at), ..nothing(at, "grant") };
        let about = format!("{about} It was granted before.");
        let input = story.input(&story.bundle(at));
        maker.accept(&format!("mandate_revoked_later_{name}"), &about, input, shown.to_value());
    }
    let mut story = Story::new(domain);
    let first = story.tell(by_alice(domain, owner(domain, 1), domain.scope(None)).proposal());
    story.tell(domain.revoke(Target::Mandate(first.hash)));
    let second = by_owner(domain, 1, domain.builder_name(), domain.scope(None), &first);
    let at = story.tell(second.proposal()).index.get();
    let about = "A revoked mandate is handed on.";
    maker.refuse("delegated_revoked", about, story.input(&story.bundle(at)), Revoked);
}

fn not_there(domain: &Domain, maker: &mut Maker) {
    let mut story = Story::new(domain);
    let mandate = story.leave_out(by_alice(domain, domain.builder_name(), domain.scope(None)).proposal());
    let at = story.tell(under(domain, &story, &mandate, &[]).proposal()).index.get();
    let about = "A grant whose mandate is not in the bundle.";
    maker.refuse("mandate_missing", about, story.input(&story.bundle(at)), EvidenceIncomplete);
    let mut story = Story::new(domain);
    let mandate = story.tell(by_alice(domain, domain.builder_name(), domain.scope(None)).proposal());
    let mut draft = domain.grant(&story.ledger.standing());
    draft.fields.cause.mandate = Some(EntryRef { index: 2, ..mandate.entry_ref() });
    let at = story.tell(draft.proposal()).index.get();
    let about = "A grant whose mandate is another entry.";
    maker.refuse("mandate_another_entry", about, story.input(&story.bundle(at)), LineageBroken);
}

fn opened(domain: &Domain, maker: &mut Maker) {
    let of = |path: &str| {
        let file = File::Exact(Path::new(path).unwrap());
        changed(&domain.scope(None), |scope| scope.programs = Some(Among::new([Program { file, argv: None }]).unwrap()))
    };
    let told = |path: &str| {
        let mut story = Story::new(domain);
        let mandate = story.tell(by_alice(domain, domain.builder_name(), of(path)).proposal());
        story.openings.clear();
        let at = story.tell(under(domain, &story, &mandate, &[]).proposal()).index.get();
        (story, at)
    };
    let (story, at) = told("/usr/bin/make");
    let shown = Shown { openings: 2, ..nothing(at, "grant") };
    let about = "What was granted is shown, and within its mandate.";
    maker.accept("mandate_opened", about, story.input(&story.opened(at)), shown.to_value());
    let (story, at) = told("/usr/bin/rm");
    let about = "What was granted is shown, and outside of its mandate.";
    maker.refuse("mandate_opened_outside", about, story.input(&story.opened(at)), ScopeWidened);
    let about = "What was granted is outside of its mandate, and not shown: nobody can tell.";
    let closed = story.input(&story.bundle(at));
    maker.accept("mandate_not_opened", about, closed, nothing(at, "grant").to_value());
}
