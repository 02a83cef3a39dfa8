//! The scope of a mandate (`spec/scope.md`): what everything under it must stay within. Pure and total: two questions, whether an execution is
//! contained, and whether one scope is within another.
//!
//! **A new kind of constraint goes here**: a type with its own `narrows`, a field of [`ScopeFields`], a line in `contains` and one in `narrows`, a
//! row of the page, its CDDL and vectors. What one reader does not know it refuses, so nobody can be told less than was meant.

mod among;
mod path;
mod programs;
mod surroundings;

pub use among::Among;
pub use path::Path;
pub use programs::{Beginning, File, Program};
pub use surroundings::{Measured, Place, Places};

use crate::action::Exec;
use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer, record};
use crate::name::{Label, Name};
use crate::parts::{Positive, Window};
use crate::refusal::{Code, Refusal};
use writ_tlog::Hash;

/// An encoded scope is at most this long: an entry holds it twice, and every decision under it reads it.
pub const SCOPE_BYTES_MAX: usize = 16_384;

record! {
    /// Constraints, all of which hold. What is absent constrains nothing; only the end of it must be said.
    pub ScopeFields {
        /// How many executions in all, everything below included.
        uses: ? Positive,
        /// How many steps from the origin of its lineage at most.
        depth: ? u64,
        /// From when and until when.
        window: ! Window,
        /// Working directories: these, and what lies in them.
        folders: ? Among<Path>,
        /// Digests of everything that is loaded to run: the file that is asked for, and what interprets it.
        contents: ? Among<Hash>,
        /// The gateways, or groups of gateways, that execute.
        gateways: ? Among<Name>,
        /// Programs with the beginning of their arguments.
        programs: ? Among<Program>,
        /// What was measured where it runs.
        surroundings: ? Places,
    }
}

/// A scope that is not too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(ScopeFields);

/// An execution that is asked for, as far as a scope looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What would be executed.
    pub exec: &'a Exec,
    /// When.
    pub now_ms: u64,
    /// How many steps from the origin of its lineage.
    pub depth: u64,
    /// By which gateway, or group of gateways.
    pub gateway: &'a Name,
    /// What was measured there.
    pub surroundings: &'a [(Label, String)],
}

impl Scope {
    /// Not larger than a mandate holds.
    pub fn new(fields: ScopeFields) -> Result<Self, ShapeError> {
        let found = fields.to_cbor().len();
        if found > SCOPE_BYTES_MAX {
            return Err(ShapeError::expected(format!(
                "a scope of at most {SCOPE_BYTES_MAX} bytes, this one has {found}"
            )));
        }
        Ok(Self(fields))
    }

    /// Whether an execution is within it. How often, the counters of the ledger say.
    pub fn contains(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        self.lasts(asked.now_ms)?;
        self.allows(asked)
    }

    /// Whether it would be within it at some time.
    pub fn allows(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        self.reaches(asked.depth, asked.gateway)?;
        self.runs(asked.exec)?;
        match self.0.surroundings.as_ref().and_then(|places| places.lacks(asked.surroundings)) {
            None => Ok(()),
            Some(name) => Err(outside(format!("`{name}` of the surroundings is not what it must be"))),
        }
    }

    /// Whether its time is now.
    pub fn lasts(&self, now_ms: u64) -> Result<(), Refusal> {
        if now_ms < self.0.window.from_ms() {
            return Err(Refusal::new(Code::NotYetValid, "the mandate begins later"));
        }
        if now_ms >= self.0.window.until_ms() {
            return Err(Refusal::new(Code::Expired, "the mandate has ended"));
        }
        Ok(())
    }

    /// Whether it reaches as deep, and to this gateway: what anybody can judge by the entry of a grant.
    pub fn reaches(&self, depth: u64, gateway: &Name) -> Result<(), Refusal> {
        if let Some(most) = self.0.depth.filter(|most| depth > *most) {
            return Err(outside(format!("depth {depth}, and the mandate goes to {most}")));
        }
        match &self.0.gateways {
            Some(gateways) if !gateways.has(gateway) => {
                Err(outside(format!("gateway `{gateway}` is none of the mandate's")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether this may be run: what anybody can judge who sees the action.
    pub fn runs(&self, exec: &Exec) -> Result<(), Refusal> {
        if self.0.programs.as_ref().is_some_and(|programs| !programs.runs(exec)) {
            return Err(outside("neither the program nor its arguments are any of the mandate's".to_owned()));
        }
        if self.0.folders.as_ref().is_some_and(|folders| !folders.is_in(&exec.cwd)) {
            return Err(outside("the working directory is in none of the mandate's folders".to_owned()));
        }
        let interpreter = exec.interpreter.as_ref().map(|found| &found.digest);
        let mut loaded = std::iter::once(&exec.executable).chain(interpreter);
        if self.0.contents.as_ref().is_some_and(|contents| !loaded.all(|digest| contents.has(digest))) {
            return Err(outside("what would be loaded has none of the mandate's contents".to_owned()));
        }
        Ok(())
    }

    /// Whether whatever is within this scope is within the parent's too. A constraint of the parent's is here, and is here no wider.
    pub fn narrows(&self, parent: &Self) -> Result<(), Refusal> {
        let (own, wider) = (&self.0, &parent.0);
        let window = own.window.from_ms() >= wider.window.from_ms() && own.window.until_ms() <= wider.window.until_ms();
        let each = [
            ("window", window),
            ("uses", kept(&own.uses, &wider.uses, |own, wider| own <= wider)),
            ("depth", kept(&own.depth, &wider.depth, |own, wider| own <= wider)),
            ("folders", kept(&own.folders, &wider.folders, Among::folders_narrow)),
            ("contents", kept(&own.contents, &wider.contents, Among::narrows)),
            ("gateways", kept(&own.gateways, &wider.gateways, Among::narrows)),
            ("programs", kept(&own.programs, &wider.programs, Among::programs_narrow)),
            ("surroundings", kept(&own.surroundings, &wider.surroundings, Places::narrows)),
        ];
        match each.iter().find(|(_, narrows)| !narrows) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Refusal::new(Code::ScopeWidened, format!("`{name}` allows more than that of the mandate above")))
            }
        }
    }
}

/// What a parent does not speak of may be said; what it says must be said no wider.
fn kept<T>(own: &Option<T>, parent: &Option<T>, narrows: impl FnOnce(&T, &T) -> bool) -> bool {
    match (own, parent) {
        (_, None) => true,
        (Some(own), Some(parent)) => narrows(own, parent),
        (None, Some(_)) => false,
    }
}

fn outside(why: String) -> Refusal {
    Refusal::new(Code::ScopeWidened, why)
}

impl std::ops::Deref for Scope {
    type Target = ScopeFields;

    fn deref(&self) -> &ScopeFields {
        &self.0
    }
}

impl Encode for Scope {
    fn encode(&self, writer: &mut Writer) {
        self.0.encode(writer);
    }
}

impl Decode for Scope {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        Self::new(ScopeFields::decode(reader)?)
    }
}
