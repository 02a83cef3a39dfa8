//! The rules of enrolments, and of what enrolled gateways may ask in whose name.

use super::{Rules, refuse};
use crate::entry::{Audience, Denial, Enrolment, Principal, Target};
use crate::key::{Ed25519Key, Key};
use crate::name::Name;
use crate::order::{GatewayRecord, OrderError, Records};
use crate::refusal::{Code, Refusal};

impl<R: Records> Rules<'_, R> {
    /// A key speaks for one gateway, and never again once it is revoked; each epoch follows the one before it.
    pub(super) fn enrolment(&self, enrolment: &Enrolment) -> Result<(), OrderError<R::Error>> {
        if let Some(order) = &enrolment.order {
            self.order(&enrolment.by, &order.id, &order.action, &order.policy)?;
        }
        gives_no_order(&enrolment.by)?;
        let name = &enrolment.gateway;
        if enrolment.asserts.as_slice().iter().any(|one| one.kind.as_str() == Principal::GATEWAY) {
            Err(Refusal::malformed("expected principals that a gateway may name, found a gateway"))?;
        }
        if self.control.revoked(&Target::Gateway(name.clone())).is_some() {
            Err(refuse(Code::Revoked, format!("gateway `{name}` is revoked; enrol another name")))?;
        }
        let key = enrolment.key.key().fingerprint();
        if let Some(at) = self.control.revoked(&Target::Key(key)) {
            Err(refuse(Code::Revoked, format!("the key of gateway `{name}` is revoked by entry {at}; make another")))?;
        }
        if let Some((other, _)) = self.control.gateway_by_key(&key).filter(|(other, _)| *other != name) {
            Err(refuse(Code::IdentityMismatch, format!("this key is that of gateway `{other}`; make another")))?;
        }
        let expected = self.control.gateway(name).map_or(1, |known| known.epoch.get().saturating_add(1));
        if enrolment.epoch.get() != expected {
            let found = enrolment.epoch.get();
            Err(refuse(Code::WrongAudience, format!("epoch {found} of gateway `{name}`, expected {expected}")))?;
        }
        Ok(())
    }

    pub(super) fn audience(&self, audience: &Audience) -> Result<(), Refusal> {
        let Audience::Gateway { gateway, epoch } = audience else { return Ok(()) };
        match self.control.gateway(gateway) {
            None => Err(refuse(Code::UnknownAuthority, format!("gateway `{gateway}` is not enrolled"))),
            Some(known) if known.epoch != *epoch => Err(refuse(
                Code::WrongAudience,
                format!("epoch {} of gateway `{gateway}`, the current one is {}", epoch.get(), known.epoch.get()),
            )),
            Some(_) => Ok(()),
        }
    }

    /// Whom a gateway asks for stands in its enrolment. Where nobody speaks for the principal, nothing is asked.
    pub(super) fn spoken_for(&self, by: &Principal) -> Result<(), Refusal> {
        if by.auth.as_str() != Principal::BY_GATEWAY {
            return Ok(());
        }
        let (gateway, known) = self.speaks(by)?;
        if known.key().map(Ed25519Key::key) != by.key.as_ref() {
            let why = format!("the key is of an epoch of gateway `{gateway}` that has ended");
            return Err(refuse(Code::UnknownAuthority, why));
        }
        if let Some(at) = self.control.revoked(&Target::Gateway(gateway.clone())) {
            return Err(refuse(Code::Revoked, format!("gateway `{gateway}` is revoked by entry {at}")));
        }
        if known.asserts.binary_search(&by.asserted()).is_ok() {
            return Ok(());
        }
        let (kind, id) = (&by.kind, &by.id);
        Err(refuse(Code::IdentityMismatch, format!("gateway `{gateway}` is not enrolled to ask for {kind}::{id}")))
    }

    /// What a gateway asks for in another's name, it executes itself.
    pub(super) fn for_the_speaker(&self, by: &Principal, audience: &Audience) -> Result<(), Refusal> {
        if by.auth.as_str() != Principal::BY_GATEWAY {
            return Ok(());
        }
        let (gateway, _) = self.speaks(by)?;
        match audience {
            Audience::Gateway { gateway: named, .. } if named == gateway => Ok(()),
            Audience::Gateway { .. } | Audience::Group(_) => {
                let why = format!("gateway `{gateway}` has asked in another's name, so the writ is for itself alone");
                Err(refuse(Code::WrongAudience, why))
            }
        }
    }

    /// That a gateway was refused is recorded whatever it asked, and in whose name; that it was this gateway is true.
    pub(super) fn denied_to_a_gateway(&self, denial: &Denial) -> Result<(), Refusal> {
        let by = &denial.principal;
        if by.auth.as_str() != Principal::BY_GATEWAY {
            return Ok(());
        }
        let (gateway, _) = self.speaks(by)?;
        if by.kind.as_str() == Principal::GATEWAY && by.id != *gateway {
            let why = format!("gateway `{gateway}` was refused, and the denial names gateway `{}`", by.id);
            return Err(refuse(Code::IdentityMismatch, why));
        }
        Ok(())
    }

    fn speaks(&self, by: &Principal) -> Result<(&Name, &GatewayRecord), Refusal> {
        let key = by.key.as_ref().map(Key::fingerprint);
        let found = key.and_then(|key| self.control.gateway_by_key(&key));
        found.ok_or_else(|| refuse(Code::UnknownAuthority, "asked by a gateway, and its key is no gateway's"))
    }
}

/// An order is its giver's own word.
pub(super) fn gives_no_order(by: &Principal) -> Result<(), Refusal> {
    if by.auth.as_str() == Principal::BY_GATEWAY {
        return Err(refuse(Code::IdentityMismatch, "a gateway gives no orders in another's name"));
    }
    Ok(())
}
