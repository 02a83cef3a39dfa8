use super::BASE_MS;
use super::case::{Case, Maker, hex};
use super::mutation::{Structure, array, bytes, flipped, map, text};
use crate::scenario::{Domain, ORIGIN, digest};
use serde_json::{Value, json};
use writ_protocol::Code::{self, CommitmentMismatch, Malformed, UnsupportedVersion};
use writ_protocol::action::{
    Action, Command, CommitmentKind, Enrolled, Exec, ExecFields, Given, Held, Interpreter, Opening, Order, Stdin,
    Variables,
};
use writ_protocol::cbor::{Encode, Value as Item};
use writ_protocol::entry::{Ascending, Enrolment, EntryRef, Erased, Target, Verdict};
use writ_protocol::{Fingerprint, Label, Name};
use writ_tlog::Origin;

pub(super) fn cases() -> Vec<Case> {
    let orders = [orders(), order_faults(), erasures(), enrolments()].concat();
    [actions(), action_faults(), path_faults(), orders, variables(), openings()].concat()
}

fn exec(argv: &[&[u8]], cwd: &[u8], stdin: Stdin) -> Vec<u8> {
    let argv = argv.iter().map(|argument| argument.to_vec()).collect();
    made(ExecFields { argv, cwd: cwd.to_vec(), stdin, ..plain() })
}

fn made(fields: ExecFields) -> Vec<u8> {
    Action::Exec(Exec::new(fields).unwrap()).encode().unwrap()
}

fn plain() -> ExecFields {
    let variables: [(&[u8], &[u8]); 2] = [(b"LANG", b"C.UTF-8"), (b"PATH", b"/usr/bin")];
    ExecFields {
        cwd: b"/srv/build".to_vec(),
        argv: vec![b"/usr/bin/make".to_vec()],
        path: b"/usr/bin/make".to_vec(),
        variables: Variables::new(variables).unwrap(),
        stdin: Stdin::Null,
        executable: digest("executable"),
        interpreter: None,
    }
}

/// A script, and what interprets it.
fn script() -> Vec<u8> {
    let interpreter = Interpreter { path: b"/usr/bin/bash".to_vec(), digest: digest("interpreter") };
    made(ExecFields { path: b"/srv/build/test.sh".to_vec(), interpreter: Some(interpreter), ..plain() })
}

fn simple() -> Vec<u8> {
    exec(&[b"/usr/bin/make", b"test"], b"/srv/build", Stdin::Null)
}

fn actions() -> Vec<Case> {
    let mut maker = Maker::new("action", "action");
    let mut good = |name: &str, about: &str, action: &[u8]| {
        maker.accept(name, about, json!({ "hex": hex(action) }), json!({ "kind": "exec" }));
    };
    good("exec", "An execution.", &simple());
    good("argv_not_utf8", "Arguments are bytes, UTF-8 or not.", &exec(&[b"/bin/echo", b"\xff\xfe"], b"/", Stdin::Null));
    good("argv_empty_argument", "An argument may be empty.", &exec(&[b"", b""], b"/", Stdin::Null));
    good(
        "argv_300",
        "More arguments than other arrays have elements.",
        &exec(&[b"a".as_slice(); 300], b"/", Stdin::Null),
    );
    good("cwd_root", "The shortest working directory.", &exec(&[b"a"], b"/", Stdin::Null));
    good("cwd_not_utf8", "The working directory is bytes.", &exec(&[b"a"], b"/\xff", Stdin::Null));
    for (name, stdin) in [("pipe", Stdin::Pipe), ("file", Stdin::File), ("tty", Stdin::Tty), ("socket", Stdin::Socket)]
    {
        good(&format!("stdin_{name}"), "Another standard input.", &exec(&[b"a"], b"/", stdin));
    }
    good("interpreter", "A script, with what interprets it.", &script());
    good("path_root", "The shortest path.", &made(ExecFields { path: b"/".to_vec(), ..plain() }));
    good("path_not_utf8", "The path is bytes.", &made(ExecFields { path: b"/\xff".to_vec(), ..plain() }));
    good(
        "path_not_argv_0",
        "The file that is asked for is not what argv[0] says.",
        &made(ExecFields { path: b"/usr/bin/busybox".to_vec(), ..plain() }),
    );
    let with = |variables: Pairs<'_>| {
        made(ExecFields { variables: Variables::new(variables.iter().copied()).unwrap(), ..plain() })
    };
    good("names_none", "No variable is passed.", &with(&[]));
    good(
        "names_longer_first",
        "Names ascend by their bytes, not by their length, and are bytes.",
        &with(&[(b"AA", b""), (b"B", b""), (b"\xff", b"")]),
    );
    let many: Vec<Vec<u8>> = (0..300).map(|number| format!("V{number:03}").into_bytes()).collect();
    let many: Vec<(&[u8], &[u8])> = many.iter().map(|name| (name.as_slice(), b"".as_slice())).collect();
    good("names_300", "More variables than other arrays have elements.", &with(&many));
    let unrelated = Structure::of(&simple()).set("3/variables", bytes(&[7; 32])).bytes();
    good("names_without_their_digest", "Names and digest cannot be compared by a reader.", &unrelated);
    maker.done()
}

