//! Puts clauses to the engine, and joins what it says as the engine joins them.

use super::reads::reads;
use super::split::{Piece, Tree, split};
use super::{Condition, Node, Part, Role, Told, Truth};
use crate::compile::short;
use crate::policy_set::{Compiled, PolicySet};
use crate::request::Question;
use cedar_policy::{EvalResult, Expression, eval_expression};
use std::str::FromStr;
use writ_protocol::Name;

/// What clauses are held against.
pub(super) struct Judge<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) question: &'a Question,
}

impl Judge<'_> {
    /// A policy whose scope covers the request. Its role is given later.
    pub(super) fn tell(&self, id: &Name, policy: &Compiled) -> Told {
        let clause = &policy.clause;
        let parts = split(&policy.as_evaluated());
        let (mut truth, mut conditions) = (Truth::Holds, Vec::new());
        for written in parts.conditions {
            // The engine stops at the first condition that is not met, or fails.
            let reached = truth == Truth::Holds;
            let (tree, inside) = self.node(written.tree, reached);
            if reached {
                truth = if written.unless { inside.clone().not() } else { inside.clone() };
            }
            conditions.push(Condition { unless: written.unless, truth: inside, reached, tree });
        }
        Told { id: id.clone(), clause: clause.clone(), role: Role::Near, truth, scope: parts.scope, conditions }
    }

    fn node(&self, tree: Tree, reached: bool) -> (Node, Truth) {
        match tree {
            Tree::All(trees) => {
                let (nodes, truth) = self.joined(trees, reached, Truth::Holds);
                (Node::All(nodes), truth)
            }
            Tree::Any(trees) => {
                let (nodes, truth) = self.joined(trees, reached, Truth::Fails);
                (Node::Any(nodes), truth)
            }
            Tree::Not(tree) => {
                let (node, truth) = self.node(*tree, reached);
                (Node::Not(Box::new(node)), truth.not())
            }
            Tree::One(piece) => {
                let part = self.part(piece, reached);
                let truth = part.truth.clone();
                (Node::One(part), truth)
            }
        }
    }

    /// From left to right, as long as each is `going_on`; the first that is not is the answer.
    fn joined(&self, trees: Vec<Tree>, reached: bool, going_on: Truth) -> (Vec<Node>, Truth) {
        let mut answer = going_on.clone();
        let nodes = trees.into_iter().map(|tree| {
            let is_asked = answer == going_on;
            let (node, truth) = self.node(tree, reached && is_asked);
            if is_asked {
                answer = truth;
            }
            node
        });
        let nodes = nodes.collect();
        (nodes, answer)
    }

    fn part(&self, piece: Piece, reached: bool) -> Part {
        let truth = match self.value(&piece.text) {
            Ok(EvalResult::Bool(true)) => Truth::Holds,
            Ok(EvalResult::Bool(false)) => Truth::Fails,
            Ok(_) => Truth::Error("it is neither true nor false".to_owned()),
            Err(why) => Truth::Error(why),
        };
        let reads = reads(&piece.text, self);
        Part { truth, reached, reads, text: piece.text, line: piece.line }
    }

    /// What an expression comes to for this question.
    pub(super) fn value(&self, text: &str) -> Result<EvalResult, String> {
        let expression = Expression::from_str(text).map_err(|error| short(&error.to_string()))?;
        eval_expression(&self.question.request, &self.question.entities, &expression)
            .map_err(|error| short(&error.to_string()))
    }

    /// Of whom or what the principal is a member, of the groups that policies may name.
    pub(super) fn groups(&self) -> Vec<String> {
        let principal = self.question.request.principal();
        let ancestors = principal.map(|uid| self.set.store.ancestors(uid)).unwrap_or_default();
        let mut groups: Vec<String> = ancestors.iter().map(ToString::to_string).collect();
        groups.sort();
        groups
    }
}
