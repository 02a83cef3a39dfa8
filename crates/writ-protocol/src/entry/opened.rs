//! Whether what was opened is what an entry says of it: an action, a policy set, or the request that it answers.

use super::{ActionRef, Body, Enrolment, Grant, Principal};
use crate::action::{Action, Command, CommitmentKind, Enrolled, Opening};
use crate::key::Ed25519Key;
use crate::name::Label;
use crate::refusal::{Code, Refusal};
use crate::statement::{Ask, Request, SignedRequest, surroundings_digest};
use writ_tlog::{Origin, sha256};

impl Body {
    /// Whether what was opened has the form of its kind and is what the entry says of it beside the commitment: nobody may be shown
    /// an order where an execution was decided, or one policy set where another was put in force.
    pub fn judge_opened(&self, opening: &Opening) -> Result<(), Refusal> {
        let fits = match opening.kind {
            CommitmentKind::Action => self.is_about(&Action::decode(&opening.value)?),
            CommitmentKind::Policy => matches!(self, Self::Policy(body) if sha256(&opening.value) == body.set),
            CommitmentKind::Entities => matches!(self, Self::Entities(body) if sha256(&opening.value) == body.change),
            CommitmentKind::Facts | CommitmentKind::Request | CommitmentKind::Text | CommitmentKind::Output => true,
        };
        if fits {
            return Ok(());
        }
        let kind = opening.kind.as_str();
        Err(Refusal::new(Code::CommitmentMismatch, format!("the opened `{kind}` is not what the entry says of it")))
    }

    /// Whether it can be about this action; an order that was carried out says itself what was ordered.
    fn is_about(&self, action: &Action) -> bool {
        let kind = self.action().is_some_and(|named| named.kind == action.kind());
        let said = |reason: &Label, command: Command| matches!(action, Action::Order(order) if order.command == command && order.reason == *reason);
        match self {
            Self::Revocation(body) => kind && said(&body.reason, Command::Revoke(body.target.clone())),
            Self::Halt(body) => kind && said(&body.reason, Command::Halt),
            Self::Advised(body) => matches!(action, Action::Advice(question) if body.is_about(question)),
            Self::Entities(body) => kind && said(&body.reason, Command::Entities(body.change)),
            Self::Erasure(body) => kind && said(&body.reason, Command::Erase(body.erased.clone())),
            Self::Gateway(body) => {
                let order = body.order.as_ref();
                kind && order.is_some_and(|order| said(&order.reason, Command::Enrol(Box::new(enrolled(body)))))
            }
            Self::Genesis(_)
            | Self::RootOrder(_)
            | Self::Policy(_)
            | Self::Grant(_)
            | Self::Denial(_)
            | Self::Hold(_)
            | Self::Approval(_)
            | Self::Mandate(_)
            | Self::Shadow(_)
            | Self::Tally(_)
            | Self::Spend(_)
            | Self::Start(_)
            | Self::Outcome(_)
            | Self::Report(_)
            | Self::Seal(_) => kind,
        }
    }

    /// The action that it decides on, if it is a decision, a shadow, an advice or an order that was carried out.
    fn action(&self) -> Option<&ActionRef> {
        match self {
            Self::Grant(body) => Some(&body.action),
            Self::Denial(body) => Some(&body.action),
            Self::Hold(body) => Some(&body.action),
            Self::Approval(body) => Some(&body.action),
            Self::Mandate(body) => Some(&body.action),
            Self::Shadow(body) => Some(&body.action),
            Self::Advised(body) => Some(&body.action),
            Self::Revocation(body) => Some(&body.action),
            Self::Halt(body) => Some(&body.action),
            Self::Entities(body) => Some(&body.action),
            Self::Erasure(body) => Some(&body.action),
            Self::Gateway(body) => body.order.as_ref().map(|order| &order.action),
            Self::Genesis(_)
            | Self::RootOrder(_)
            | Self::Policy(_)
            | Self::Tally(_)
            | Self::Spend(_)
            | Self::Start(_)
            | Self::Outcome(_)
            | Self::Report(_)
            | Self::Seal(_) => None,
        }
    }

