use super::{payload, sign};
use crate::action::{Action, ActionKind, CommitmentKind, Opening};
use crate::cbor::{Bytes, Decode, Encode, Reader, ShapeError, Writer, record};
use crate::entry::Audience;
use crate::id::RequestKey;
use crate::name::{Label, Name};
use crate::parts::{Admitted, EntryRef, HolderKey, PrincipalRef};
use crate::refusal::Refusal;
use writ_tlog::{Hash, Origin, SigningKey};

/// What a principal asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// By which a repetition is recognised.
    pub key: RequestKey,
    /// Random: the salt of the commitment to these bytes.
    pub salt: [u8; 32],
    /// When it was asked, by the asker's clock.
    pub time_ms: u64,
    /// Who asks; without it, whoever the caller is shown to be.
    pub principal: Option<PrincipalRef>,
    /// The salt of the action digest.
    pub action_salt: [u8; 32],
    /// The canonical action, encoded.
    pub action: Vec<u8>,
    /// What is asked.
    pub ask: Ask,
}

/// The kinds of request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most requests are for a writ, and one is read at a time")]
pub enum Ask {
    /// A writ for the action.
    Authorize(Authorize),
    /// That the action, an order, be done.
    Order,
    /// What policy would answer to it.
    Shadow(Shadowing),
}

/// What a writ is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorize {
    /// The hold of the same action that was answered meanwhile.
    pub hold: Option<EntryRef>,
    /// Spend it at once, for the asker.
    pub admit: Option<Admitted>,
    /// Who will present it.
    pub holder: HolderKey,
    /// Who will execute it.
    pub audience: Audience,
    /// The mandate under which it begins; without one, that of whatever causes it, if there is one.
    pub mandate: Option<EntryRef>,
    /// Where it would run.
    pub surroundings: Vec<Component>,
}

/// For what is asked what policy would answer. It names no holder and nobody to admit: whatever the answer, it lets nothing run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowing {
    /// The gateway, or group of gateways, that would execute it; a fact of the decision.
    pub gateway: Name,
    /// The mandate under which it would begin.
    pub mandate: Option<EntryRef>,
    /// Where it would run.
    pub surroundings: Vec<Component>,
}

/// One measured component of the surroundings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// Which.
    pub name: Label,
    /// What was measured.
    pub value: String,
}

impl Authorize {
    /// The gateway, or group of gateways, that it is asked for.
    pub fn gateway(&self) -> &Name {
        self.audience.name()
    }
}

impl Encode for Component {
    fn encode(&self, writer: &mut Writer) {
        writer.array(2);
        self.name.encode(writer);
        writer.text(&self.value);
    }
}

impl Decode for Component {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.tuple(2)?;
        Ok(Self { name: Label::decode(reader)?, value: reader.text()?.to_owned() })
    }
}

/// The digest of measured surroundings: SHA-256 of the encoded array of components.
pub fn surroundings_digest(components: &[Component]) -> Result<Hash, ShapeError> {
    ascending(components)?;
    let mut writer = Writer::default();
    components.encode(&mut writer);
    Ok(writ_tlog::sha256(&writer.into_bytes()))
}

fn ascending(components: &[Component]) -> Result<(), ShapeError> {
    if components.is_sorted_by(|a, b| a.name < b.name) {
        Ok(())
    } else {
        Err(ShapeError::expected("components ascending by name, each once"))
    }
}

#[derive(Clone, Copy)]
pub(super) enum RequestKind {
    Authorize,
    Order,
    Shadow,
}

record! {
    /// As in `spec/statement.md`.
    AuthorizeFields {
        key: ! RequestKey,
        hold: ? EntryRef,
        salt: ! [u8; 32],
        admit: ? Admitted,
        action: ! Bytes,
        holder: ! HolderKey,
        mandate: ? EntryRef,
        time_ms: ! u64,
        audience: ! Audience,
        principal: ? PrincipalRef,
        action_salt: ! [u8; 32],
        surroundings: ! Vec<Component>,
    }
}

record! {
    OrderFields {
        key: ! RequestKey,
        salt: ! [u8; 32],
        action: ! Bytes,
        time_ms: ! u64,
        principal: ? PrincipalRef,
        action_salt: ! [u8; 32],
    }
}

record! {
    ShadowFields {
        key: ! RequestKey,
        salt: ! [u8; 32],
        action: ! Bytes,
        gateway: ! Name,
        mandate: ? EntryRef,
        time_ms: ! u64,
        principal: ? PrincipalRef,
        action_salt: ! [u8; 32],
        surroundings: ! Vec<Component>,
    }
}

