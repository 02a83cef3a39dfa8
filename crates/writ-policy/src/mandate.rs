//! What a decision knows of the mandate that a request is under, or that an order hands on.

use writ_protocol::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use writ_protocol::entry::{Ascending, AssertedPrincipal};
use writ_tlog::Hash;

/// A mandate as policies see it: by whom, through whom, and how far from the first of its chain. What it is for they need not look at: whatever is
/// outside its scope is refused, whatever they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mandated {
    /// Its entry hash.
    pub entry: Hash,
    /// Who gave the first of its chain.
    pub by: AssertedPrincipal,
    /// Who handed it on: ascending, each once.
    pub through: Vec<AssertedPrincipal>,
    /// How many mandates stand above it.
    pub depth: u64,
}

impl Encode for Mandated {
    fn encode(&self, writer: &mut Writer) {
        writer.map(4);
        writer.field("by", &self.by);
        writer.field("depth", &self.depth);
        writer.field("entry", &self.entry);
        writer.field("through", &self.through);
    }
}

impl Decode for Mandated {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let (by, depth, entry) = (map.required("by")?, map.required("depth")?, map.required("entry")?);
        let through: Ascending<AssertedPrincipal> = map.required("through")?;
        map.end()?;
        Ok(Self { entry, by, through: through.as_slice().to_vec(), depth })
    }
}
