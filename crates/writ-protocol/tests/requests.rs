//! Actions, requests and presentations: read as they were written, in one encoding, and refused when anything does not fit.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use writ_protocol::action::{
    Action, ActionKind, Command, CommitmentKind, Exec, ExecFields, Interpreter, Order, Stdin, Variables,
};
use writ_protocol::cbor::{Decode, Encode, Value};
use writ_protocol::entry::{Admitted, Audience, Draw, Draws, Positive, PrincipalRef, Tally, TallyFields, Target};
use writ_protocol::order::{Lookup, NoRecords, Records};
use writ_protocol::statement::{
    Ask, Authorize, Component, Presentation, Request, Shadowing, Signed, surroundings_digest,
};
use writ_protocol::{Code, Ed25519Key, ExecutionId, Fingerprint, Key, Label, Name, RequestKey};
use writ_tlog::{Algorithm, Hash, Origin, SigningKey, sha256};

fn origin() -> Origin {
    Origin::new("writ.example/ledger/demo").unwrap()
}

fn key(label: &str) -> (SigningKey, Ed25519Key) {
    let secret = SigningKey::from_seed(Algorithm::Ed25519, sha256(label.as_bytes()).as_bytes());
    let public = Ed25519Key::new(Key::from(secret.verifying_key())).unwrap();
    (secret, public)
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes)
}

fn without_zero() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(1u8..=255, 0..20)
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    without_zero().prop_map(|rest| [b"/".as_slice(), &rest].concat())
}

fn variables() -> impl Strategy<Value = Variables> {
    let name = proptest::collection::vec((1u8..=255).prop_filter("no `=`", |byte| *byte != b'='), 1..6);
    proptest::collection::btree_map(name, without_zero(), 0..6).prop_map(|pairs| {
        Variables::new(pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))).unwrap()
    })
}

fn exec() -> impl Strategy<Value = Action> {
    let stdin = proptest::sample::select(vec![Stdin::Null, Stdin::Pipe, Stdin::File, Stdin::Tty, Stdin::Socket]);
    let interpreter = (path(), hash()).prop_map(|(path, digest)| Interpreter { path, digest });
    let argv = proptest::collection::vec(without_zero(), 1..5);
    (path(), argv, path(), variables(), stdin, hash(), proptest::option::of(interpreter)).prop_map(
        |(cwd, argv, path, variables, stdin, executable, interpreter)| {
            let fields = ExecFields { cwd, argv, path, variables, stdin, executable, interpreter };
            Action::Exec(Exec::new(fields).unwrap())
        },
    )
}

fn name() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9._/:@-]{1,128}".prop_map(|name| Name::new(&name).unwrap())
}

fn label() -> impl Strategy<Value = Label> {
    "[a-z0-9._-]{1,64}".prop_map(|label| Label::new(&label).unwrap())
}

fn order() -> impl Strategy<Value = Action> {
    let target = prop_oneof![
        hash().prop_map(Target::Writ),
        hash().prop_map(|digest| Target::Key(Fingerprint(digest))),
        hash().prop_map(Target::Policy),
        hash().prop_map(|entry| Target::Lineage { ledger: origin(), entry }),
        name().prop_map(Target::Gateway),
    ];
    let command = prop_oneof![Just(Command::Halt), target.prop_map(Command::Revoke)];
    (command, label()).prop_map(|(command, reason)| Action::Order(Order { command, reason }))
}

