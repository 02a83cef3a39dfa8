//! Entities by the digest of their uid, in a tree that is never changed: a change makes the nodes on its way anew and shares the others.

use std::sync::Arc;
use writ_tlog::{Hash, node_hash, sha256};

/// What stands in a tree.
pub trait Keyed {
    /// Where: the SHA-256 of what it is called.
    fn key(&self) -> &Hash;
    /// The hash of its leaf.
    fn leaf(&self) -> &Hash;
}

/// Keyed values with the root over all of them. A copy costs nothing, and what changes one leaves the others as they are.
#[derive(Debug)]
pub struct EntityTree<V>(Option<Arc<Node<V>>>);

#[derive(Debug)]
enum Node<V> {
    Leaf(Arc<V>),
    Branch { hash: Hash, count: usize, sides: [Option<Arc<Node<V>>>; 2] },
}

impl<V> Clone for EntityTree<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> Default for EntityTree<V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<V: Keyed> EntityTree<V> {
    /// The root: SHA-256 of nothing for none, the leaf for one, else SHA-256 of `0x01`, the root of those whose key has bit 0 at this
    /// depth, and the root of those that have bit 1.
    pub fn root(&self) -> Hash {
        root_of(self.0.as_ref())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        count_of(self.0.as_ref())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What has this key.
    pub fn get(&self, key: &Hash) -> Option<&Arc<V>> {
        let (mut at, mut depth) = (self.0.as_ref()?, 0);
        loop {
            match &**at {
                Node::Leaf(value) => return (value.key() == key).then_some(value),
                Node::Branch { sides, .. } => at = sides.get(side(key, depth))?.as_ref()?,
            }
            depth += 1;
        }
    }

    /// With this value, in place of the one that has its key.
    #[must_use]
    pub fn with(&self, value: Arc<V>) -> Self {
        Self(Some(put(self.0.as_ref(), value, 0)))
    }

    /// Without what has this key.
    #[must_use]
    pub fn without(&self, key: &Hash) -> Self {
        Self(take(self.0.as_ref(), key, 0))
    }

    /// All, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<V>> {
        let mut open: Vec<&Arc<Node<V>>> = self.0.iter().collect();
        std::iter::from_fn(move || {
            loop {
                match &**open.pop()? {
                    Node::Leaf(value) => return Some(value),
                    Node::Branch { sides, .. } => open.extend(sides.iter().rev().flatten()),
                }
            }
        })
    }
}

/// The bit of a key at a depth, the highest first. Two keys that are alike in all bits are the same key, so no depth is beyond them.
fn side(key: &Hash, depth: usize) -> usize {
    let byte = key.as_bytes().get(depth / 8).copied().unwrap_or_default();
    usize::from(byte >> (7 - depth % 8) & 1)
}

fn root_of<V: Keyed>(node: Option<&Arc<Node<V>>>) -> Hash {
    match node.map(|node| &**node) {
        None => sha256(&[]),
        Some(Node::Leaf(value)) => *value.leaf(),
        Some(Node::Branch { hash, .. }) => *hash,
    }
}

fn count_of<V>(node: Option<&Arc<Node<V>>>) -> usize {
    match node.map(|node| &**node) {
        None => 0,
        Some(Node::Leaf(_)) => 1,
        Some(Node::Branch { count, .. }) => *count,
    }
}

fn branch<V: Keyed>(sides: [Option<Arc<Node<V>>>; 2]) -> Arc<Node<V>> {
    let [left, right] = &sides;
    let hash = node_hash(&root_of(left.as_ref()), &root_of(right.as_ref()));
    let count = count_of(left.as_ref()) + count_of(right.as_ref());
    Arc::new(Node::Branch { hash, count, sides })
}

fn put<V: Keyed>(node: Option<&Arc<Node<V>>>, value: Arc<V>, depth: usize) -> Arc<Node<V>> {
    let mut sides = match node.map(|node| &**node) {
        None => return Arc::new(Node::Leaf(value)),
        Some(Node::Leaf(held)) if held.key() == value.key() => return Arc::new(Node::Leaf(value)),
        // One that stood alone goes down until they part.
        Some(Node::Leaf(held)) => {
            let mut sides = [None, None];
            if let (Some(place), Some(node)) = (sides.get_mut(side(held.key(), depth)), node) {
                *place = Some(node.clone());
            }
            sides
        }
        Some(Node::Branch { sides, .. }) => sides.clone(),
    };
    if let Some(place) = sides.get_mut(side(value.key(), depth)) {
        *place = Some(put(place.as_ref(), value, depth + 1));
    }
    branch(sides)
}

fn take<V: Keyed>(node: Option<&Arc<Node<V>>>, key: &Hash, depth: usize) -> Option<Arc<Node<V>>> {
    let node = node?;
    match &**node {
        Node::Leaf(held) => (held.key() != key).then(|| node.clone()),
        Node::Branch { sides, .. } => {
            let mut sides = sides.clone();
            if let Some(place) = sides.get_mut(side(key, depth)) {
                *place = take(place.as_ref(), key, depth + 1);
            }
            match &sides {
                [None, None] => None,
                // One that is left alone comes up again.
                [Some(alone), None] | [None, Some(alone)] if matches!(**alone, Node::Leaf(_)) => Some(alone.clone()),
                [_, _] => Some(branch(sides)),
            }
        }
    }
}