impl Request {
    /// Its bytes, for the ledger `origin`: what is signed, or, where the caller is known otherwise, sent as it is.
    pub fn payload(&self, origin: &Origin) -> Vec<u8> {
        let Self { key, salt, time_ms, principal, action_salt, action, ask } = self.clone();
        let action = Bytes(action);
        match ask {
            Ask::Authorize(Authorize { hold, admit, holder, audience, mandate, surroundings }) => payload(
                "authorize",
                origin,
                &AuthorizeFields {
                    key,
                    hold,
                    salt,
                    admit,
                    action,
                    holder,
                    mandate,
                    time_ms,
                    audience,
                    principal,
                    action_salt,
                    surroundings,
                },
            ),
            Ask::Order => payload("order", origin, &OrderFields { key, salt, action, time_ms, principal, action_salt }),
            Ask::Shadow(Shadowing { gateway, mandate, surroundings }) => payload(
                "shadow",
                origin,
                &ShadowFields { key, salt, action, gateway, mandate, time_ms, principal, action_salt, surroundings },
            ),
        }
    }

    /// Signs it.
    pub fn sign(&self, origin: &Origin, key: &SigningKey) -> Vec<u8> {
        sign(self.payload(origin), &[key])
    }

    /// The action, with what opens its digest.
    pub fn action(&self) -> Result<(Action, Opening), Refusal> {
        let action = Action::decode(&self.action)?;
        Ok((action, Opening { kind: CommitmentKind::Action, salt: self.action_salt, value: self.action.clone() }))
    }

    /// What opens the commitment to the request, from the bytes that were received.
    pub fn opening(&self, received: &[u8]) -> Opening {
        Opening { kind: CommitmentKind::Request, salt: self.salt, value: received.to_vec() }
    }

    pub(super) fn decode(kind: RequestKind, reader: &mut Reader<'_>) -> Result<Self, Refusal> {
        let request = Self::fields(kind, reader)?;
        request.judge_action()?;
        Ok(request)
    }

    /// Nobody may decide on, or commit to, what is no action; and an order is never asked for as if it were an execution.
    fn judge_action(&self) -> Result<(), Refusal> {
        let kind = Action::decode(&self.action)?.kind();
        match (&self.ask, kind) {
            (Ask::Authorize(_), ActionKind::Exec | ActionKind::Order)
            | (Ask::Order, ActionKind::Order)
            | (Ask::Shadow(_), ActionKind::Exec) => Ok(()),
            (Ask::Authorize(_) | Ask::Order | Ask::Shadow(_), ActionKind::Advice) => Err(Refusal::malformed(
                "the action is a question about somebody; that is asked without a request, and never granted",
            )),
            (Ask::Order, ActionKind::Exec) => {
                Err(Refusal::malformed("the action of an `order` is an order, found an `exec`; ask to `authorize` it"))
            }
            (Ask::Shadow(_), ActionKind::Order) => Err(Refusal::malformed(
                "the action of a `shadow` is an `exec`, found an order; orders are given or not",
            )),
        }
    }

    fn fields(kind: RequestKind, reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Ok(match kind {
            RequestKind::Authorize => {
                let fields = AuthorizeFields::decode(reader)?;
                ascending(&fields.surroundings)?;
                if fields.admit.is_some() && matches!(fields.audience, Audience::Group(_)) {
                    return Err(ShapeError::expected("`admit` only with a gateway audience"));
                }
                let AuthorizeFields { key, hold, salt, admit, action, holder, mandate, time_ms, audience, .. } = fields;
                let ask = Ask::Authorize(Authorize {
                    hold,
                    admit,
                    holder,
                    audience,
                    mandate,
                    surroundings: fields.surroundings,
                });
                let (principal, action_salt) = (fields.principal, fields.action_salt);
                Self { key, salt, time_ms, principal, action_salt, action: action.0, ask }
            }
            RequestKind::Order => {
                let OrderFields { key, salt, action, time_ms, principal, action_salt } = OrderFields::decode(reader)?;
                Self { key, salt, time_ms, principal, action_salt, action: action.0, ask: Ask::Order }
            }
            RequestKind::Shadow => {
                let fields = ShadowFields::decode(reader)?;
                ascending(&fields.surroundings)?;
                let ShadowFields { key, salt, action, gateway, mandate, time_ms, principal, action_salt, surroundings } =
                    fields;
                let ask = Ask::Shadow(Shadowing { gateway, mandate, surroundings });
                Self { key, salt, time_ms, principal, action_salt, action: action.0, ask }
            }
        })
    }
}