fn path_faults() -> Vec<Case> {
    let mut maker = Maker::new("action", "action");
    let mut bad = |name: &str, about: &str, action: Structure| {
        maker.refuse(name, about, json!({ "hex": hex(&action.bytes()) }), Malformed);
    };
    let (good, script) = (|| Structure::of(&simple()), || Structure::of(&script()));
    for (field, at, of) in
        [("path", "3/path", &good as &dyn Fn() -> Structure), ("interpreter_path", "3/interpreter/path", &script)]
    {
        bad(&format!("{field}_relative"), "A relative path.", of().set(at, bytes(b"bin/make")));
        bad(&format!("{field}_empty"), "An empty path.", of().set(at, bytes(b"")));
        bad(&format!("{field}_zero_byte"), "A path with a zero byte.", of().set(at, bytes(b"/bin\0")));
        bad(&format!("{field}_text"), "A path as text.", of().set(at, text("/bin/make")));
        bad(&format!("{field}_missing"), "A path is missing.", of().remove(at));
    }
    bad("interpreter_without_digest", "An interpreter of no digest.", script().remove("3/interpreter/digest"));
    bad("interpreter_digest_short", "A digest of 31 bytes.", script().set("3/interpreter/digest", bytes(&[1; 31])));
    bad("interpreter_null", "An optional field is absent, never null.", script().set("3/interpreter", Item::Null));
    bad(
        "interpreter_unknown_field",
        "An interpreter with a field that there is not.",
        script().add("3/interpreter", "argv", array([])),
    );
    let names = |names: &[&[u8]]| good().set("3/names", array(names.iter().map(|name| bytes(name))));
    bad("names_missing", "The names of the variables are missing.", good().remove("3/names"));
    bad("names_unsorted", "Names that do not ascend.", names(&[b"PATH", b"LANG"]));
    bad("names_by_length", "Names that ascend by length first.", names(&[b"B", b"AA"]));
    bad("names_twice", "One name twice.", names(&[b"LANG", b"LANG"]));
    bad("names_empty", "An empty name.", names(&[b""]));
    bad("names_with_equals", "A name with `=`.", names(&[b"A=B"]));
    bad("names_with_zero", "A name with a zero byte.", names(&[b"A\0"]));
    bad("names_text", "A name as text.", good().set("3/names", array([text("LANG")])));
    maker.done()
}

fn order(command: Command) -> Vec<u8> {
    Action::Order(Order { command, reason: Label::new("compromised").unwrap() }).encode().unwrap()
}

fn revoke_gateway() -> Vec<u8> {
    order(Command::Revoke(Target::Gateway(Name::new("gateway-1").unwrap())))
}

