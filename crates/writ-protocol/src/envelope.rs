use crate::cbor::Reader;
use crate::refusal::{Code, Refusal};
use writ_tlog::Origin;

/// `[context, kind, version, origin, body]` up to the body: entries and statements begin alike.
pub(crate) struct Envelope<'a> {
    pub(crate) kind: &'a str,
    pub(crate) version: u64,
    origin: &'a str,
}

impl<'a> Envelope<'a> {
    /// Reads all but the body, whose being a map is judged here too, before kind and version.
    pub(crate) fn read(reader: &mut Reader<'a>, context: &'static str) -> Result<Self, Refusal> {
        reader.tuple(5)?;
        if reader.text()? != context {
            return Err(Refusal::malformed(format_args!("expected the context `{context}`")));
        }
        let envelope = Self { kind: reader.text()?, version: reader.uint()?, origin: reader.text()? };
        reader.clone().map()?;
        Ok(envelope)
    }

    pub(crate) fn unsupported(&self, what: &str) -> Refusal {
        let Self { kind, version, .. } = self;
        Refusal::new(
            Code::UnsupportedVersion,
            format!(
                "{what} of type `{kind}` version {version} is not known to this reader; a newer release may know it"
            ),
        )
    }

    /// The origin, whichever it is.
    pub(crate) fn claimed_origin(&self) -> Result<Origin, Refusal> {
        Origin::new(self.origin).map_err(Refusal::malformed)
    }

    /// The origin, which must be that of the ledger it was read from.
    pub(crate) fn origin(&self, expected: &Origin, what: &str) -> Result<Origin, Refusal> {
        if self.origin == expected.as_str() {
            return Ok(expected.clone());
        }
        Err(Refusal::new(
            Code::UnknownAuthority,
            format!("{what} of the ledger `{}`, expected `{expected}`", self.origin),
        ))
    }
}
