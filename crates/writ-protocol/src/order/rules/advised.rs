//! The rules for what others act on.

use super::{Rules, refuse};
use crate::entry::{Advised, Target};
use crate::key::Key;
use crate::order::revoked::earlier;
use crate::order::{OrderError, Records};
use crate::refusal::{Code, Refusal};

impl<R: Records> Rules<'_, R> {
    /// Others act on an advice, so what lets somebody through stands on what is true when it is sequenced (Invariant 5): in a halt, and
    /// where asker, subject or set are revoked, there is none. It names state, set and lineage as a shadow does, and draws from nothing.
    pub(super) fn advised(&self, advised: &Advised) -> Result<(), OrderError<R::Error>> {
        if advised.decision.lets_through() {
            self.nothing_stands_against(advised)?;
        }
        self.spoken_for(&advised.principal)?;
        self.as_of(&advised.as_of)?;
        self.policy(&advised.policy)?;
        self.cause(&advised.cause)?;
        self.under(&advised.cause, &advised.principal).map(drop)
    }

    fn nothing_stands_against(&self, advised: &Advised) -> Result<(), Refusal> {
        if let Some(at) = self.control.halted() {
            return Err(refuse(Code::Halted, format!("the domain is halted by entry {at}")));
        }
        let asker = &advised.principal;
        let by_asker = self.no_longer_trusted(&asker.asserted(), asker.key.as_ref().map(Key::fingerprint));
        let by_subject = advised.about().and_then(|subject| self.no_longer_trusted(&subject, None));
        let by_set = self.control.revoked(&Target::Policy(advised.policy.set));
        match earlier(earlier(by_asker, by_subject), by_set) {
            Some(at) => Err(refuse(Code::Revoked, format!("revoked by entry {at}"))),
            None => Ok(()),
        }
    }
}
