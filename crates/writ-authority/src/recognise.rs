//! Who asks. What is refused here is counted and not recorded: nobody known has asked.

use crate::authority::Authority;
use crate::caller::{Caller, Received};
use crate::policies::ActiveSet;
use crate::trees::Governed;
use std::os::unix::fs::MetadataExt;
use writ_protocol::entry::{AssertedPrincipal, Principal};
use writ_protocol::order::Carrier;
use writ_protocol::statement::{Request, Signed};
use writ_protocol::{Code, Ed25519Key, Label, Refusal};

/// How old, or how far ahead, the time in a signed request may be.
const SIGNED_WITHIN_MS: u64 = 60_000;

/// Somebody who is known, and what they are part of.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) principal: Principal,
    pub(crate) governed: Option<Governed>,
    /// Whose labels whatever it asks for inherits; nothing for a process of this machine that descends from no execution.
    pub(crate) inherits: Option<Carrier>,
    /// They are known, and yet may not ask this: recorded as a denial.
    pub(crate) fault: Option<Refusal>,
}

impl Asker {
    pub(crate) fn name(&self) -> AssertedPrincipal {
        AssertedPrincipal { kind: self.principal.kind.clone(), id: self.principal.id.clone() }
    }

    /// Whether it has shown a key, and is outside every governed tree: what giving orders takes (Invariant 13).
    pub(crate) fn may_give_orders(&self) -> Result<(), Refusal> {
        let refused = |why: &'static str| Err(Refusal::new(Code::Unauthenticated, why));
        if self.governed.is_some() {
            return refused("nothing inside a governed execution gives orders; a person must, from outside");
        }
        if self.principal.key.is_none() {
            return refused("an order needs the signature of a key; being a user of this machine is not enough");
        }
        Ok(())
    }
}

impl Authority {
    /// Who asks, and for what. It counts against their rate, so that nobody keeps the node busy.
    pub(crate) fn heard(&self, caller: &Caller<'_>, received: Received<'_>) -> Result<(Asker, Request), Refusal> {
        let (asker, request) = self.recognise(&self.policies.active(), caller, received)?;
        self.rates.take(&asker.name(), received.bytes().len(), self.now_ms())?;
        Ok((asker, request))
    }

    /// Values of the vault are for the node's own user, who can read the store anyway, outside every governed tree.
    pub fn may_see_values(&self, caller: &Caller<'_>) -> Result<(), Refusal> {
        let refused = |why: &'static str| Refusal::new(Code::Unauthenticated, why);
        let Caller::Local(local) = caller else {
            return Err(refused(
                "values behind commitments are not given over the network; use `writ log bundle --disclose`",
            ));
        };
        if self.trees.of(local)?.is_some() {
            return Err(refused("nothing inside a governed execution sees values behind commitments"));
        }
        // The owner of /proc/self is whom this process acts as.
        let own = std::fs::metadata("/proc/self").map_err(|_| refused("nobody can say whose node this is"))?.uid();
        if local.uid == own { Ok(()) } else { Err(refused("values behind commitments are for the node's own user")) }
    }

    /// Reads a request and finds out who makes it.
    fn recognise(
        &self,
        active: &ActiveSet,
        caller: &Caller<'_>,
        received: Received<'_>,
    ) -> Result<(Asker, Request), Refusal> {
        let governed = match caller {
            Caller::Local(local) => self.trees.of(local)?,
            Caller::Remote => None,
        };
        let (mut asker, request) = match received {
            Received::Signed(bytes) => self.by_key(active, bytes)?,
            Received::Bare(bytes) => self.by_peer(active, caller, governed.as_ref(), bytes)?,
        };
        let own = asker.name();
        if let Some(named) = &request.principal
            && (named.kind != own.kind || named.id != own.id)
        {
            asker.fault = Some(Refusal::new(
                Code::IdentityMismatch,
                format!(
                    "{}::{} asks as {}::{}; whoever is to be named must sign",
                    own.kind, own.id, named.kind, named.id
                ),
            ));
        }
        if let Some(governed) = &governed
            && governed.principal != own
        {
            let is = &governed.principal;
            asker.fault = Some(Refusal::new(
                Code::IdentityMismatch,
                format!("inside an execution of {}::{} nobody can be {}::{}", is.kind, is.id, own.kind, own.id),
            ));
        }
        asker.inherits = match (&governed, caller) {
            (Some(governed), _) => Some(Carrier::Lineage(governed.origin.entry)),
            // Nobody can say what it descends from: it may be anything that is under way in its name.
            (None, Caller::Remote) => Some(Carrier::OpenWorkOf(own)),
            (None, Caller::Local(_)) => None,
        };
        asker.governed = governed;
        Ok((asker, request))
    }

    fn by_key(&self, active: &ActiveSet, bytes: &[u8]) -> Result<(Asker, Request), Refusal> {
        let signed = Signed::decode(bytes)?;
        let fingerprint = signed.signer()?;
        let unknown = || {
            Refusal::new(Code::Unauthenticated, format!("{fingerprint} is the key of no principal in principals.json"))
        };
        let name = active.set.principal_by_key(&fingerprint).ok_or_else(unknown)?;
        let keys = active.set.keys_of(name);
        let key = keys.iter().find(|key| key.key().fingerprint() == fingerprint).ok_or_else(unknown)?;
        let request = signed.verify_request(key, self.ledger.origin())?;
        self.in_time(&request)?;
        Ok((known(name, "key", Some(key))?, request))
    }

    /// A signed request that was overheard is of use for a moment only, and then for the same answer.
    fn in_time(&self, request: &Request) -> Result<(), Refusal> {
        let now_ms = self.now_ms();
        if request.time_ms.saturating_add(SIGNED_WITHIN_MS) < now_ms {
            let age_s = (now_ms - request.time_ms) / 1000;
            return Err(Refusal::new(Code::Expired, format!("the request was signed {age_s} s ago; sign it anew")));
        }
        if request.time_ms > now_ms.saturating_add(SIGNED_WITHIN_MS) {
            let ahead_s = (request.time_ms - now_ms) / 1000;
            return Err(Refusal::new(
                Code::NotYetValid,
                format!("the request was signed {ahead_s} s from now; set the clock that signed it right"),
            ));
        }
        Ok(())
    }

    fn by_peer(
        &self,
        active: &ActiveSet,
        caller: &Caller<'_>,
        governed: Option<&Governed>,
        bytes: &[u8],
    ) -> Result<(Asker, Request), Refusal> {
        let Caller::Local(local) = caller else {
            return Err(Refusal::new(Code::Unauthenticated, "over the network every request must be signed"));
        };
        let request = Request::read(bytes, self.ledger.origin())?;
        // Inside a tree the caller is the execution, whatever user it runs as.
        if let Some(governed) = governed {
            return Ok((known(&governed.principal, "execution", None)?, request));
        }
        let name = active.set.principal_by_uid(local.uid).ok_or_else(|| {
            Refusal::new(Code::Unauthenticated, format!("user {} is no principal in principals.json", local.uid))
        })?;
        Ok((known(name, "peer", None)?, request))
    }
}

fn known(name: &AssertedPrincipal, auth: &'static str, key: Option<&Ed25519Key>) -> Result<Asker, Refusal> {
    let principal = Principal {
        id: name.id.clone(),
        key: key.map(|key| key.key().clone()),
        auth: Label::new(auth)?,
        kind: name.kind.clone(),
    };
    Ok(Asker { principal, governed: None, inherits: None, fault: None })
}