fn ask() -> impl Strategy<Value = (Action, Ask)> {
    let gateway = (name(), 1u64..).prop_map(|(gateway, epoch)| {
        let epoch = Positive::new(epoch).unwrap();
        Audience::Gateway { gateway, epoch }
    });
    let admitted = (any::<[u8; 16]>(), hash())
        .prop_map(|(execution, nonce)| Admitted { nonce, execution: ExecutionId::from_bytes(execution) });
    let audience = prop_oneof![
        (gateway, proptest::option::of(admitted)),
        name().prop_map(|group| (Audience::Group(group), None)),
    ];
    let surroundings = proptest::collection::btree_map("[a-z0-9._-]{1,64}", ".{0,20}", 0..6).prop_map(|pairs| {
        let component = |(name, value): (String, String)| Component { name: Label::new(&name).unwrap(), value };
        pairs.into_iter().map(component).collect::<Vec<_>>()
    });
    let shadow = (exec(), name(), surroundings.clone()).prop_map(|(action, gateway, surroundings)| {
        (action, Ask::Shadow(Shadowing { gateway, mandate: None, surroundings }))
    });
    let authorize =
        (prop_oneof![exec(), order()], audience, surroundings).prop_map(|(action, (audience, admit), surroundings)| {
            let holder = key("holder").1;
            (action, Ask::Authorize(Authorize { mandate: None, hold: None, admit, holder, audience, surroundings }))
        });
    prop_oneof![authorize, shadow, order().prop_map(|action| (action, Ask::Order))]
}

fn request() -> impl Strategy<Value = Request> {
    let principal = (name(), name()).prop_map(|(kind, id)| PrincipalRef { id, kind });
    (ask(), any::<[u8; 16]>(), any::<[u8; 32]>(), any::<[u8; 32]>(), any::<u64>(), proptest::option::of(principal))
        .prop_map(|((action, ask), key, salt, action_salt, time_ms, principal)| Request {
            key: RequestKey::from_bytes(key),
            salt,
            time_ms,
            principal,
            action_salt,
            action: action.encode().unwrap(),
            ask,
        })
}

fn presentation() -> impl Strategy<Value = Presentation> {
    (hash(), 1u64.., any::<[u8; 32]>(), hash(), name(), any::<u64>()).prop_map(
        |(writ, epoch, nonce, action, gateway, time_ms)| {
            let epoch = Positive::new(epoch).unwrap();
            Presentation { writ, epoch, nonce, action, gateway, time_ms }
        },
    )
}

proptest! {
    #[test]
    fn an_action_is_read_as_it_was_written(action in prop_oneof![exec(), order()]) {
        let bytes = action.encode().unwrap();
        prop_assert_eq!(&Action::decode(&bytes).unwrap(), &action);
        prop_assert_eq!(Action::decode(&bytes).unwrap().encode().unwrap(), bytes);
    }

    #[test]
    fn an_action_has_one_encoding_whatever_bit_is_changed(
        action in prop_oneof![exec(), order()], place in any::<prop::sample::Index>(), bit in 0u8..8
    ) {
        let mut bytes = action.encode().unwrap();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Action::decode(&bytes) {
            prop_assert_eq!(other.encode().unwrap(), bytes);
            prop_assert_ne!(other, action);
        }
    }

    #[test]
    fn a_request_is_read_as_it_was_written_signed_or_not(request in request()) {
        let (secret, public) = key("principal");
        let payload = request.payload(&origin());
        prop_assert_eq!(&Request::read(&payload, &origin()).unwrap(), &request);
        let signed = request.sign(&origin(), &secret);
        let signed = Signed::decode(&signed).unwrap();
        prop_assert_eq!(&signed.verify_request(&public, &origin()).unwrap(), &request);
        prop_assert_eq!(signed.signer().unwrap(), public.key().fingerprint());
        let (action, opening) = request.action().unwrap();
        prop_assert_eq!(opening.kind, CommitmentKind::Action);
        prop_assert_eq!(action.encode().unwrap(), opening.value);
    }

    #[test]
    fn a_request_is_of_one_signer_one_ledger_and_one_use(request in request()) {
        let (secret, public) = key("principal");
        let stranger = key("stranger").1;
        let elsewhere = Origin::new("writ.example/ledger/other").unwrap();
        let bytes = request.sign(&origin(), &secret);
        let signed = Signed::decode(&bytes).unwrap();
        prop_assert_eq!(signed.verify_request(&stranger, &origin()).unwrap_err().code(), Code::UnknownAuthority);
        prop_assert_eq!(signed.verify_request(&public, &elsewhere).unwrap_err().code(), Code::UnknownAuthority);
        prop_assert_eq!(signed.verify_presentation(&public, &origin()).unwrap_err().code(), Code::Malformed);
        prop_assert_eq!(signed.verify_gateway(&public, &origin()).unwrap_err().code(), Code::Malformed);
        prop_assert_eq!(signed.root_claims(&origin()).unwrap_err().code(), Code::Malformed);
    }

    #[test]
    fn a_signed_request_bears_no_changed_bit(
        request in request(), place in any::<prop::sample::Index>(), bit in 0u8..8
    ) {
        let (secret, public) = key("principal");
        let mut bytes = request.sign(&origin(), &secret);
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Signed::decode(&bytes).and_then(|signed| signed.verify_request(&public, &origin())).is_err());
    }

    #[test]
    fn a_presentation_is_read_as_it_was_written_and_by_its_holder_only(presented in presentation()) {
        let ((secret, public), stranger) = (key("holder"), key("stranger").1);
        let bytes = presented.sign(&origin(), &secret);
        let signed = Signed::decode(&bytes).unwrap();
        prop_assert_eq!(&signed.verify_presentation(&public, &origin()).unwrap(), &presented);
        prop_assert_eq!(signed.verify_presentation(&stranger, &origin()).unwrap_err().code(), Code::UnknownAuthority);
        prop_assert_eq!(signed.verify_request(&public, &origin()).unwrap_err().code(), Code::Malformed);
        let stolen = presented.sign(&origin(), &key("stranger").0);
        let stolen = Signed::decode(&stolen).unwrap();
        prop_assert_eq!(stolen.verify_presentation(&public, &origin()).unwrap_err().code(), Code::UnknownAuthority);
    }
}

