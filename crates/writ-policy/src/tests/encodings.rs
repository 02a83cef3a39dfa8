use super::fixture::*;
use crate::{Decision, Facts, PolicySet, decide};
use proptest::prelude::*;
use writ_protocol::Code;
use writ_protocol::cbor::{Encode, check};

#[test]
fn facts_read_back() {
    let without = Facts { gateway: None, surroundings: vec![], ..facts() };
    for facts in [facts(), without] {
        assert_eq!(Facts::decode(&facts.to_cbor()).unwrap(), facts);
    }
}

#[test]
fn facts_have_one_encoding() {
    let mut reversed = facts();
    reversed.surroundings.reverse();
    let mut doubled = facts();
    doubled.surroundings = vec![(label("uid"), "a".to_owned()), (label("uid"), "b".to_owned())];
    let mut many = facts();
    many.surroundings = (0..257).map(|n| (label(&format!("l{n:03}")), String::new())).collect();
    for facts in [reversed, doubled, many] {
        assert_eq!(Facts::decode(&facts.to_cbor()).unwrap_err().code(), Code::Malformed);
    }
    let good = facts().to_cbor();
    for end in 0..good.len() {
        assert!(Facts::decode(&good[..end]).is_err());
    }
    assert!(Facts::decode(&[good.as_slice(), &[0]].concat()).is_err());
    assert!(Facts::decode(&vec![0; 2_000_000]).is_err());
}

#[test]
fn decisions_are_deterministic_cbor_and_differ_where_they_differ() {
    let error = r#"@id("x") forbid (principal, action, resource) when { context.depth + 9223372036854775807 > 0 };"#;
    let full = r#"@id("a") @sandbox("strict") @budget("1 per hour") permit (principal, action, resource);"#;
    let mut deeper = facts();
    deeper.depth = 1;
    let decisions: Vec<Decision> = ["", PERMIT_ALL, full, &format!("{PERMIT_ALL}{error}")]
        .map(|text| decide(&policies(text), &exec(&["cargo"]), &deeper))
        .into();
    let mut encodings: Vec<Vec<u8>> = decisions.iter().map(Decision::encode).collect();
    encodings.iter().for_each(|bytes| check(bytes).unwrap());
    encodings.sort();
    encodings.dedup();
    assert_eq!(encodings.len(), 4);
}

proptest! {
    #[test]
    fn what_decodes_as_facts_encodes_to_the_same_bytes(at in 0usize..400, with in any::<u8>()) {
        let mut bytes = facts().to_cbor();
        let length = bytes.len();
        bytes[at % length] = with;
        if let Ok(facts) = Facts::decode(&bytes) {
            prop_assert_eq!(facts.to_cbor(), bytes);
        }
    }
}

#[test]
fn sets_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<PolicySet>();
}
