//! Orders to enrol gateways: what policies read of them.

use super::fixture::*;
use crate::{Facts, decide};
use writ_protocol::action::{Action, Command, Enrolled};
use writ_protocol::entry::{Ascending, AssertedPrincipal, Positive};
use writ_protocol::{Code, Ed25519Key, Key};
use writ_tlog::{Algorithm, SigningKey};

fn enrol(epoch: u64) -> Action {
    let key = SigningKey::from_seed(Algorithm::Ed25519, &[7; 32]).verifying_key();
    let asserted = |kind: &str, id: &str| AssertedPrincipal { kind: name(kind), id: name(id) };
    order(Command::Enrol(Box::new(Enrolled {
        key: Ed25519Key::new(Key::from(key)).unwrap(),
        epoch: Positive::new(epoch).unwrap(),
        groups: Ascending::new([name("process"), name("builders")]),
        asserts: Ascending::new([asserted("Agent", "builder"), asserted("User", "ada")]),
        gateway: name("process/build-7"),
    })))
}

#[test]
fn policies_read_name_groups_names_and_whether_it_is_renewed() {
    for (condition, epoch, holds) in [
        (r#"context.gateway == "process/build-7""#, 1, true),
        (r#"context.gateway like "mesh/*""#, 1, false),
        (r#"["process", "builders"].containsAll(context.groups)"#, 1, true),
        (r#"["process"].containsAll(context.groups)"#, 1, false),
        (r#"context.asserts.containsAll(["Agent::builder", "User::ada"])"#, 1, true),
        (r#"["Agent::builder"].containsAll(context.asserts)"#, 1, false),
        ("context.renews", 1, false),
        ("context.renews", 2, true),
        (r#"context.reason == "drill" && context.depth == 0"#, 1, true),
    ] {
        let text = format!(
            r#"@id("c") permit (principal, action == Action::"enrol", resource == Domain::"this") when {{ {condition} }};"#
        );
        let decision =
            decide(&policies(&text), &enrol(epoch), &Facts { gateway: None, surroundings: vec![], ..facts() });
        if holds {
            permitted(decision);
        } else {
            denied(decision, Code::PolicyDenied);
        }
    }
}

/// What a gateway would execute at is another thing than which one is enrolled.
#[test]
fn a_permit_for_executions_at_a_gateway_is_none_for_enrolling_it() {
    let text = r#"@id("c") permit (principal, action == Action::"exec", resource) when { context.gateway == "process/build-7" };"#;
    denied(decide(&policies(text), &enrol(1), &facts()), Code::PolicyDenied);
}