fn plain() -> ExecFields {
    ExecFields {
        cwd: b"/".to_vec(),
        argv: vec![b"sh".to_vec()],
        path: b"/bin/sh".to_vec(),
        variables: Variables::new([]).unwrap(),
        stdin: Stdin::Null,
        executable: sha256(b"sh"),
        interpreter: None,
    }
}

#[test]
fn an_execution_that_the_kernel_would_not_accept_is_not_made() {
    let interpreter = |path: &[u8]| Some(Interpreter { path: path.to_vec(), digest: sha256(b"sh") });
    assert!(Exec::new(plain()).is_ok());
    for (what, fields) in [
        ("no argv[0]", ExecFields { argv: vec![], ..plain() }),
        ("a zero byte in argv", ExecFields { argv: vec![b"a\0".to_vec()], ..plain() }),
        ("a relative path", ExecFields { path: b"bin/sh".to_vec(), ..plain() }),
        ("an empty path", ExecFields { path: vec![], ..plain() }),
        ("a zero byte in the path", ExecFields { path: b"/a\0".to_vec(), ..plain() }),
        ("a relative cwd", ExecFields { cwd: b"srv".to_vec(), ..plain() }),
        ("a zero byte in cwd", ExecFields { cwd: b"/a\0".to_vec(), ..plain() }),
        ("a relative interpreter", ExecFields { interpreter: interpreter(b"bash"), ..plain() }),
        ("a zero byte in the interpreter", ExecFields { interpreter: interpreter(b"/a\0"), ..plain() }),
    ] {
        assert!(Exec::new(fields).is_err(), "{what}");
    }
}