fn orders() -> Vec<Case> {
    let mut maker = Maker::new("action", "action");
    let mut good = |name: &str, about: &str, action: &[u8]| {
        maker.accept(name, about, json!({ "hex": hex(action) }), json!({ "kind": "order" }));
    };
    good("order_halt", "An order to stop everything.", &order(Command::Halt));
    good("order_publish", "An order to publish a policy set.", &order(Command::Publish(digest("policy bundle"))));
    let ledger = Origin::new(ORIGIN).unwrap();
    let hold = EntryRef { entry: digest("hold"), index: 7, ledger: ledger.clone() };
    let held = Held { hold, action: digest("action") };
    for (name, about, verdict) in [
        ("order_approve", "An order to approve what is held.", Verdict::Approve),
        ("order_reject", "An order to reject what is held.", Verdict::Reject),
        ("order_withdraw", "An order to withdraw what is held.", Verdict::Withdraw),
    ] {
        good(name, about, &order(Command::Answer(verdict, held.clone())));
    }
    let scope = Domain::new(BASE_MS).scope(Some(5));
    let to = Domain::new(BASE_MS).builder_name();
    let given = |parent| Command::Mandate(Box::new(Given { to: to.clone(), scope: scope.clone(), parent }));
    good("order_mandate", "An order that gives a mandate.", &order(given(None)));
    let above = EntryRef { entry: digest("mandate"), index: 7, ledger: ledger.clone() };
    good("order_delegate", "An order that hands a mandate on.", &order(given(Some(above.clone()))));
    for (kind, target) in [
        ("mandate", Target::Mandate(digest("mandate"))),
        ("writ", Target::Writ(digest("writ"))),
        ("key", Target::Key(Fingerprint(digest("key")))),
        ("principal", Target::Principal(Domain::new(BASE_MS).builder_name())),
        ("policy", Target::Policy(digest("set"))),
        ("lineage", Target::Lineage { ledger, entry: digest("entry") }),
    ] {
        let about = format!("An order to revoke a target of kind {kind}.");
        good(&format!("order_revoke_{kind}"), &about, &order(Command::Revoke(target)));
    }
    good("order_revoke_gateway", "An order to revoke a target of kind gateway.", &revoke_gateway());
    maker.done()
}

fn erasures() -> Vec<Case> {
    let mut maker = Maker::new("action", "action");
    let erased = |index, label: &str| Erased { index, commitment: digest(label) };
    let two = order(Command::Erase(Ascending::new([erased(4, "a"), erased(300, "b")])));
    let about = "An order to erase values of two entries.";
    maker.accept("order_erase", about, json!({ "hex": hex(&two) }), json!({ "kind": "order" }));
    let pair = |index, byte| array([Item::Uint(index), bytes(&[byte; 32])]);
    for (name, about, value) in [
        ("order_erase_nothing", "An order to erase nothing.", array([])),
        ("order_erase_unsorted", "Values that do not ascend.", array([pair(300, 1), pair(4, 2)])),
        ("order_erase_twice", "One value twice.", array([pair(4, 1), pair(4, 1)])),
        ("order_erase_most", "More values than an order names.", array((0..257).map(|index| pair(index, 1)))),
    ] {
        let action = Structure::of(&two).set("3/erased", value).bytes();
        maker.refuse(name, about, json!({ "hex": hex(&action) }), Malformed);
    }
    maker.done()
}

fn enrolments() -> Vec<Case> {
    let mut maker = Maker::new("action", "action");
    let Enrolment { key, epoch, groups, asserts, gateway, .. } = Domain::new(BASE_MS).enrolment(0, 2);
    let enrolled = Enrolled { key, epoch, groups, asserts, gateway };
    let whole = order(Command::Enrol(Box::new(enrolled.clone())));
    let bare = Enrolled { groups: Ascending::new([]), asserts: Ascending::new([]), ..enrolled };
    for (name, about, action) in [
        ("order_enrol", "An order to renew a gateway.", &whole),
        ("order_enrol_bare", "An order to enrol one for no group and nobody.", &order(Command::Enrol(Box::new(bare)))),
    ] {
        maker.accept(name, about, json!({ "hex": hex(action) }), json!({ "kind": "order" }));
    }
    let ml_dsa_44 = Domain::new(BASE_MS).ledger_keys().ml_dsa_44.public().as_bytes().to_vec();
    let texts = array(["b", "a"].map(text));
    for (name, about, field, value) in [
        ("order_enrol_epoch_0", "There is no epoch 0.", "epoch", Item::Uint(0)),
        ("order_enrol_ml_dsa", "A gateway signs with Ed25519.", "key", bytes(&ml_dsa_44)),
        ("order_enrol_groups_unsorted", "Groups that do not ascend.", "groups", texts),
        ("order_enrol_gateway_number", "A name as a number.", "gateway", Item::Uint(1)),
    ] {
        let action = Structure::of(&whole).set(&format!("3/{field}"), value).bytes();
        maker.refuse(name, about, json!({ "hex": hex(&action) }), Malformed);
    }
    for field in ["key", "epoch", "groups", "asserts", "gateway", "reason"] {
        let action = Structure::of(&whole).remove(&format!("3/{field}")).bytes();
        let about = format!("An enrolment without `{field}`.");
        maker.refuse(&format!("order_enrol_without_{field}"), &about, json!({ "hex": hex(&action) }), Malformed);
    }
    maker.done()
}

