//! What a history says of mandates, judged by the words of each alone: the code that decides and orders has no part in it.

use crate::governed::Entered;
use std::collections::BTreeMap;
use writ_protocol::entry::{Body, EntryRef, Grant, Mandate, Target};
use writ_protocol::scope::{Among, File, Program};
use writ_tlog::Hash;

/// The mandates of a history.
#[derive(Default)]
pub(super) struct Mandates(BTreeMap<Hash, Mandate>);

impl Mandates {
    pub(super) fn of(entries: &[Entered]) -> Self {
        let given = entries.iter().filter_map(|one| {
            if let Body::Mandate(mandate) = &one.body { Some((one.hash, mandate.clone())) } else { None }
        });
        Self(given.collect())
    }

    pub(super) fn given(&mut self, hash: Hash, mandate: &Mandate) {
        self.0.insert(hash, mandate.clone());
    }

    /// A mandate and those above it, as far as they are there.
    fn chain(&self, named: Option<&EntryRef>) -> Vec<(Hash, &Mandate)> {
        let mut chain = Vec::new();
        let mut next = named.map(|named| named.entry);
        while let Some(hash) = next
            && let Some(mandate) = self.0.get(&hash)
        {
            next = mandate.parent.as_ref().map(|parent| parent.entry);
            chain.push((hash, mandate));
        }
        chain
    }

    /// What would end whatever is under this mandate.
    pub(super) fn targets(&self, named: Option<&EntryRef>) -> Vec<Target> {
        let chain = self.chain(named);
        let ends = |(hash, mandate): &(Hash, &Mandate)| {
            let key = Target::Key(mandate.key().key().fingerprint());
            [Target::Mandate(*hash), Target::Principal(mandate.by.asserted()), key]
        };
        chain.iter().flat_map(ends).collect()
    }

    /// How a mandate is more than the one it hands on.
    pub(super) fn wider(&self, mandate: &Mandate) -> Option<String> {
        let parent = mandate.parent.as_ref()?;
        let Some(above) = self.0.get(&parent.entry) else { return Some("it hands on what was never given".into()) };
        if above.to != mandate.by.asserted() {
            return Some("it hands on what was given to another".into());
        }
        let (own, above) = (&mandate.scope, &above.scope);
        let uses = |scope: &writ_protocol::scope::Scope| scope.uses.map_or(u64::MAX, |uses| uses.get());
        let sooner = own.window.from_ms() < above.window.from_ms();
        if sooner || own.window.until_ms() > above.window.until_ms() {
            return Some("it lasts longer".into());
        }
        if uses(own) > uses(above) {
            return Some("it is for more uses".into());
        }
        let lets = |programs: &Option<Among<Program>>, path: &str| runs(programs.as_ref(), path);
        let paths = ["/usr/bin/make", "/usr/bin/cc", "/usr/bin/other", "/elsewhere"];
        let more = paths.iter().find(|path| lets(&own.programs, path) && !lets(&above.programs, path))?;
        Some(format!("it lets {more} run"))
    }

    /// How a grant is not what its mandate is for, apart from its program, which no entry shows.
    pub(super) fn escaped(&self, grant: &Grant) -> Option<String> {
        let named = grant.cause.mandate.as_ref()?;
        let Some(own) = self.0.get(&named.entry) else { return Some("it names no mandate".into()) };
        if own.to != grant.principal.asserted() {
            return Some("its mandate is for another".into());
        }
        for (hash, mandate) in self.chain(Some(named)) {
            let within = mandate.scope.window;
            let outlives = grant.window.until_ms() > within.until_ms() || grant.time_ms < within.from_ms();
            if outlives || grant.time_ms >= within.until_ms() {
                return Some(format!("it outlives mandate {hash}"));
            }
            let uses = mandate.scope.uses;
            if uses.is_some_and(|uses| !grant.draws().iter().any(|draw| draw.limit == uses)) {
                return Some(format!("it is not counted by mandate {hash}"));
            }
        }
        None
    }

    /// The mandate of a grant that does not have this program.
    pub(super) fn widened(&self, grant: &Grant, program: &str) -> Option<Hash> {
        let chain = self.chain(grant.cause.mandate.as_ref());
        let found = chain.iter().find(|(_, mandate)| !runs(mandate.scope.programs.as_ref(), program));
        found.map(|(hash, _)| *hash)
    }
}

fn runs(programs: Option<&Among<Program>>, path: &str) -> bool {
    let Some(programs) = programs else { return true };
    programs.as_slice().iter().any(|program| match &program.file {
        File::Exact(exact) => exact.as_bytes() == path.as_bytes(),
        File::Beneath(folder) => {
            path.as_bytes().strip_prefix(folder.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
        }
    })
}
