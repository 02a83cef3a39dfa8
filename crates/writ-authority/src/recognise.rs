//! Who asks. What is refused here is counted and not recorded: nobody known has asked.

use crate::authority::Authority;
use crate::caller::{BearerToken, Caller, Received, Shown};
use crate::policies::ActiveSet;
use crate::token::Token;
use crate::trees::Governed;
use std::os::unix::fs::MetadataExt;
use writ_protocol::entry::{AssertedPrincipal, Audience, Principal, PrincipalRef, Target};
use writ_protocol::order::{Carrier, ControlState, GatewayRecord};
use writ_protocol::statement::{Ask, Authorize, Request, SignedRequest, Validity};
use writ_protocol::{Code, Ed25519Key, Fingerprint, Label, Name, Refusal};

/// How old, or how far ahead, the time in a signed request may be.
const SIGNED_WITHIN_MS: u64 = 60_000;

/// By what somebody is known. Entries have its name, and policies see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A signature on this very request: anybody can verify it later.
    Signature,
    /// A gateway's signature on this very request, which says who asks: its enrolment says for whom it may.
    Gateway,
    /// A key, shown once for a whole connection: nobody but this node has seen it.
    KeyConnection,
    /// A certificate with a SPIFFE id.
    Spiffe,
    /// A token, which whoever has it can send.
    Token,
    /// The user of a process, by the kernel's word.
    Peer,
    /// Descent from an execution.
    Execution,
}

impl Proof {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Signature => Principal::BY_KEY,
            Self::Gateway => Principal::BY_GATEWAY,
            Self::KeyConnection => "key-connection",
            Self::Spiffe => "spiffe",
            Self::Token => "oidc",
            Self::Peer => "peer",
            Self::Execution => "execution",
        }
    }
}

/// Somebody who is known, and what they are part of.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) principal: Principal,
    pub(crate) proof: Proof,
    pub(crate) governed: Option<Governed>,
    /// Whose labels whatever it asks for inherits; nothing for a process of this machine that descends from no execution.
    pub(crate) inherits: Option<Carrier>,
    /// Whose rate it takes, if not their own: a key that is revoked is whoever's has it.
    pub(crate) rated: Option<AssertedPrincipal>,
    /// The gateway that speaks for them, if one does.
    pub(crate) through: Option<AssertedPrincipal>,
    /// They are known, and yet may not ask this: recorded as a denial.
    pub(crate) fault: Option<Refusal>,
}

impl Asker {
    pub(crate) fn name(&self) -> AssertedPrincipal {
        AssertedPrincipal { kind: self.principal.kind.clone(), id: self.principal.id.clone() }
    }

    /// Whether it has signed this very request, outside every governed tree: what giving orders takes (Invariant 13).
    pub(crate) fn may_give_orders(&self) -> Result<(), Refusal> {
        let refused = |why: &'static str| Err(Refusal::new(Code::Unauthenticated, why));
        if self.governed.is_some() {
            return refused("nothing inside a governed execution gives orders; a person must, from outside");
        }
        match self.proof {
            Proof::Signature => Ok(()),
            Proof::Gateway => refused(
                "an order needs the signature of whoever gives it; that a gateway asks in their name is not enough",
            ),
            Proof::Peer => refused("an order needs the signature of a key; being a user of this machine is not enough"),
            Proof::KeyConnection => {
                refused("an order needs a signature of its own; a connection that has shown the key is not enough")
            }
            Proof::Spiffe => {
                refused("an order needs the signature of a key; the certificate of a workload is not enough")
            }
            Proof::Token => {
                refused("an order needs the signature of a key; a token, which others may have, is not enough")
            }
            Proof::Execution => {
                refused("nothing inside a governed execution gives orders; a person must, from outside")
            }
        }
    }
}