    /// Whether the opened request is what the entry answers: asked by whom it says, signed by their key where it says so, for the same action, and
    /// for the same holder and audience where it was granted. Other openings are none of its business.
    ///
    /// It costs a signature, so it is for whoever did not see the request come: verifiers of bundles, and the audit.
    pub fn judge_asked(&self, opening: &Opening, origin: &Origin) -> Result<(), Refusal> {
        let (CommitmentKind::Request, Some(asker)) = (opening.kind, self.asker()) else { return Ok(()) };
        let request = match (&asker.key, asker.has_signed()) {
            (Some(key), true) => {
                SignedRequest::decode(&opening.value)?.verify(&Ed25519Key::new(key.clone())?, origin)?
            }
            (None, true) => {
                let why = "the entry says that a key has signed its request, and not which";
                return Err(Refusal::new(Code::UnknownAuthority, why));
            }
            (Some(_) | None, false) => Request::read(&opening.value, origin)?,
        };
        let action = request.action()?.1.commitment();
        let same = request.salt == opening.salt
            && self.request().is_none_or(|answered| answered.key == request.key)
            && self.action().is_none_or(|decided| decided.digest == action)
            && asker.is_named_by(&request)
            && self.is_answer_to(&request.ask)?;
        if same {
            return Ok(());
        }
        Err(Refusal::new(Code::CommitmentMismatch, "the opened `request` is not what the entry answers"))
    }

    fn is_answer_to(&self, ask: &Ask) -> Result<bool, Refusal> {
        Ok(match (self, ask) {
            (Self::Grant(grant), Ask::Authorize(_)) => granted_as_asked(grant, ask)?,
            (Self::Hold(_), Ask::Authorize(_)) | (Self::Shadow(_), Ask::Shadow(_)) => true,
            (Self::Denial(_), Ask::Authorize(_) | Ask::Order | Ask::Shadow(_)) => true,
            (
                Self::Revocation(_)
                | Self::Halt(_)
                | Self::Policy(_)
                | Self::Approval(_)
                | Self::Mandate(_)
                | Self::Entities(_)
                | Self::Erasure(_)
                | Self::Gateway(_),
                Ask::Order,
            ) => true,
            (_, Ask::Authorize(_) | Ask::Order | Ask::Shadow(_)) => false,
        })
    }

    /// Who has asked for what it records, or ordered it, if anybody has.
    pub fn asker(&self) -> Option<&Principal> {
        match self {
            Self::Grant(body) => Some(&body.principal),
            Self::Denial(body) => Some(&body.principal),
            Self::Hold(body) => Some(&body.principal),
            Self::Shadow(body) => Some(&body.principal),
            Self::Approval(body) => Some(&body.by),
            Self::Mandate(body) => Some(&body.by),
            Self::Revocation(body) => Some(&body.by),
            Self::Halt(body) => Some(&body.by),
            Self::Policy(body) => Some(&body.by),
            Self::Entities(body) => Some(&body.by),
            Self::Advised(body) => Some(&body.principal),
            Self::Erasure(body) => Some(&body.by),
            Self::Gateway(body) => body.order.as_ref().map(|_| &body.by),
            Self::Genesis(_)
            | Self::RootOrder(_)
            | Self::Tally(_)
            | Self::Spend(_)
            | Self::Start(_)
            | Self::Outcome(_)
            | Self::Report(_)
            | Self::Seal(_) => None,
        }
    }
}

/// A gateway as it was ordered to be enrolled.
fn enrolled(body: &Enrolment) -> Enrolled {
    Enrolled {
        key: body.key.clone(),
        epoch: body.epoch,
        groups: body.groups.clone(),
        asserts: body.asserts.clone(),
        gateway: body.gateway.clone(),
    }
}

fn granted_as_asked(grant: &Grant, ask: &Ask) -> Result<bool, Refusal> {
    let Ask::Authorize(ask) = ask else { return Ok(false) };
    Ok(grant.holder == ask.holder
        && grant.audience == ask.audience
        && grant.admitted == ask.admit
        && grant.surroundings.digest == surroundings_digest(&ask.surroundings)?)
}
