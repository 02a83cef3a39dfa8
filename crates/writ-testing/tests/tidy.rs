//! The house rules, as tests. Each rule is one test; what it prints says what to do.
//!
//! A rule returns the list of its offences, so that the scanners below it can be shown
//! to find something: each module ends with samples that must fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "tidy/crates.rs"]
mod crates;
#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/layout.rs"]
mod layout;
#[path = "tidy/metadata.rs"]
mod metadata;
#[path = "tidy/refusals.rs"]
mod refusals;
#[path = "tidy/repository.rs"]
mod repository;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/spec.rs"]
mod spec;

use metadata::Workspace;
use repository::Repository;

/// Fails with every offence and the one thing to do about them.
#[track_caller]
fn hold(advice: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "\n{} to put right:\n  {}\n\n{advice}\n", offences.len(), offences.join("\n  "));
}

// Crates: direction, purity, unsafe.

#[test]
fn crates_depend_only_in_the_allowed_direction() {
    hold(
        "The allowed edges are EDGES in tests/tidy/crates.rs, drawn in ARCHITECTURE.md. \
         A new crate gets a row there; a new edge needs a decision record.",
        crates::forbidden_edges(Workspace::main()),
    );
}

#[test]
fn gateways_cannot_reach_what_authorizes() {
    hold(
        "Invariant 11: who enforces cannot authorize. Ask through writ-client instead.",
        crates::gateways_that_reach_authority(Workspace::main()),
    );
}

#[test]
fn pure_crates_do_not_depend_on_runtimes_storage_or_randomness() {
    hold(
        "Pure crates take bytes and `now` as arguments. Move the I/O to the caller.",
        crates::impure_dependencies(Workspace::main()),
    );
}

#[test]
fn pure_crates_do_not_touch_the_outside() {
    hold(
        "Pure crates take bytes and `now` as arguments. Move the I/O to the caller.",
        crates::impure_sources(Repository::this()),
    );
}

#[test]
fn only_the_process_gateway_is_unsafe() {
    hold(
        "Only writ-gateway-process may hold unsafe code, each block with its SAFETY comment.",
        crates::unsafe_sources(Repository::this()),
    );
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    hold(
        "Add `[lints]` with `workspace = true` to the crate's Cargo.toml.",
        crates::without_workspace_lints(Repository::this()),
    );
}

#[test]
fn every_crate_opens_with_its_purpose() {
    hold(
        "Open lib.rs or main.rs with `//!`: what the crate is for, what it must never know.",
        crates::without_opening_docs(Repository::this()),
    );
}

// Layout: files, functions, names.

#[test]
fn files_are_short() {
    hold(
        "A file says one thing. Split it by what it says, and name the parts for it.",
        layout::long_files(Repository::this()),
    );
}

#[test]
fn functions_are_short() {
    hold("Cut the function into steps that have names.", layout::long_functions(Repository::this()));
}

#[test]
fn files_are_named_for_what_they_say() {
    hold("Name the file for what is in it.", layout::banned_names(Repository::this()));
}

#[test]
fn no_rust_file_is_forgotten_by_the_compiler() {
    hold(
        "Declare it with `mod`, or delete it. Keep autotests and autobins on.",
        layout::forgotten_files(Repository::this(), Workspace::main()),
    );
}

#[test]
fn nothing_is_left_to_do_in_the_text() {
    hold("Do it, or write an issue and delete the mark.", layout::leftovers(Repository::this()));
}

#[test]
fn white_space_is_clean() {
    hold(
        "No tab, no trailing white space, one newline at the end (.rs and .md).",
        layout::stray_white_space(Repository::this()),
    );
}

#[test]
fn nothing_names_a_machine_or_a_registry() {
    hold(
        "The repository is the same everywhere: no path of one machine, no registry's host.",
        layout::machine_names(Repository::this()),
    );
}

// Specification: codes, vectors.

#[test]
fn refusal_codes_are_the_same_in_source_and_specification() {
    hold(
        "Keep crates/writ-protocol/src/refusal.rs (`Code::as_str`) and the tables of \
         spec/refusals.md equal.",
        spec::differing_codes(Repository::this()),
    );
}

#[test]
fn every_refusal_is_provoked_at_every_gateway() {
    hold(
        "docs/reference/refusal-matrix.md has one row for each code: the test that provokes it and what is \
         recorded, or `cannot occur` and why.",
        refusals::unprovoked(Repository::this()),
    );
}

#[test]
fn every_format_has_vectors_that_pass_and_that_are_refused() {
    hold(
        "A page of spec/ that describes a format has the line `Vectors: vectors/NAME/`, and that \
         directory has at least one case to accept and one to refuse. See vectors/README.md.",
        spec::missing_vectors(Repository::this()),
    );
}

#[test]
fn every_vector_declares_one_result() {
    hold("See vectors/README.md for the form of a case.", spec::malformed_vectors(Repository::this()));
}

// Documents: links, commands, decisions.

#[test]
fn links_between_documents_resolve() {
    hold("Mend the link, or write the page.", documents::broken_links(Repository::this()));
}

#[test]
fn every_make_command_in_a_document_exists() {
    hold(
        "The Makefile is the only list of commands: add the target or correct the page.",
        documents::unknown_make_targets(Repository::this()),
    );
}

#[test]
fn decisions_are_numbered_without_gaps() {
    hold(
        "Name it docs/decisions/NNNN-what-was-decided.md, with the next free number from 0001.",
        documents::misnumbered_decisions(Repository::this()),
    );
}

// Dependencies: reasons, licences, duplicates, source.

#[test]
fn every_dependency_has_its_reason() {
    hold(
        "Each dependency has a row in docs/dependencies.md, and each row a dependency.",
        dependencies::without_reason(Repository::this()),
    );
}

#[test]
fn every_licence_is_allowed() {
    hold(
        "Choose another crate, or add the licence to deny.toml with a reason.",
        dependencies::forbidden_licences(Repository::this(), Workspace::main()),
    );
}

#[test]
fn no_crate_is_built_in_two_versions() {
    hold(
        "Choose versions that agree, or add a skip with its reason to deny.toml.",
        dependencies::duplicates(Repository::this(), Workspace::main()),
    );
}

#[test]
fn crates_come_from_the_default_registry_only() {
    hold("No git dependency, no other registry.", dependencies::foreign_sources(Repository::this()));
}
