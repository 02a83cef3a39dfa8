//! What a caller who was refused is told of why (decision 0023): what policy says of the caller's own request, and what that request would have
//! to be. What others may do, and what the domain knows of anybody, stays with those who may read the store.

use crate::answer::{Denied, Shadowed};
use crate::authority::Authority;
use crate::policies::ActiveSet;
use crate::rate::Rate;
use std::sync::Arc;
use writ_policy::{Depth, Effect, Explanation, Facts, Node, Role, explain};
use writ_protocol::action::Action;
use writ_protocol::cbor::Encode;

/// For requests that are larger, nothing is tried: each try costs as much as the request is long, and the caller chose that.
const TRIED_BYTES_MAX: usize = 64 * 1024;

/// What a refusal by policy stood on: enough to say why.
#[derive(Clone, Debug)]
pub struct Basis {
    pub(crate) active: Arc<ActiveSet>,
    pub(crate) action: Action,
    pub(crate) facts: Facts,
}

/// Explaining costs far more than refusing, so a principal that is refused all the time is told why only so often.
pub(crate) const EXPLAINED: Rate = Rate { per_second: 10, burst: 40 };

impl Authority {
    /// The explanation of a refusal for whoever made the request; nothing where policy was not asked, or where this principal has been
    /// told too much lately. The refusal stands either way.
    pub fn explain(&self, denied: &Denied) -> Option<Explanation> {
        self.explained_from(denied.basis.as_ref()?)
    }

    /// Likewise of what would have been refused.
    pub fn explain_shadow(&self, shadowed: &Shadowed) -> Option<Explanation> {
        self.explained_from(shadowed.basis.as_ref()?)
    }

    fn explained_from(&self, basis: &Basis) -> Option<Explanation> {
        self.explained.take(&basis.facts.principal, 0, self.now_ms()).ok()?;
        Some(basis.explain())
    }
}

impl Basis {
    fn explain(&self) -> Explanation {
        let large = self.action.to_cbor().len() > TRIED_BYTES_MAX;
        let depth = if large { Depth { tries_max: 0, ..Depth::ANSWER } } else { Depth::ANSWER };
        for_caller(explain(&self.active.set, &self.action, &self.facts, depth), &self.facts)
    }
}

/// Leaves out what is not the caller's: forbids that merely came near, permits that are for somebody or something else, and every value that
/// is not of the request itself.
fn for_caller(mut told: Explanation, facts: &Facts) -> Explanation {
    told.policies.retain(|told| told.role != Role::Near || told.clause.effect == Effect::Permit);
    (told.near_more, told.elsewhere) = (0, 0);
    told.missed.clear();
    let conditions = told.policies.iter_mut().flat_map(|told| told.conditions.iter_mut());
    conditions.for_each(|condition| hide(&mut condition.tree, facts));
    told
}

fn hide(node: &mut Node, facts: &Facts) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter_mut().for_each(|node| hide(node, facts)),
        Node::Not(node) => hide(node, facts),
        Node::One(part) => {
            for read in &mut part.reads {
                let own = read.attribute.starts_with("context.") || read.attribute == "resource";
                if read.attribute == "principal" {
                    read.value = Some(format!("{}::\"{}\"", facts.principal.kind, facts.principal.id));
                }
                if !own && read.attribute != "principal" {
                    read.value = None;
                }
            }
            // A message of the engine can quote what an entity holds.
            if let writ_policy::Truth::Error(why) = &mut part.truth
                && part.reads.iter().any(|read| !read.attribute.starts_with("context."))
            {
                *why = "it cannot be evaluated; whoever may read the store sees why with `writ replay`".to_owned();
            }
        }
    }
}
