use super::among::Among;
use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer, record};
use crate::name::Label;

record! {
    /// What one component of the surroundings may be. One that was not measured is none of these.
    pub Place {
        /// Which component.
        name: ! Label,
        /// Its allowed values.
        values: ! Among<Measured>,
    }
}

/// A value of a component, as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Measured(pub String);

impl Encode for Measured {
    fn encode(&self, writer: &mut Writer) {
        writer.text(&self.0);
    }
}

impl Decode for Measured {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Ok(Self(reader.text()?.to_owned()))
    }
}

/// Where it may run: at least one component, ascending by name, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Vec<Place>);

impl Places {
    /// Components that are in order.
    pub fn new(places: Vec<Place>) -> Result<Self, ShapeError> {
        if places.is_empty() || !places.is_sorted_by(|a, b| a.name < b.name) {
            return Err(ShapeError::expected(
                "at least one component of the surroundings, ascending by name, each once",
            ));
        }
        Ok(Self(places))
    }

    /// Each of them.
    pub fn as_slice(&self) -> &[Place] {
        &self.0
    }

    /// The first component that is not as it must be.
    pub(super) fn lacks(&self, measured: &[(Label, String)]) -> Option<&Label> {
        let there = |place: &&Place| {
            measured.iter().any(|(name, value)| {
                *name == place.name && place.values.as_slice().iter().any(|allowed| allowed.0 == *value)
            })
        };
        self.0.iter().find(|place| !there(place)).map(|place| &place.name)
    }

    /// Whether each component that the parent speaks of has here no value that it has not there.
    pub(super) fn narrows(&self, parent: &Self) -> bool {
        let own = |name: &Label| self.0.iter().find(|place| place.name == *name);
        parent.0.iter().all(|wider| own(&wider.name).is_some_and(|place| place.values.narrows(&wider.values)))
    }
}

impl Encode for Places {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Places {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(Vec::decode(reader)?)
    }
}
