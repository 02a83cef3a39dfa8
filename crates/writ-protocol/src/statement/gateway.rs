use super::{payload, sign};
use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer, record};
use crate::id::ExecutionId;
use crate::name::{Label, Name};
use crate::parts::{Ascending, Positive};
use crate::refusal::Code;
use writ_tlog::{Hash, Origin, SigningKey};

/// What a gateway says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStatement {
    /// Who says it.
    pub gateway: Name,
    /// In which instance epoch.
    pub epoch: Positive,
    /// Its number within the epoch.
    pub seq: Positive,
    /// When.
    pub time_ms: u64,
    /// What.
    pub claim: Claim,
}

/// The substance of a gateway's statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A use of a writ was consumed.
    Spent {
        /// Entry hash of the grant.
        writ: Hash,
        /// Its index.
        index: u64,
        /// For which execution.
        execution: ExecutionId,
        /// Which use, from 1.
        usage: Positive,
    },
    /// The execution began.
    Started {
        /// Entry hash of the grant.
        writ: Hash,
        /// Which execution.
        execution: ExecutionId,
        /// The digest of what was started.
        action: Hash,
        /// The digest of the surroundings measured.
        surroundings: Hash,
    },
    /// The execution ended.
    Ended {
        /// Entry hash of the grant.
        writ: Hash,
        /// Which execution.
        execution: ExecutionId,
        /// How.
        result: Ending,
    },
    /// The execution carries more than it was granted with, and so does its lineage from here on.
    Labelled {
        /// Entry hash of the grant.
        writ: Hash,
        /// Which execution.
        execution: ExecutionId,
        /// What it carries besides: at least one.
        labels: Ascending<Label>,
    },
    /// Something was refused.
    Refused {
        /// Why.
        code: Code,
        /// SHA-256 of what was presented.
        writ: Option<Hash>,
        /// The digest of what would have run.
        action: Option<Hash>,
    },
    /// The gateway is alive and follows the ledger.
    Heartbeat {
        /// Tree size it has verified.
        size: u64,
        /// Root hash there.
        root: Hash,
    },
}

#[derive(Clone, Copy)]
pub(super) enum GatewayKind {
    Spent,
    Started,
    Ended,
    Labelled,
    Refused,
    Heartbeat,
}

record! {
    /// As in `spec/statement.md`, for each kind.
    SpentFields {
        seq: ! Positive,
        use_ as "use": ! Positive,
        writ: ! Hash,
        epoch: ! Positive,
        index: ! u64,
        gateway: ! Name,
        time_ms: ! u64,
        execution: ! ExecutionId,
    }
}

record! {
    StartedFields {
        seq: ! Positive,
        writ: ! Hash,
        epoch: ! Positive,
        action: ! Hash,
        gateway: ! Name,
        time_ms: ! u64,
        execution: ! ExecutionId,
        surroundings: ! Hash,
    }
}

record! {
    EndedFields {
        seq: ! Positive,
        writ: ! Hash,
        epoch: ! Positive,
        result: ! Ending,
        gateway: ! Name,
        time_ms: ! u64,
        execution: ! ExecutionId,
    }
}

record! {
    LabelledFields {
        seq: ! Positive,
        writ: ! Hash,
        epoch: ! Positive,
        labels: ! Ascending<Label>,
        gateway: ! Name,
        time_ms: ! u64,
        execution: ! ExecutionId,
    }
}

record! {
    RefusedFields {
        seq: ! Positive,
        code: ! Code,
        writ: ? Hash,
        epoch: ! Positive,
        action: ? Hash,
        gateway: ! Name,
        time_ms: ! u64,
    }
}

record! {
    HeartbeatFields {
        seq: ! Positive,
        root: ! Hash,
        size: ! u64,
        epoch: ! Positive,
        gateway: ! Name,
        time_ms: ! u64,
    }
}

impl GatewayStatement {
    /// Signs it for the ledger `origin`.
    pub fn sign(&self, origin: &Origin, key: &SigningKey) -> Vec<u8> {
        let Self { gateway, epoch, seq, time_ms, claim } = self;
        let (gateway, epoch, seq, time_ms) = (gateway.clone(), *epoch, *seq, *time_ms);
        let payload = match claim {
            Claim::Spent { writ, index, execution, usage } => payload(
                "spent",
                origin,
                &SpentFields {
                    seq,
                    use_: *usage,
                    writ: *writ,
                    epoch,
                    index: *index,
                    gateway,
                    time_ms,
                    execution: *execution,
                },
            ),
            Claim::Started { writ, execution, action, surroundings } => payload(
                "started",
                origin,
                &StartedFields {
                    seq,
                    writ: *writ,
                    epoch,
                    action: *action,
                    gateway,
                    time_ms,
                    execution: *execution,
                    surroundings: *surroundings,
                },
            ),
            Claim::Ended { writ, execution, result } => payload(
                "ended",
                origin,
                &EndedFields { seq, writ: *writ, epoch, result: *result, gateway, time_ms, execution: *execution },
            ),
            Claim::Labelled { writ, execution, labels } => payload(
                "labelled",
                origin,
                &LabelledFields {
                    seq,
                    writ: *writ,
                    epoch,
                    labels: labels.clone(),
                    gateway,
                    time_ms,
                    execution: *execution,
                },
            ),
            Claim::Refused { code, writ, action } => payload(
                "refused",
                origin,
                &RefusedFields { seq, code: *code, writ: *writ, epoch, action: *action, gateway, time_ms },
            ),
            Claim::Heartbeat { size, root } => payload(
                "heartbeat",
                origin,
                &HeartbeatFields { seq, root: *root, size: *size, epoch, gateway, time_ms },
            ),
        };
        sign(payload, &[key])
    }

