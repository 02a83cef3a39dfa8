//! Entries with one fault each.

use super::case::{Case, Maker, hex};
use super::entry::Samples;
use super::entry_decision_faults::{budgets, decisions, tallies};
use super::mutation::{Structure, array, bytes, map, text};
use crate::scenario::{Domain, ORIGIN, Secret};
use serde_json::json;
use writ_protocol::Code::{self, Malformed, UnknownAuthority, UnsupportedVersion};
use writ_protocol::EntryType::{self, Advised, Denial, Gateway, Genesis, Grant, Halt, Revocation, RootOrder, Spend};
use writ_protocol::cbor::Value::{self, Null, Uint};
use writ_tlog::Algorithm;

pub(super) struct Faults {
    pub(super) samples: Samples,
    pub(super) maker: Maker,
}

impl Faults {
    pub(super) fn bad(
        &mut self,
        name: &str,
        about: &str,
        of: EntryType,
        code: Code,
        change: impl FnOnce(Structure) -> Structure,
    ) {
        let changed = change(Structure::of(self.samples.of(of))).bytes();
        self.raw(name, about, &changed, code);
    }

    fn raw(&mut self, name: &str, about: &str, entry: &[u8], code: Code) {
        self.maker.refuse(name, about, json!({ "hex": hex(entry), "origin": ORIGIN }), code);
    }