#[test]
fn variables_are_named_in_order_whatever_their_order() {
    let pairs: [(&[u8], &[u8]); 3] = [(b"B", b"2"), (b"AA", b"1"), (b"C", b"")];
    let mut reversed = pairs;
    reversed.reverse();
    let variables = Variables::new(pairs).unwrap();
    assert_eq!(variables, Variables::new(reversed).unwrap());
    assert_eq!(variables.names(), [b"AA".to_vec(), b"B".to_vec(), b"C".to_vec()]);
    let other: [(&[u8], &[u8]); 3] = [(b"B", b"2"), (b"AA", b"other"), (b"C", b"")];
    assert_ne!(variables.digest(), Variables::new(other).unwrap().digest());
    for wrong in [(b"".as_slice(), b"".as_slice()), (b"A=", b""), (b"A\0", b""), (b"A", b"\0"), (b"B", b"3")] {
        assert!(Variables::new([wrong, (b"B", b"2")]).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_request_is_for_an_action_that_can_be_decided() {
    let halt = Action::Order(Order { command: Command::Halt, reason: Label::new("drill").unwrap() });
    let exec = Action::Exec(Exec::new(plain()).unwrap());
    assert_eq!((halt.kind(), exec.kind()), (ActionKind::Order, ActionKind::Exec));
    let request = |action: Vec<u8>| Request {
        key: RequestKey::from_bytes([1; 16]),
        salt: [2; 32],
        time_ms: 3,
        principal: None,
        action_salt: [4; 32],
        action,
        ask: Ask::Order,
    };
    let read = |request: Request| Request::read(&request.payload(&origin()), &origin());
    assert!(read(request(halt.encode().unwrap())).is_ok());
    let execution = read(request(exec.encode().unwrap())).unwrap_err();
    assert_eq!(execution.code(), Code::Malformed);
    assert_eq!(read(request(b"rm -r /".to_vec())).unwrap_err().code(), Code::Malformed);
    let Value::Array(mut parts) = Value::from_cbor(&halt.encode().unwrap()).unwrap() else { panic!("an array") };
    parts[2] = Value::Uint(2);
    let newer = read(request(Value::Array(parts).to_cbor())).unwrap_err();
    assert_eq!(newer.code(), Code::UnsupportedVersion);
}

#[test]
fn only_a_gateway_can_be_asked_to_begin_at_once() {
    let ask = |audience| Authorize {
        mandate: None,
        hold: None,
        admit: Some(Admitted { nonce: sha256(b"nonce"), execution: ExecutionId::from_bytes([1; 16]) }),
        holder: key("holder").1,
        audience,
        surroundings: vec![],
    };
    let request = |audience| Request {
        key: RequestKey::from_bytes([1; 16]),
        salt: [2; 32],
        time_ms: 3,
        principal: None,
        action_salt: [4; 32],
        action: Action::Exec(Exec::new(plain()).unwrap()).encode().unwrap(),
        ask: Ask::Authorize(ask(audience)),
    };
    let read = |request: Request| Request::read(&request.payload(&origin()), &origin());
    let gateway = Audience::Gateway { gateway: Name::new("gateway-1").unwrap(), epoch: Positive::ONE };
    assert!(read(request(gateway)).is_ok());
    let group = read(request(Audience::Group(Name::new("builders").unwrap()))).unwrap_err();
    assert_eq!(group.code(), Code::Malformed);
}

#[test]
fn surroundings_ascend_and_each_component_stands_once() {
    let component = |name: &str| Component { name: Label::new(name).unwrap(), value: "1".to_owned() };
    let sorted = surroundings_digest(&[component("a"), component("b")]).unwrap();
    assert_ne!(sorted, surroundings_digest(&[component("a")]).unwrap());
    assert!(surroundings_digest(&[component("b"), component("a")]).is_err());
    assert!(surroundings_digest(&[component("a"), component("a")]).is_err());
}

#[test]
fn draws_and_counts_are_at_least_one_and_in_order() {
    let draw = |counter: &str| Draw { limit: Positive::ONE, counter: Name::new(counter).unwrap() };
    assert!(Draws::new(vec![draw("a"), draw("b")]).is_ok());
    assert!(Draws::new(vec![]).is_err());
    assert!(Draws::new(vec![draw("b"), draw("a")]).is_err());
    assert!(Draws::new(vec![draw("a"), draw("a")]).is_err());
    let count = |code| writ_protocol::entry::Count { code, count: Positive::ONE };
    let tally = |counts, from_ms, time_ms| Tally::new(TallyFields { counts, from_ms, time_ms });
    assert!(tally(vec![count(Code::RateLimited), count(Code::Unauthenticated)], 1, 1).is_ok());
    assert!(tally(vec![], 1, 1).is_err());
    assert!(tally(vec![count(Code::Unauthenticated), count(Code::RateLimited)], 1, 1).is_err());
    assert!(tally(vec![count(Code::RateLimited), count(Code::RateLimited)], 1, 1).is_err());
    assert!(tally(vec![count(Code::RateLimited)], 2, 1).is_err());
}

#[test]
fn without_records_nobody_knows_what_was_drawn() {
    let drawn = NoRecords.drawn(&Name::new("calls").unwrap());
    assert!(matches!(drawn, Ok(Lookup::Unknown)));
}