fn order_faults() -> Vec<Case> {
    let mut maker = Maker::new("action", "action");
    let mut bad = |name: &str, about: &str, action: Structure, code: Code| {
        maker.refuse(name, about, json!({ "hex": hex(&action.bytes()) }), code);
    };
    let mandate = |parent| {
        let domain = Domain::new(BASE_MS);
        let given = Given { to: domain.builder_name(), scope: domain.scope(None), parent };
        Structure::of(&order(Command::Mandate(Box::new(given))))
    };
    let (halt, revoke) = (|| Structure::of(&order(Command::Halt)), || Structure::of(&revoke_gateway()));
    bad(
        "order_version_2",
        "A version that this reader does not know.",
        halt().set("2", Item::Uint(2)),
        UnsupportedVersion,
    );
    bad("order_unknown", "A command that there is not.", halt().set("3/command", text("resume")), Malformed);
    bad("order_without_command", "An order of nothing.", halt().remove("3/command"), Malformed);
    bad("order_command_number", "A command as a number.", halt().set("3/command", Item::Uint(1)), Malformed);
    bad("order_halt_without_reason", "No reason.", halt().remove("3/reason"), Malformed);
    bad("order_revoke_without_reason", "No reason.", revoke().remove("3/reason"), Malformed);
    bad("order_reason_not_label", "A reason is a label.", halt().set("3/reason", text("Because.")), Malformed);
    let target = revoke().get("3/target");
    bad("order_halt_with_target", "A halt of a target.", halt().add("3", "target", target), Malformed);
    bad("order_revoke_without_target", "A revocation of nothing.", revoke().remove("3/target"), Malformed);
    bad("order_revoke_null", "A revocation of null.", revoke().set("3/target", Item::Null), Malformed);
    bad(
        "order_target_unknown",
        "A kind of target that there is not.",
        revoke().set("3/target/kind", text("cluster")),
        Malformed,
    );
    bad(
        "order_unknown_field",
        "A field that the version does not have.",
        halt().add("3", "until_ms", Item::Uint(1)),
        Malformed,
    );
    let above = || Some(EntryRef { entry: digest("mandate"), index: 7, ledger: Origin::new(ORIGIN).unwrap() });
    bad("order_mandate_of_nothing", "A mandate without a scope.", mandate(None).remove("3/scope"), Malformed);
    bad("order_mandate_for_nobody", "A mandate for nobody.", mandate(None).remove("3/to"), Malformed);
    bad("order_mandate_endless", "A mandate that does not end.", mandate(None).remove("3/scope/window"), Malformed);
    let parent = mandate(above()).get("3/parent");
    bad(
        "order_mandate_with_parent",
        "A first mandate below another.",
        mandate(None).add("3", "parent", parent),
        Malformed,
    );
    bad("order_delegate_without_parent", "Nothing is handed on.", mandate(above()).remove("3/parent"), Malformed);
    let body = revoke().get("3");
    bad(
        "order_as_exec",
        "An order under the name of an execution.",
        Structure::of(&simple()).set("3", body),
        Malformed,
    );
    let body = Structure::of(&simple()).get("3");
    bad("exec_as_order", "An execution under the name of an order.", halt().set("3", body), Malformed);
    maker.done()
}