    pub(super) fn decode(kind: GatewayKind, reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Ok(match kind {
            GatewayKind::Spent => {
                let SpentFields { seq, use_, writ, epoch, index, gateway, time_ms, execution } =
                    SpentFields::decode(reader)?;
                Self { gateway, epoch, seq, time_ms, claim: Claim::Spent { writ, index, execution, usage: use_ } }
            }
            GatewayKind::Started => {
                let StartedFields { seq, writ, epoch, action, gateway, time_ms, execution, surroundings } =
                    StartedFields::decode(reader)?;
                Self { gateway, epoch, seq, time_ms, claim: Claim::Started { writ, execution, action, surroundings } }
            }
            GatewayKind::Ended => {
                let EndedFields { seq, writ, epoch, result, gateway, time_ms, execution } =
                    EndedFields::decode(reader)?;
                Self { gateway, epoch, seq, time_ms, claim: Claim::Ended { writ, execution, result } }
            }
            GatewayKind::Labelled => {
                let LabelledFields { seq, writ, epoch, labels, gateway, time_ms, execution } =
                    LabelledFields::decode(reader)?;
                if labels.as_slice().is_empty() {
                    return Err(ShapeError::expected("at least one label"));
                }
                Self { gateway, epoch, seq, time_ms, claim: Claim::Labelled { writ, execution, labels } }
            }
            GatewayKind::Refused => {
                let RefusedFields { seq, code, writ, epoch, action, gateway, time_ms } = RefusedFields::decode(reader)?;
                Self { gateway, epoch, seq, time_ms, claim: Claim::Refused { code, writ, action } }
            }
            GatewayKind::Heartbeat => {
                let HeartbeatFields { seq, root, size, epoch, gateway, time_ms } = HeartbeatFields::decode(reader)?;
                Self { gateway, epoch, seq, time_ms, claim: Claim::Heartbeat { size, root } }
            }
        })
    }
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this status.
    Exited(u8),
    /// By a signal.
    Signaled(Signal),
    /// By the gateway, because trust was lost.
    Terminated(Code),
    /// The gateway was lost meanwhile; it is not known what ran.
    Unknown,
}

/// A signal number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(u8);

impl Signal {
    /// The signal, if its number is 1 to 64.
    pub fn new(number: u8) -> Option<Self> {
        (1..=64).contains(&number).then_some(Self(number))
    }

    /// Its number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited:{status}"),
            Self::Signaled(signal) => write!(f, "signaled:{}", signal.get()),
            Self::Terminated(code) => write!(f, "terminated:{code}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Encode for Ending {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Exited(status) => {
                writer.map(2);
                writer.field("kind", "exited");
                writer.field("status", &u64::from(*status));
            }
            Self::Signaled(signal) => {
                writer.map(2);
                writer.field("kind", "signaled");
                writer.field("signal", &u64::from(signal.get()));
            }
            Self::Terminated(code) => {
                writer.map(2);
                writer.field("code", code);
                writer.field("kind", "terminated");
            }
            Self::Unknown => {
                writer.map(1);
                writer.field("kind", "unknown");
            }
        }
    }
}

impl Decode for Ending {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let kind = reader.peek_field("kind")?;
        let mut map = reader.map()?;
        let ending = match kind {
            "exited" => {
                map.constant("kind", "exited")?;
                let status: u64 = map.required("status")?;
                Self::Exited(u8::try_from(status).map_err(|_| ShapeError::expected("a status of 0 to 255"))?)
            }
            "signaled" => {
                map.constant("kind", "signaled")?;
                let number: u64 = map.required("signal")?;
                let signal = u8::try_from(number).ok().and_then(Signal::new);
                Self::Signaled(signal.ok_or_else(|| ShapeError::expected("a signal of 1 to 64"))?)
            }
            "terminated" => {
                let code = map.required("code")?;
                map.constant("kind", "terminated")?;
                Self::Terminated(code)
            }
            "unknown" => {
                map.constant("kind", "unknown")?;
                Self::Unknown
            }
            _ => return Err(ShapeError::expected("a result: exited, signaled, terminated or unknown")),
        };
        map.end()?;
        Ok(ending)
    }
}
