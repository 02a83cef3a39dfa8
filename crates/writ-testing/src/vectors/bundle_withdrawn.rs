//! Bundles of what was held and withdrawn: by whoever asked, before anybody has said no, and for good.

use super::BASE_MS;
use super::bundle::nothing;
use super::bundle_story::Story;
use super::case::{Case, Maker};
use crate::scenario::{Domain, Recorded};
use writ_protocol::Code::ApprovalRejected;
use writ_protocol::entry::Verdict;

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("bundle", "bundle");
    let domain = Domain::new(BASE_MS);
    let (mut story, hold) = held(&domain);
    story.tell(domain.answer(&hold, 1, Verdict::Approve).proposal());
    let withdrawn = story.tell(domain.withdrawal(&hold).proposal()).index.get();
    story.openings.clear();
    let about = "A hold that whoever asked has withdrawn.";
    maker.accept("withdrawn", about, story.input(&story.bundle(withdrawn)), nothing(withdrawn, "approval").to_value());
    refused(&mut maker);
    maker.done()
}

fn held(domain: &Domain) -> (Story<'_>, Recorded) {
    let mut story = Story::new(domain);
    story.tell(domain.activate(1));
    let hold = story.tell(domain.hold(&story.ledger.standing()).proposal());
    story.openings.clear();
    (story, hold)
}

fn refused(maker: &mut Maker) {
    type Tell = fn(&mut Story<'_>, &Domain, &Recorded) -> u64;
    let cases: [(&str, &str, Tell); 5] = [
        ("withdrawn_by_another", "An owner withdraws what somebody else has asked.", |story, domain, hold| {
            let mut draft = domain.withdrawal(hold);
            draft.fields.by = domain.owner(1).0;
            story.tell(draft.proposal()).index.get()
        }),
        ("withdrawn_after_no", "It is withdrawn after somebody has said no.", |story, domain, hold| {
            story.tell(domain.answer(hold, 2, Verdict::Reject).proposal());
            story.openings.clear();
            story.tell(domain.withdrawal(hold).proposal()).index.get()
        }),
        ("withdrawn_twice", "It is withdrawn twice.", |story, domain, hold| {
            story.tell(domain.withdrawal(hold).proposal());
            story.openings.clear();
            story.tell(domain.withdrawal(hold).proposal()).index.get()
        }),
        ("withdrawn_and_approved", "An owner approves what is withdrawn.", |story, domain, hold| {
            story.tell(domain.withdrawal(hold).proposal());
            story.openings.clear();
            story.tell(domain.answer(hold, 1, Verdict::Approve).proposal()).index.get()
        }),
        (
            "withdrawn_and_granted",
            "What two have approved is granted after it was withdrawn.",
            |story, domain, hold| {
                for owner in [1, 2] {
                    story.tell(domain.answer(hold, owner, Verdict::Approve).proposal());
                }
                story.tell(domain.withdrawal(hold).proposal());
                story.openings.clear();
                let grant = domain.grant(&story.ledger.standing()).resolving(hold);
                story.tell(grant.proposal()).index.get()
            },
        ),
    ];
    for (name, about, tell) in cases {
        let domain = Domain::new(BASE_MS);
        let (mut story, hold) = held(&domain);
        let at = tell(&mut story, &domain, &hold);
        maker.refuse(name, about, story.input(&story.bundle(at)), ApprovalRejected);
    }
}
