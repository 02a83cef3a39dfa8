//! The text of a policy, cut where its conditions are joined: so that each clause is told as it was written, with its place.

use crate::clause::Clause;
use crate::error::place;
use crate::scan::{Kind, Token, tokens};
use std::ops::Range;

/// A policy's text in its parts.
pub(super) struct Split {
    /// The three parts of the scope.
    pub(super) scope: [String; 3],
    pub(super) conditions: Vec<Written>,
}

/// One `when` or `unless`.
pub(super) struct Written {
    /// Whether it must not hold.
    pub(super) unless: bool,
    pub(super) tree: Tree,
}

/// How clauses are joined.
pub(super) enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
    One(Piece),
}

/// A clause as it was written.
pub(super) struct Piece {
    pub(super) text: String,
    /// Its line in the file.
    pub(super) line: usize,
}

/// Cuts a policy that compiled. What cannot be cut stays whole: that is always right, if less telling.
pub(super) fn split(clause: &Clause) -> Split {
    let cut = Cut { clause, tokens: tokens(&clause.text) };
    let mut split = Split { scope: Default::default(), conditions: Vec::new() };
    let mut at = 0;
    while at < cut.tokens.len() {
        let next = cut.closing(at + 1);
        match (cut.text(at), next) {
            // An annotation's own brackets are not the scope's.
            ("@", _) => at = cut.closing(at + 2).map_or(at + 2, |end| end + 1),
            ("permit" | "forbid", Some(end)) => {
                split.scope = cut.scope(at + 2..end);
                at = end + 1;
            }
            (word @ ("when" | "unless"), Some(end)) => {
                split.conditions.push(Written { unless: word == "unless", tree: cut.tree(at + 2..end) });
                at = end + 1;
            }
            (_, _) => at += 1,
        }
    }
    split
}

struct Cut<'a> {
    clause: &'a Clause,
    tokens: Vec<Token>,
}

impl<'a> Cut<'a> {
    fn text(&self, at: usize) -> &'a str {
        let token = self.tokens.get(at).filter(|token| token.kind != Kind::Text);
        token.and_then(|token| self.clause.text.get(token.span.clone())).unwrap_or_default()
    }

    /// Where the bracket that opens here is closed.
    fn closing(&self, at: usize) -> Option<usize> {
        if !is_opening(self.text(at)) {
            return None;
        }
        let mut depth = 0usize;
        for end in at..self.tokens.len() {
            let text = self.text(end);
            depth += usize::from(is_opening(text));
            if matches!(text, ")" | "]" | "}") {
                depth -= 1;
                if depth == 0 {
                    return Some(end);
                }
            }
        }
        None
    }

    /// The tokens of a range that stand in no bracket of it.
    fn outermost(&self, range: Range<usize>) -> Vec<usize> {
        let (mut found, mut at) = (Vec::new(), range.start);
        while at < range.end {
            found.push(at);
            at = self.closing(at).map_or(at, |end| end) + 1;
        }
        found
    }

    /// The parts between these words, if there is one of them at all.
    fn parts(&self, range: &Range<usize>, outermost: &[usize], word: &str) -> Option<Vec<Range<usize>>> {
        let cuts: Vec<usize> = outermost.iter().copied().filter(|at| self.text(*at) == word).collect();
        if cuts.is_empty() {
            return None;
        }
        let starts = std::iter::once(range.start).chain(cuts.iter().map(|cut| cut + 1));
        let ends = cuts.iter().copied().chain(std::iter::once(range.end));
        Some(starts.zip(ends).map(|(start, end)| start..end).collect())
    }

    fn tree(&self, range: Range<usize>) -> Tree {
        let outermost = self.outermost(range.clone());
        // `if` reaches as far to the right as it can, so nothing beside it is cut.
        if outermost.iter().any(|at| self.text(*at) == "if") {
            return Tree::One(self.piece(range));
        }
        let each = |parts: Vec<Range<usize>>| parts.into_iter().map(|part| self.tree(part)).collect();
        if let Some(parts) = self.parts(&range, &outermost, "||") {
            return Tree::Any(each(parts));
        }
        if let Some(parts) = self.parts(&range, &outermost, "&&") {
            return Tree::All(each(parts));
        }
        match (self.text(range.start), self.enclosed(range.start..range.end), self.enclosed(range.start + 1..range.end))
        {
            ("(", Some(inner), _) => self.tree(inner),
            ("!", _, Some(inner)) => Tree::Not(Box::new(self.tree(inner))),
            (_, _, _) => Tree::One(self.piece(range)),
        }
    }

    /// What one pair of parentheses encloses, where the range is nothing else.
    fn enclosed(&self, range: Range<usize>) -> Option<Range<usize>> {
        let whole = self.text(range.start) == "(" && self.closing(range.start)? + 1 == range.end;
        whole.then(|| range.start + 1..range.end - 1)
    }

    fn piece(&self, range: Range<usize>) -> Piece {
        let first = self.tokens.get(range.start).map_or(0, |token| token.span.start);
        let last = range.end.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(first, |token| token.span.end);
        let text = self.clause.text.get(first..last.max(first)).unwrap_or_default();
        Piece { text: text.to_owned(), line: self.clause.line + place(&self.clause.text, first).0 - 1 }
    }

    fn scope(&self, range: Range<usize>) -> [String; 3] {
        let outermost = self.outermost(range.clone());
        let parts = self.parts(&range, &outermost, ",").unwrap_or_default();
        let mut texts = parts.into_iter().map(|part| self.piece(part).text);
        std::array::from_fn(|_| texts.next().unwrap_or_default())
    }
}

fn is_opening(text: &str) -> bool {
    matches!(text, "(" | "[" | "{")
}
