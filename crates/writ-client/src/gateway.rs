use crate::fields::Fields;
use serde_json::Value;
use writ_protocol::ExecutionId;
use writ_tlog::Hash;

/// What a node knows of a gateway. Nothing of it is verified: a node that lies here is refused by its own ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayPlace {
    /// Its epoch.
    pub epoch: u64,
    /// The sequence number of its last statement.
    pub last_seq: u64,
    /// The fingerprint of its key.
    pub key: String,
    /// Whether it, or this key, is revoked.
    pub is_revoked: bool,
    /// Whether an order has enrolled it, as one of another machine.
    pub by_order: bool,
    /// Its executions that have begun and not ended.
    pub open: Vec<OpenExecution>,
}

/// An execution that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenExecution {
    /// Which.
    pub execution: ExecutionId,
    /// Entry hash of its grant.
    pub writ: Hash,
}

impl GatewayPlace {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut fields = Fields::read(bytes)?;
        let (epoch, last_seq) = (fields.number("epoch")?, fields.number("last_seq")?);
        let open = fields.array("open")?.into_iter().map(OpenExecution::of).collect::<Result<_, _>>()?;
        let (key, is_revoked) = (fields.text("key")?, fields.boolean("revoked")?);
        let by_order = fields.boolean("by_order")?;
        Ok(Self { epoch, last_seq, key, is_revoked, by_order, open })
    }
}

impl OpenExecution {
    fn of(value: Value) -> Result<Self, String> {
        let mut fields = Fields::of(value)?;
        let execution = ExecutionId::parse(&fields.text("execution")?).ok_or("expected the id of an execution")?;
        let writ = from_hex(&fields.text("writ")?).ok_or("expected the hash of a writ in hexadecimal")?;
        Ok(Self { execution, writ })
    }
}

fn from_hex(text: &str) -> Option<Hash> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect::<Option<Vec<u8>>>()?;
    Hash::from_slice(&bytes)
}
