use std::ops::Deref;

/// Something that has passed verification. Only this crate can make one, and only where the verification is done
/// (Invariant 1: a gateway starts nothing without a `Verified<Writ>`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// For the verifying functions of this crate alone.
    pub(crate) fn attest(value: T) -> Self {
        Self(value)
    }

    /// The content, without the mark.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