    /// Malformed, by another value at one path of the body.
    pub(super) fn set(&mut self, name: &str, about: &str, of: EntryType, path: &str, value: Value) {
        self.bad(name, about, of, Malformed, |entry| entry.set(&format!("4/{path}"), value));
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut faults = Faults { samples: Samples::new(), maker: Maker::new("entry", "entry") };
    envelopes(&mut faults);
    each_type(&mut faults);
    parts(&mut faults);
    genesis(&mut faults);
    control(&mut faults);
    grants(&mut faults);
    grant_terms(&mut faults);
    grant_causes(&mut faults);
    budgets(&mut faults);
    decisions(&mut faults);
    tallies(&mut faults);
    statements(&mut faults);
    faults.maker.done()
}

fn envelopes(faults: &mut Faults) {
    faults.bad("context", "The context of a statement.", Grant, Malformed, |entry| {
        entry.set("0", text("writ.statement"))
    });
    faults.bad("type_unknown", "A type that this reader does not know.", Grant, UnsupportedVersion, |entry| {
        entry.set("1", text("warrant"))
    });
    faults.bad(
        "type_unknown_other_fields",
        "An unknown type is judged before its fields.",
        Grant,
        UnsupportedVersion,
        |entry| entry.set("1", text("warrant")).set("4", map([])),
    );
    faults.bad("type_capital", "Types are written in one way.", Grant, UnsupportedVersion, |entry| {
        entry.set("1", text("Grant"))
    });
    faults.bad("type_not_text", "The type is a number.", Grant, Malformed, |entry| entry.set("1", Uint(6)));
    faults.bad("version_zero", "There is no version 0.", Grant, UnsupportedVersion, |entry| entry.set("2", Uint(0)));
    faults.bad("version_text", "The version is text.", Grant, Malformed, |entry| entry.set("2", text("1")));
    faults.bad("version_largest", "The largest version.", Grant, UnsupportedVersion, |entry| {
        entry.set("2", Uint(u64::MAX))
    });
    faults.bad("origin_other", "An entry of another ledger.", Grant, UnknownAuthority, |entry| {
        entry.set("3", text("writ.example/ledger/other"))
    });
    faults.bad("origin_prefix", "An origin that goes on.", Grant, UnknownAuthority, |entry| {
        entry.set("3", text("writ.example/ledger/demo/"))
    });
    faults.bad("origin_bytes", "The origin is bytes.", Grant, Malformed, |entry| {
        entry.set("3", bytes(ORIGIN.as_bytes()))
    });
    faults.bad("body_array", "The body is an array.", Grant, Malformed, |entry| entry.set("4", array([])));
    faults.bad("four_elements", "An array of four.", Grant, Malformed, |entry| entry.remove("3"));
    let grant = faults.samples.of(Grant).to_vec();
    faults.raw("trailing_byte", "A byte follows the entry.", &[grant.as_slice(), &[0]].concat(), Malformed);
    faults.raw("truncated", "The last byte is missing.", &grant[..grant.len() - 1], Malformed);
    faults.raw("empty", "No bytes.", &[], Malformed);
    faults.raw("not_cbor", "Text that is no CBOR.", b"writ.entry", Malformed);
    faults.raw("map", "A map, not an array.", &[0xa0], Malformed);
    too_large(faults);
}

/// 65,535 bytes are an entry, one more is none: a signed statement fills it up.
fn too_large(faults: &mut Faults) {
    let filled = |size: usize, faults: &Faults| {
        let spend = Structure::of(faults.samples.of(Spend));
        let Value::Bytes(statement) = spend.get("4/statement") else { panic!("a statement is bytes") };
        let statement = Structure::of(&statement);
        let with = |payload: usize| {
            let statement = statement.clone().set("2", bytes(&vec![0; payload])).bytes();
            spend.clone().set("4/statement", bytes(&statement)).bytes()
        };
        // Above 255 bytes of payload each head has its final length.
        let rest = with(1000).len() - 1000;
        with(size - rest)
    };
    let (largest, too_large) = (filled(65_535, faults), filled(65_536, faults));
    assert_eq!((largest.len(), too_large.len()), (65_535, 65_536));
    let results = json!({ "type": "spend", "hash": hex(writ_tlog::leaf_hash(&largest).as_bytes()) });
    let input = json!({ "hex": hex(&largest), "origin": ORIGIN });
    faults.maker.accept(
        "largest",
        "An entry of 65,535 bytes; the payload of its statement is judged where it is used.",
        input,
        results,
    );
    faults.raw("too_large", "An entry of 65,536 bytes.", &too_large, Malformed);
}

/// For every type: a future version, a field more, each field less.
fn each_type(faults: &mut Faults) {
    for entry_type in EntryType::ALL.iter().copied() {
        let name = entry_type.as_str().replace('-', "_");
        faults.bad(
            &format!("{name}_version_2"),
            "A version that this reader does not know.",
            entry_type,
            UnsupportedVersion,
            |entry| entry.set("2", Uint(2)),
        );
        faults.bad(
            &format!("{name}_unknown_field"),
            "A field that the version does not have.",
            entry_type,
            Malformed,
            |entry| entry.add("4", "extension", Null),
        );
        let Value::Map(fields) = Structure::of(faults.samples.of(entry_type)).get("4") else {
            panic!("the body of an entry is a map")
        };
        for (field, _) in fields {
            // What is optional where it stands.
            if matches!((entry_type, field.as_str()), (Denial, "policy" | "facts") | (Advised, "subject")) {
                continue;
            }
            let about = format!("The field {field} is missing.");
            let path = format!("4/{field}");
            faults.bad(&format!("{name}_without_{field}"), &about, entry_type, Malformed, |entry| entry.remove(&path));
        }
    }
}

fn parts(faults: &mut Faults) {
    faults.set("id_15_bytes", "An id of 15 bytes.", Grant, "id", bytes(&[1; 15]));
    faults.set("id_17_bytes", "An id of 17 bytes.", Grant, "id", bytes(&[1; 17]));
    faults.set("id_text", "An id as text.", Grant, "id", text("0123456789abcdef"));
    faults.set("hash_31_bytes", "A digest of 31 bytes.", Grant, "facts", bytes(&[1; 31]));
    faults.set("hash_33_bytes", "A digest of 33 bytes.", Grant, "facts", bytes(&[1; 33]));
    faults.set("time_negative", "A time before 1970.", Grant, "time_ms", Value::Nint(-1));
    faults.set("time_float", "A time that is no integer.", Grant, "time_ms", Value::Float(1.5));
    faults.set("time_null", "A field that is there must have a value.", Grant, "time_ms", Null);
    let longest_name = "n".repeat(128);
    for (name, about, value) in [
        ("name_empty", "An empty name.", String::new()),
        ("name_long", "A name of 129 characters.", "n".repeat(129)),
        ("name_space", "A name with a space.", "a b".to_owned()),
        ("name_not_ascii", "A name with a letter beyond ASCII.", "b\u{fc}ilder".to_owned()),
        ("name_zero", "A name with a zero character.", "a\0".to_owned()),
        ("name_plus", "A name with a character that names do not have.", "a+b".to_owned()),
    ] {
        faults.set(name, about, Grant, "principal/id", Value::Text(value));
    }
    let good = Structure::of(faults.samples.of(Grant)).set("4/principal/id", text(&longest_name));
    let good =
        good.set("4/principal/type", text("A-Za.z0_9/:@")).set("4/principal/auth", text(&"l".repeat(64))).bytes();
    let results = json!({ "type": "grant", "hash": hex(writ_tlog::leaf_hash(&good).as_bytes()) });
    let input = json!({ "hex": hex(&good), "origin": ORIGIN });
    faults.maker.accept(
        "name_longest",
        "The longest name and label, and a name with each kind of character.",
        input,
        results,
    );
    for (name, about, value) in [
        ("label_empty", "An empty label.", String::new()),
        ("label_long", "A label of 65 characters.", "l".repeat(65)),
        ("label_capital", "A label with a capital.", "Key".to_owned()),
        ("label_slash", "A label with a slash.", "a/b".to_owned()),
    ] {
        faults.set(name, about, Grant, "principal/auth", Value::Text(value));
    }
    for (name, about, value) in [
        ("origin_empty", "An origin that is empty.", String::new()),
        ("origin_space", "An origin with a space.", "a b".to_owned()),
        ("origin_wide_space", "An origin with an ideographic space.", "a\u{3000}b".to_owned()),
        ("origin_plus", "An origin with a plus.", "a+b".to_owned()),
        ("origin_control", "An origin with a control character of the second block.", "a\u{85}".to_owned()),
        ("origin_delete", "An origin with the delete character.", "a\u{7f}".to_owned()),
        ("origin_long", "An origin of 256 bytes.", "o".repeat(256)),
    ] {
        faults.set(name, about, Grant, "as_of/ledger", Value::Text(value));
    }
}

fn genesis(faults: &mut Faults) {
    faults.set("genesis_seq_1", "Genesis is not at the beginning of its chain.", Genesis, "control/seq", Uint(1));
    faults.set("genesis_prev", "Genesis names an entry before it.", Genesis, "control/prev", bytes(&[1; 32]));
    faults.set("genesis_threshold_0", "A threshold of 0.", Genesis, "threshold", Uint(0));
    faults.set("genesis_threshold_4", "A threshold above the members.", Genesis, "threshold", Uint(4));
    faults.set("genesis_no_members", "No root member.", Genesis, "members", array([]));
    let genesis = Structure::of(faults.samples.of(Genesis));
    let member = |at: &str| genesis.get(&format!("4/members/{at}"));
    faults.set("genesis_member_twice", "One root member twice.", Genesis, "members/1", member("0"));
    faults.set("genesis_member_key_twice", "Two root members share one key.", Genesis, "members/1/1", member("0/1"));
    let swapped = array([member("0/1"), member("0/0")]);
    faults.set("genesis_member_swapped", "The ML-DSA-44 key of a member stands first.", Genesis, "members/0", swapped);
    let three = array([member("0/0"), member("0/1"), member("1/1")]);
    faults.set("genesis_member_three_keys", "A root member of three keys.", Genesis, "members/0", three);
    let domain = Domain::at("writ.example/ledger/many", super::BASE_MS);
    let many = (0..17).map(|number| {
        let ed25519 = Secret::new(Algorithm::Ed25519, &format!("{} many {number}", domain.origin()));
        let mut ml_dsa_44 = domain.root_keys()[0].ml_dsa_44.public().as_bytes().to_vec();
        // Any 1312 bytes are a key, so the members differ in one byte.
        ml_dsa_44[1] ^= number;
        array([bytes(ed25519.public().as_bytes()), bytes(&ml_dsa_44)])
    });
    let many = Value::Array(many.collect());
    faults.set("genesis_17_members", "Seventeen root members.", Genesis, "members", many);
    let keys = |at: &str| genesis.get(&format!("4/keys/{at}"));
    faults.set(
        "genesis_keys_swapped",
        "The ML-DSA-44 key of the ledger stands first.",
        Genesis,
        "keys",
        array([keys("1"), keys("0")]),
    );
    faults.set("genesis_keys_one", "The ledger has one key.", Genesis, "keys", array([keys("0")]));
    for limit in ["window_ms_max", "freeze_ms_max", "kill_ms_max"] {
        let about = format!("A limit {limit} of 0.");
        faults.set(&format!("genesis_{limit}_0"), &about, Genesis, &format!("limits/{limit}"), Uint(0));
    }
}

fn control(faults: &mut Faults) {
    faults.set("gateway_epoch_0", "There is no epoch 0.", Gateway, "epoch", Uint(0));
    let ml_dsa_44 = faults.samples.domain.ledger_keys().ml_dsa_44.public().as_bytes().to_vec();
    faults.set("gateway_ml_dsa_key", "A gateway signs with Ed25519.", Gateway, "key", bytes(&ml_dsa_44));
    let names = |names: [&str; 2]| array(names.map(text));
    faults.set("gateway_groups_unsorted", "Groups that do not ascend.", Gateway, "groups", names(["b", "a"]));
    faults.set("gateway_groups_twice", "One group twice.", Gateway, "groups", names(["a", "a"]));
    let many: Vec<Value> = (0..257).map(|number| Value::Text(format!("group-{number:03}"))).collect();
    faults.set("gateway_257_groups", "More elements than an array may have.", Gateway, "groups", Value::Array(many));
    let asserted = |kind: &str, id: &str| map([("type", text(kind)), ("id", text(id))]);
    let unsorted = array([asserted("Agent", "b"), asserted("Agent", "a")]);
    faults.set(
        "gateway_asserts_unsorted",
        "Asserted principals of one type whose ids do not ascend.",
        Gateway,
        "asserts",
        unsorted,
    );
    let by_id = array([asserted("User", "a"), asserted("Agent", "b")]);
    faults.set("gateway_asserts_by_id", "Asserted principals ascend by type first.", Gateway, "asserts", by_id);
    let order = map([("reason", text("incident"))]);
    faults.bad("gateway_order_of_nothing", "An order that was decided on nothing.", Gateway, Malformed, |entry| {
        entry.add("4", "order", order)
    });
    faults.set("target_unknown", "A target of a kind that there is not.", Revocation, "target/kind", text("cluster"));
    faults.set(
        "target_other_field",
        "A target with the field of another kind.",
        Revocation,
        "target",
        map([("kind", text("writ")), ("set", bytes(&[1; 32]))]),
    );
    faults.set(
        "target_two_fields",
        "A target with the fields of two kinds.",
        Revocation,
        "target",
        map([("kind", text("writ")), ("writ", bytes(&[1; 32])), ("set", bytes(&[1; 32]))]),
    );
    faults.set(
        "target_without_kind",
        "A target without a kind.",
        Revocation,
        "target",
        map([("writ", bytes(&[1; 32]))]),
    );
    faults.set("reason_not_label", "A reason is a label, no sentence.", Halt, "reason", text("Because."));
    faults.set("root_order_statement_text", "A statement is bytes.", RootOrder, "statement", text(""));
}

fn grants(faults: &mut Faults) {
    let key = |low: u8, high: u8| {
        let mut key = [0; 33];
        (key[0], key[1], key[32]) = (1, low, high);
        bytes(&key)
    };
    faults.set("holder_small_order", "A holder key of small order, y = 1.", Grant, "holder", key(1, 0));
    faults.set(
        "holder_small_order_sign",
        "A holder key of small order, y = 0, with the sign bit.",
        Grant,
        "holder",
        key(0, 0x80),
    );
    let mut not_canonical = [0xff; 33];
    (not_canonical[0], not_canonical[32]) = (1, 0x7f);
    faults.set("holder_not_canonical", "A holder key whose y is above p.", Grant, "holder", bytes(&not_canonical));
    let ml_dsa_44 = faults.samples.domain.ledger_keys().ml_dsa_44.public().as_bytes().to_vec();
    faults.set("holder_ml_dsa", "A holder signs with Ed25519.", Grant, "holder", bytes(&ml_dsa_44));
    faults.set("holder_untagged", "A key without its algorithm.", Grant, "holder", bytes(&[7; 32]));
    faults.set(
        "holder_unknown_algorithm",
        "A key of an algorithm that there is not.",
        Grant,
        "holder",
        bytes(&[2; 33]),
    );
    let long = [ml_dsa_44.as_slice(), &[0]].concat();
    faults.bad("principal_key_long", "An ML-DSA-44 key with a byte too many.", Grant, Malformed, |entry| {
        entry.add("4/principal", "key", bytes(&long))
    });
    let execution = || map([("execution", bytes(&[3; 16])), ("nonce", bytes(&[4; 32]))]);
    let group = || map([("group", text("builders"))]);
    faults.bad("admitted_group", "Admitted at once, for any gateway of a group.", Grant, Malformed, |entry| {
        entry.set("4/audience", group()).add("4", "admitted", execution())
    });
    faults.bad("admitted_two_uses", "Admitted at once, with two uses.", Grant, Malformed, |entry| {
        entry.set("4/uses", Uint(2)).add("4", "admitted", execution())
    });
    faults.bad("admitted_without_nonce", "Admitted for whoever asks.", Grant, Malformed, |entry| {
        entry.add("4", "admitted", map([("execution", bytes(&[3; 16]))]))
    });
    faults.set(
        "audience_both",
        "For a gateway and a group.",
        Grant,
        "audience",
        map([("gateway", text("gateway-1")), ("epoch", Uint(1)), ("group", text("builders"))]),
    );
    faults.set(
        "audience_without_epoch",
        "For a gateway in any epoch.",
        Grant,
        "audience",
        map([("gateway", text("gateway-1"))]),
    );
    faults.set("audience_epoch_0", "For a gateway in epoch 0.", Grant, "audience/epoch", Uint(0));
    faults.set("audience_empty", "For nobody.", Grant, "audience", map([]));
}

fn grant_terms(faults: &mut Faults) {
    faults.set(
        "window_empty",
        "A window that ends when it begins.",
        Grant,
        "window",
        map([("from_ms", Uint(5)), ("until_ms", Uint(5))]),
    );
    faults.set(
        "window_reversed",
        "A window that ends before it begins.",
        Grant,
        "window",
        map([("from_ms", Uint(5)), ("until_ms", Uint(4))]),
    );
    faults.set("uses_0", "No use.", Grant, "uses", Uint(0));
    faults.set(
        "lease_freeze_above_kill",
        "Frozen later than killed.",
        Grant,
        "lease",
        map([("freeze_after_ms", Uint(2)), ("kill_after_ms", Uint(1))]),
    );
    faults.set("lease_freeze_0", "Frozen at once.", Grant, "lease/freeze_after_ms", Uint(0));
    faults.set("lease_kill_0", "Killed at once.", Grant, "lease/kill_after_ms", Uint(0));
    faults.set("scope_unknown", "A scope that there is not.", Grant, "scope/kind", text("prefix"));
    faults.set("action_kind_unknown", "An action of a kind that there is not.", Grant, "action/kind", text("tool"));
    faults.set(
        "level_unknown",
        "Surroundings of a level that there is not.",
        Grant,
        "surroundings/level",
        text("measured"),
    );
    faults.set(
        "components_unsorted",
        "Components that do not ascend.",
        Grant,
        "surroundings/components",
        array(["kernel", "gateway"].map(text)),
    );
    faults.set("labels_unsorted", "Labels that do not ascend.", Grant, "labels", array(["b", "a"].map(text)));
    faults.set("labels_twice", "One label twice.", Grant, "labels", array(["a", "a"].map(text)));
    faults.set("label_of_no_form", "A label with a capital letter.", Grant, "labels", array(["A"].map(text)));
    faults.set("reasons_twice", "One determining policy twice.", Grant, "policy/reasons", array(["a", "a"].map(text)));
}

fn grant_causes(faults: &mut Faults) {
    let sandbox = || map([("kind", text("sandbox")), ("profile", text("strict"))]);
    faults.set(
        "obligation_twice",
        "One kind of obligation twice.",
        Grant,
        "obligations",
        array([sandbox(), sandbox()]),
    );
    faults.set(
        "obligation_unknown",
        "An obligation of a kind that there is not.",
        Grant,
        "obligations",
        array([map([("kind", text("notify"))])]),
    );
    faults.set(
        "obligation_without_profile",
        "A sandbox of no profile.",
        Grant,
        "obligations",
        array([map([("kind", text("sandbox"))])]),
    );
    let reference = || map([("ledger", text(ORIGIN)), ("index", Uint(4)), ("entry", bytes(&[9; 32]))]);
    faults.set(
        "cause_without_parent",
        "Caused by nothing.",
        Grant,
        "cause",
        map([("depth", Uint(1)), ("origin", reference())]),
    );
    faults.set(
        "cause_without_origin",
        "Caused, with no beginning.",
        Grant,
        "cause",
        map([("depth", Uint(1)), ("parent", reference())]),
    );
    faults.set(
        "cause_origin_with_parent",
        "A beginning that was caused.",
        Grant,
        "cause",
        map([("depth", Uint(0)), ("origin", reference()), ("parent", reference())]),
    );
    faults.set("cause_without_depth", "A cause without a depth.", Grant, "cause", map([]));
    faults.set(
        "cause_mandate_hash",
        "A mandate without its index and ledger.",
        Grant,
        "cause",
        map([("depth", Uint(0)), ("mandate", bytes(&[1; 32]))]),
    );
    faults.bad("hold_null", "An optional field is absent, never null.", Grant, Malformed, |entry| {
        entry.add("4", "hold", Null)
    });
    faults.bad("hold_without_index", "A reference without an index.", Grant, Malformed, |entry| {
        entry.add("4", "hold", map([("ledger", text(ORIGIN)), ("entry", bytes(&[9; 32]))]))
    });
}

fn statements(faults: &mut Faults) {
    let Value::Bytes(statement) = Structure::of(faults.samples.of(Spend)).get("4/statement") else {
        panic!("a statement is bytes")
    };
    let statement = || Structure::of(&statement);
    let fault = |faults: &mut Faults, name: &str, about: &str, changed: &[u8], code: Code| {
        faults.bad(name, about, Spend, code, |entry| entry.set("4/statement", bytes(changed)));
    };
    fault(faults, "statement_empty", "A statement of no bytes.", &[], Malformed);
    fault(faults, "statement_not_cbor", "A statement that is no CBOR.", b"spent", Malformed);
    fault(
        faults,
        "statement_context",
        "A statement in another envelope.",
        &statement().set("0", text("writ.entry")).bytes(),
        Malformed,
    );
    fault(
        faults,
        "statement_version_2",
        "A statement in a newer envelope.",
        &statement().set("1", Uint(2)).bytes(),
        UnsupportedVersion,
    );
    fault(
        faults,
        "statement_unsigned",
        "A statement without a signature.",
        &statement().set("3", array([])).bytes(),
        Malformed,
    );
    fault(
        faults,
        "statement_signature_63",
        "A signature of 63 bytes.",
        &statement().set("3/0/1", bytes(&[1; 63])).bytes(),
        Malformed,
    );
    fault(
        faults,
        "statement_payload_text",
        "A payload that is not wrapped as bytes.",
        &statement().set("2", text("")).bytes(),
        Malformed,
    );
    let trailing = [statement().bytes(), vec![0]].concat();
    fault(faults, "statement_trailing_byte", "A byte follows the statement.", &trailing, Malformed);
}