fn action_faults() -> Vec<Case> {
    let mut maker = Maker::new("action", "action");
    let mut bad = |name: &str, about: &str, action: Structure, code: Code| {
        maker.refuse(name, about, json!({ "hex": hex(&action.bytes()) }), code);
    };
    let good = || Structure::of(&simple());
    bad("argv_none", "There is no argv[0].", good().set("3/argv", array([])), Malformed);
    bad("argv_zero_byte", "An argument has a zero byte.", good().set("3/argv/1", bytes(b"te\0st")), Malformed);
    bad("argv_text", "An argument is text, not bytes.", good().set("3/argv/1", text("test")), Malformed);
    bad("argv_missing", "A field is missing.", good().remove("3/argv"), Malformed);
    bad("cwd_relative", "The working directory is relative.", good().set("3/cwd", bytes(b"srv")), Malformed);
    bad("cwd_empty", "The working directory is empty.", good().set("3/cwd", bytes(b"")), Malformed);
    bad("cwd_zero_byte", "The working directory has a zero byte.", good().set("3/cwd", bytes(b"/a\0")), Malformed);
    bad("cwd_text", "The working directory is text.", good().set("3/cwd", text("/srv")), Malformed);
    bad("stdin_unknown", "No such standard input.", good().set("3/stdin", text("inherit")), Malformed);
    bad(
        "stdin_null_value",
        "The standard input is the value null, not its name.",
        good().set("3/stdin", Item::Null),
        Malformed,
    );
    bad("executable_short", "A digest of 31 bytes.", good().set("3/executable", bytes(&[7; 31])), Malformed);
    bad(
        "variables_not_digest",
        "Variables themselves, not their digest.",
        good().set("3/variables", array([])),
        Malformed,
    );
    bad(
        "unknown_field",
        "A field that the version does not have.",
        good().add("3", "umask", Item::Uint(18)),
        Malformed,
    );
    bad("kind_tool", "A kind that this reader does not know.", good().set("1", text("tool")), UnsupportedVersion);
    bad("version_2", "A version that this reader does not know.", good().set("2", Item::Uint(2)), UnsupportedVersion);
    bad("version_0", "There is no version 0.", good().set("2", Item::Uint(0)), UnsupportedVersion);
    bad(
        "version_2_other_fields",
        "A newer version is judged before its fields.",
        good().set("2", Item::Uint(2)).set("3", map([])),
        UnsupportedVersion,
    );
    bad("context", "Another context.", good().set("0", text("writ.entry")), Malformed);
    bad("five_elements", "An array of five.", good().change("", push_null), Malformed);
    bad("body_array", "The body is no map.", good().set("3", array([])), Malformed);
    let trailing = [simple(), vec![0]].concat();
    maker.refuse("trailing_byte", "A byte follows.", json!({ "hex": hex(&trailing) }), Malformed);
    maker.refuse("empty", "No bytes.", json!({ "hex": "" }), Malformed);
    maker.done()
}

fn push_null(value: &mut Item) {
    let Item::Array(items) = value else { panic!("expected an array, found {value:?}") };
    items.push(Item::Null);
}

/// Names and values.
type Pairs<'a> = &'a [(&'a [u8], &'a [u8])];

