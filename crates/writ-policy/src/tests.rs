//! What the engine would let pass, and what we make of it.

mod advice;
mod approvals;
mod encodings;
mod enrolments;
mod entities;
mod examples;
mod explain;
mod fixture;
mod fixtures;
mod gates;
mod identities;
mod index;
mod index_at_large;
mod inputs;
mod learn;
mod mandates;
mod refusals;
mod semantics;
mod snapshot;
mod terms;
mod text;
mod values;
mod vectors;
