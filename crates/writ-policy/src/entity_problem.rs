/// What can be wrong with entities beside those of a policy set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum EntityProblem {
    #[error("expected {expected} in item {item}, counted from 1")]
    Form { item: usize, expected: String },
    #[error("`{0}` belongs to the policy set or its schema, which no other entities change")]
    OfSet(String),
    #[error("`{0}` is not among the entities, so it cannot be removed")]
    Unknown(String),
    #[error("membership goes round in a circle: {0}")]
    Cycle(String),
    #[error("expected at most {limit} entities")]
    TooMany { limit: usize },
}

impl EntityProblem {
    /// What to do about it.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Form { .. } => {
                "an item is {\"uid\": {\"type\": \"User\", \"id\": \"ada\"}, \"attrs\": {}, \"parents\": []}, and may have `tags`"
            }
            Self::OfSet(_) => "change entities.json of the policy folder, or choose another id",
            Self::Unknown(_) => "see `writ entity list` for those that are there",
            Self::Cycle(_) => "take one of them out of the other",
            Self::TooMany { .. } => "keep those that policies need",
        }
    }
}