fn variables() -> Vec<Case> {
    let mut maker = Maker::new("action", "variables");
    let input = |pairs: &[(&[u8], &[u8])]| {
        let pairs: Vec<Value> = pairs.iter().map(|(name, value)| json!([hex(name), hex(value)])).collect();
        json!({ "pairs": pairs })
    };
    let sorted: [(&[u8], &[u8]); 3] = [(b"HOME", b"/root"), (b"LANG", b"C"), (b"PATH", b"/bin")];
    let shuffled = [sorted[2], sorted[0], sorted[1]];
    let longer: [(&[u8], &[u8]); 2] = [(b"AA", b""), (b"B", b"x=y")];
    let bytes: [(&[u8], &[u8]); 1] = [(b"\xff", b"\xfe\xfd")];
    for (name, about, pairs) in [
        ("variables_none", "No variables.", [].as_slice()),
        ("variables_sorted", "Variables in order.", &sorted),
        ("variables_any_order", "The order in which they are given does not count.", &shuffled),
        (
            "variables_longer_name_first",
            "Names are in the order of their bytes, not of their length; values may be empty or hold `=`.",
            &longer,
        ),
        ("variables_not_utf8", "Names and values are bytes.", &bytes),
    ] {
        let expected = Variables::new(pairs.iter().copied()).unwrap();
        maker.accept(name, about, input(pairs), json!({ "digest": hex(expected.digest().as_bytes()) }));
    }
    let bad: [(&str, &str, Pairs<'_>); 5] = [
        ("variables_twice", "One name twice.", &[(b"A", b"1"), (b"A", b"2")]),
        ("variables_empty_name", "An empty name.", &[(b"", b"1")]),
        ("variables_name_with_equals", "A name with `=`.", &[(b"A=B", b"1")]),
        ("variables_name_with_zero", "A name with a zero byte.", &[(b"A\0", b"1")]),
        ("variables_value_with_zero", "A value with a zero byte.", &[(b"A", b"1\0")]),
    ];
    for (name, about, pairs) in bad {
        maker.refuse(name, about, input(pairs), Malformed);
    }
    maker.done()
}

fn openings() -> Vec<Case> {
    let mut maker = Maker::new("action", "opening");
    let domain = Domain::new(BASE_MS);
    let input = |opening: &[u8], commitment: &Opening| json!({ "hex": hex(opening), "commitment": hex(commitment.commitment().as_bytes()) });
    let kinds = [
        CommitmentKind::Facts,
        CommitmentKind::Request,
        CommitmentKind::Text,
        CommitmentKind::Output,
        CommitmentKind::Policy,
    ];
    let others = kinds.map(|kind| domain.opening(kind, b"value".to_vec()));
    let action = domain.opening(CommitmentKind::Action, simple());
    for opening in others.iter().chain([&action]) {
        let name = format!("opening_{}", opening.kind.as_str());
        let about = "An opening of the commitment.";
        maker.accept(&name, about, input(&opening.to_cbor(), opening), json!({ "kind": opening.kind.as_str() }));
    }
    let empty = domain.opening(CommitmentKind::Output, Vec::new());
    maker.accept(
        "opening_empty_value",
        "An empty value.",
        input(&empty.to_cbor(), &empty),
        json!({ "kind": "output" }),
    );
    let good = || Structure::of(&others[0].to_cbor());
    let salt = flipped(&others[0].salt, 31);
    for (name, about, changed, code) in [
        ("opening_other_salt", "Another salt.", good().set("1", bytes(&salt)), CommitmentMismatch),
        ("opening_other_kind", "Another kind.", good().set("0", text("request")), CommitmentMismatch),
        ("opening_other_value", "Another value.", good().set("2", bytes(b"Value")), CommitmentMismatch),
        ("opening_salt_short", "A salt of 31 bytes.", good().set("1", bytes(&[1; 31])), Malformed),
        ("opening_salt_long", "A salt of 33 bytes.", good().set("1", bytes(&[1; 33])), Malformed),
        ("opening_unknown_kind", "A kind that there is not.", good().set("0", text("secret")), Malformed),
        ("opening_value_text", "The value is text.", good().set("2", text("value")), Malformed),
        ("opening_four_elements", "An array of four.", good().change("", push_null), Malformed),
    ] {
        maker.refuse(name, about, input(&changed.bytes(), &others[0]), code);
    }
    let tool = domain.opening(CommitmentKind::Action, Structure::of(&simple()).set("1", text("tool")).bytes());
    maker.refuse(
        "opening_action_kind_unknown",
        "It opens the commitment, but its value is an action of a kind that this reader does not know.",
        input(&tool.to_cbor(), &tool),
        UnsupportedVersion,
    );
    let not_canonical = domain.opening(CommitmentKind::Action, [simple(), vec![0]].concat());
    maker.refuse(
        "opening_action_not_canonical",
        "It opens the commitment, but its value is no canonical action.",
        input(&not_canonical.to_cbor(), &not_canonical),
        Malformed,
    );
    maker.done()
}
