use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use crate::parts::Ascending;

/// What is allowed, one by one: at least one, ascending, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Among<T>(Ascending<T>);

impl<T: Ord> Among<T> {
    /// Sorts and removes repetitions.
    pub fn new(items: impl IntoIterator<Item = T>) -> Result<Self, ShapeError> {
        Self::of(Ascending::new(items))
    }

    fn of(items: Ascending<T>) -> Result<Self, ShapeError> {
        if items.as_slice().is_empty() {
            return Err(ShapeError::expected(
                "a constraint that allows at least one; what allows nothing is no mandate",
            ));
        }
        Ok(Self(items))
    }

    /// Each of them.
    pub fn as_slice(&self) -> &[T] {
        self.0.as_slice()
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, one: &T) -> bool {
        self.as_slice().binary_search(one).is_ok()
    }

    /// Whether each of these is one of the parent's.
    pub(super) fn narrows(&self, parent: &Self) -> bool {
        self.as_slice().iter().all(|one| parent.has(one))
    }
}

impl<T: Encode> Encode for Among<T> {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl<T: Decode + Ord> Decode for Among<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::of(Ascending::decode(reader)?)
    }
}