impl Authority {
    /// Who asks, and for what. It counts against their rate, so that nobody keeps the node busy.
    pub(crate) async fn heard(&self, caller: &Caller<'_>, received: Received<'_>) -> Result<(Asker, Request), Refusal> {
        let (asker, request) = self.recognise(caller, received).await?;
        let (bytes, now_ms) = (received.bytes().len(), self.now_ms());
        let rated = asker.rated.clone().unwrap_or_else(|| asker.name());
        self.rates.take(&rated, bytes, now_ms).inspect_err(|_| {
            // A gateway that goes on asking for whom it may not any more is soon refused before its signature is verified.
            if let Some(gateway) = &asker.through {
                self.rates.take(gateway, bytes, now_ms).ok();
            }
        })?;
        let together = if matches!(request.ask, Ask::Order) { &self.ordered_together } else { &self.asked_together };
        together.take(bytes, now_ms)?;
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
    async fn recognise(&self, caller: &Caller<'_>, received: Received<'_>) -> Result<(Asker, Request), Refusal> {
        let governed = match caller {
            Caller::Local(local) => self.trees.of(local)?,
            Caller::Connected(_) | Caller::Remote => None,
        };
        let (mut asker, request) = match received {
            Received::Signed(bytes) => self.by_key(bytes).await?,
            Received::WithToken(bytes, token) => {
                let asker = self.by_token(&self.policies.active(), caller, token)?;
                (asker, Request::read(bytes, self.ledger.origin())?)
            }
            Received::Bare(bytes) => {
                let asker = self.by_connection(&self.policies.active(), caller, governed.as_ref())?;
                (asker, Request::read(bytes, self.ledger.origin())?)
            }
        };
        let own = asker.name();
        if let Some(named) = request.principal.as_ref().filter(|_| asker.fault.is_none())
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
        placed(&mut asker, caller, governed);
        Ok((asker, request))
    }

    /// Who asks without a request of its own: by what the connection shows, or by a token. It counts against their rate, each question by itself.
    pub(crate) fn heard_asking(
        &self,
        caller: &Caller<'_>,
        token: Option<BearerToken<'_>>,
        (questions, bytes): (usize, usize),
    ) -> Result<Asker, Refusal> {
        let active = self.policies.active();
        let governed = match caller {
            Caller::Local(local) => self.trees.of(local)?,
            Caller::Connected(_) | Caller::Remote => None,
        };
        let mut asker = match token {
            Some(token) => self.by_token(&active, caller, token)?,
            None => self.by_connection(&active, caller, governed.as_ref())?,
        };
        placed(&mut asker, caller, governed);
        let each = bytes / questions.max(1);
        (0..questions.max(1)).try_for_each(|_| {
            self.rates.take(&asker.name(), each, self.now_ms())?;
            self.asked_together.take(each, self.now_ms())
        })?;
        Ok(asker)
    }

    async fn by_key(&self, bytes: &[u8]) -> Result<(Asker, Request), Refusal> {
        let signed = SignedRequest::decode(bytes)?;
        let fingerprint = signed.signer()?;
        let Some((name, key)) = whose(&self.policies.active(), &fingerprint) else {
            return self.by_gateway(bytes, &signed, &fingerprint).await;
        };
        let is_revoked = self.ledger.published().control.revoked(&Target::Key(fingerprint)).is_some();
        let rated = if is_revoked { Some(bucket_of(&fingerprint)?) } else { None };
        self.rates.judge(rated.as_ref().unwrap_or(&name), self.now_ms())?;
        let request = self.verified(bytes, &signed, key).await?;
        // Another set may be in force by now.
        let (name, key) = whose(&self.policies.active(), &fingerprint).ok_or_else(|| nobodys(&fingerprint))?;
        Ok((Asker { rated, ..known(&name, Proof::Signature, Some(&key))? }, request))
    }

    /// Somebody in whose name a gateway asks. For whom it may ask, and that it executes itself what it is granted, are rules of order; whom it may
    /// not name has not asked, and it is the gateway that is refused.
    async fn by_gateway(
        &self,
        bytes: &[u8],
        signed: &SignedRequest<'_>,
        fingerprint: &Fingerprint,
    ) -> Result<(Asker, Request), Refusal> {
        let speaker = || speaker(&self.ledger.published().control, fingerprint).ok_or_else(|| nobodys(fingerprint));
        let (gateway, record) = speaker()?;
        let itself = AssertedPrincipal { kind: Name::new(Principal::GATEWAY)?, id: gateway };
        self.rates.judge(&itself, self.now_ms())?;
        let key = record.key().cloned().ok_or_else(|| nobodys(fingerprint))?;
        let request = self.verified(bytes, signed, key).await?;
        // It may have been renewed meanwhile.
        let (gateway, record) = speaker()?;
        let targets = [Target::Gateway(gateway.clone()), Target::Key(*fingerprint)];
        let control = self.ledger.published().control;
        let revoked = targets.iter().filter_map(|target| control.revoked(target)).min();
        let through = Some(itself.clone());
        let asker = match named(&request) {
            _ if let Some(at) = revoked => {
                let fault = Some(Refusal::new(Code::Revoked, format!("gateway `{gateway}` is revoked by entry {at}")));
                Asker { fault, ..known(&itself, Proof::Gateway, record.key())? }
            }
            Some(name) if record.asserts.contains(&name) => {
                let own = match &request.ask {
                    Ask::Authorize(Authorize { audience: Audience::Gateway { gateway: named, .. }, .. }) => {
                        *named == gateway
                    }
                    Ask::Authorize(_) => false,
                    Ask::Shadow(_) | Ask::Order => true,
                };
                let why = "asks in another's name, and may do so for what it executes itself";
                let fault = (!own).then(|| Refusal::new(Code::WrongAudience, format!("gateway `{gateway}` {why}")));
                Asker { fault, through, ..known(&name, Proof::Gateway, record.key())? }
            }
            found => {
                let why = match found {
                    Some(name) => format!("gateway `{gateway}` is not enrolled to ask for {}::{}", name.kind, name.id),
                    None => format!("gateway `{gateway}` asks, and does not say for whom"),
                };
                let fault = Some(Refusal::new(Code::IdentityMismatch, why));
                Asker { fault, ..known(&itself, Proof::Gateway, record.key())? }
            }
        };
        Ok((asker, request))
    }

    /// What a key has signed, for now.
    async fn verified(&self, bytes: &[u8], signed: &SignedRequest<'_>, key: Ed25519Key) -> Result<Request, Refusal> {
        let request = self.verifier.verify(bytes, key, self.ledger.origin()).await?;
        self.in_time(&request)?;
        if let Some(validity) = signed.validity() {
            self.still_counts(validity)?;
        }
        Ok(request)
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

    /// A message says itself when it was signed, and may say for how long.
    fn still_counts(&self, Validity { created_s, expires_s }: Validity) -> Result<(), Refusal> {
        let (now_s, within_s) = (self.now_ms() / 1000, SIGNED_WITHIN_MS / 1000);
        if created_s.saturating_add(within_s) < now_s || expires_s.is_some_and(|expires_s| expires_s < now_s) {
            return Err(Refusal::new(Code::Expired, "the message's signature has expired; sign it anew"));
        }
        if created_s > now_s.saturating_add(within_s) {
            let why = "the message was signed in the future; set the clock that signed it right";
            return Err(Refusal::new(Code::NotYetValid, why));
        }
        Ok(())
    }

    /// A token is a bearer's: it says who asks, is for us alone, and goes no further than this.
    fn by_token(&self, active: &ActiveSet, caller: &Caller<'_>, token: BearerToken<'_>) -> Result<Asker, Refusal> {
        let token = Token::read(token.0)?;
        let known_as = active.set.principals();
        let issuer = known_as.issuer(token.issuer()).ok_or_else(|| {
            Refusal::new(Code::UnknownAuthority, format!("{:?} is no issuer in issuers.json", token.issuer()))
        })?;
        let subject = self.verified_subject(&token, issuer)?;
        let unknown =
            || unauthenticated(format!("a subject of {} that is no principal in principals.json", issuer.name));
        let name = known_as.by_subject(&issuer.name, &subject).ok_or_else(unknown)?;
        let mut asker = known(name, Proof::Token, None)?;
        asker.fault = shows_another(active, caller, &asker);
        Ok(asker)
    }

    fn by_connection(
        &self,
        active: &ActiveSet,
        caller: &Caller<'_>,
        governed: Option<&Governed>,
    ) -> Result<Asker, Refusal> {
        let local = match caller {
            Caller::Local(local) => local,
            Caller::Connected(shown) => return by_what_was_shown(active, shown),
            Caller::Remote => {
                return Err(unauthenticated(
                    "over the network every request must be signed, or its caller known by a certificate or a token",
                ));
            }
        };
        // Inside a tree the caller is the execution, whatever user it runs as.
        if let Some(governed) = governed {
            return known(&governed.principal, Proof::Execution, None);
        }
        let name = active.set.principal_by_uid(local.uid);
        let name =
            name.ok_or_else(|| unauthenticated(format!("user {} is no principal in principals.json", local.uid)))?;
        known(name, Proof::Peer, None)
    }
}

/// A token is a bearer's, and a connection is proved: who brings the token of one on the connection of another has it from somewhere.
fn shows_another(active: &ActiveSet, caller: &Caller<'_>, asker: &Asker) -> Option<Refusal> {
    let Caller::Connected(shown) = caller else { return None };
    let shown = by_what_was_shown(active, shown).ok()?.name();
    let own = asker.name();
    (shown != own).then(|| {
        let why = format!(
            "the connection is of {}::{}, and the token of {}::{}; show one of them",
            shown.kind, shown.id, own.kind, own.id
        );
        Refusal::new(Code::IdentityMismatch, why)
    })
}

/// Whom the set in force knows by what a connection has shown. It is asked anew for each request, so that what a set, or its end, says of somebody
/// holds for the very next one; what costs much, the proof itself, is made once.
fn by_what_was_shown(active: &ActiveSet, shown: &Shown) -> Result<Asker, Refusal> {
    let known_as = active.set.principals();
    match shown {
        Shown::Key(key) => {
            let fingerprint = key.key().fingerprint();
            let unknown = || unauthenticated(format!("{fingerprint} is the key of no principal in principals.json"));
            known(known_as.by_key(&fingerprint).ok_or_else(unknown)?, Proof::KeyConnection, Some(key))
        }
        Shown::Spiffe(id) => {
            let unknown = || unauthenticated(format!("{id} is no principal in principals.json"));
            known(known_as.by_spiffe(id).ok_or_else(unknown)?, Proof::Spiffe, None)
        }
        Shown::Nothing(refusal) => Err(refusal.clone()),
    }
}

/// Whose key it is in this set, and the key.
fn whose(active: &ActiveSet, fingerprint: &Fingerprint) -> Option<(AssertedPrincipal, Ed25519Key)> {
    let name = active.set.principal_by_key(fingerprint)?;
    let key = active.set.keys_of(name).iter().find(|key| key.key().fingerprint() == *fingerprint)?;
    Some((name.clone(), key.clone()))
}

/// The gateway that has this key now.
fn speaker(control: &ControlState, fingerprint: &Fingerprint) -> Option<(Name, GatewayRecord)> {
    let (gateway, record) = control.gateway_by_key(fingerprint)?;
    let is_current = record.key().is_some_and(|key| key.key().fingerprint() == *fingerprint);
    is_current.then(|| (gateway.clone(), record.clone()))
}

/// Whoever has a key that is revoked: what they ask is refused, and takes nothing of what its owner may ask by another.
fn bucket_of(fingerprint: &Fingerprint) -> Result<AssertedPrincipal, Refusal> {
    Ok(AssertedPrincipal { kind: Name::new("Key")?, id: Name::new(fingerprint.to_string())? })
}

fn nobodys(fingerprint: &Fingerprint) -> Refusal {
    unauthenticated(format!("{fingerprint} is the key of no principal in principals.json"))
}

/// Whom a request names.
fn named(request: &Request) -> Option<AssertedPrincipal> {
    let PrincipalRef { kind, id } = request.principal.as_ref()?;
    Some(AssertedPrincipal { kind: kind.clone(), id: id.clone() })
}

/// Where somebody who is known asks from, and what they inherit there.
fn placed(asker: &mut Asker, caller: &Caller<'_>, governed: Option<Governed>) {
    let own = asker.name();
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
        (None, Caller::Remote | Caller::Connected(_)) => Some(Carrier::OpenWorkOf(own)),
        // Who asks is not the process that speaks for them.
        (None, Caller::Local(_)) if asker.proof == Proof::Gateway => Some(Carrier::OpenWorkOf(own)),
        (None, Caller::Local(_)) => None,
    };
    asker.governed = governed;
}

fn unauthenticated(why: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Code::Unauthenticated, why)
}

fn known(name: &AssertedPrincipal, proof: Proof, key: Option<&Ed25519Key>) -> Result<Asker, Refusal> {
    let principal = Principal {
        id: name.id.clone(),
        key: key.map(|key| key.key().clone()),
        auth: Label::new(proof.as_str())?,
        kind: name.kind.clone(),
    };
    Ok(Asker { principal, proof, governed: None, inherits: None, rated: None, through: None, fault: None })
}
