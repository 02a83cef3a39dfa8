//! Scopes of mandates: what they contain, and which are narrower.

use super::case::{Case, Maker, hex};
use super::mutation::{Structure, array, bytes, map, text};
use crate::scenario::digest;
use serde_json::{Value as Json, json};
use writ_protocol::Code::{self, Expired, Malformed, NotYetValid, ScopeWidened};
use writ_protocol::action::{Action, Exec, ExecFields, Interpreter, Stdin, Variables};
use writ_protocol::cbor::Value::{self, Null, Uint};

pub(super) fn cases() -> Vec<Case> {
    let mut forms = Maker::new("scope", "narrows");
    accepted_forms(&mut forms);
    refused_forms(&mut forms);
    narrower(&mut forms);
    wider(&mut forms);
    let mut contained = Maker::new("scope", "contains");
    inside(&mut contained);
    outside(&mut contained);
    [forms.done(), contained.done()].concat()
}

/// Only what must be there: from 1000 until 2000.
fn open() -> Structure {
    Structure::of(&[0xa0]).add("", "window", window(1000, 2000))
}

fn window(from_ms: u64, until_ms: u64) -> Value {
    map([("from_ms", Uint(from_ms)), ("until_ms", Uint(until_ms))])
}

fn paths(paths: &[&str]) -> Value {
    array(paths.iter().map(|path| bytes(path.as_bytes())))
}

fn texts(texts: &[&str]) -> Value {
    array(texts.iter().map(|one| text(one)))
}

fn hashes(names: &[&str]) -> Value {
    let mut found: Vec<_> = names.iter().map(|name| *digest(name).as_bytes()).collect();
    found.sort_unstable();
    array(found.iter().map(|hash| bytes(hash)))
}

fn program(kind: &str, path: &str) -> Value {
    map([(kind, bytes(path.as_bytes()))])
}

fn program_with(kind: &str, path: &str, argv: &[&str]) -> Value {
    map([(kind, bytes(path.as_bytes())), ("argv", paths(argv))])
}

fn place(name: &str, values: &[&str]) -> Value {
    map([("name", text(name)), ("values", texts(values))])
}

/// One constraint of each kind.
fn full() -> Structure {
    open()
        .add("", "uses", Uint(5))
        .add("", "depth", Uint(2))
        .add("", "folders", paths(&["/srv/build"]))
        .add("", "contents", hashes(&["bash", "git"]))
        .add("", "gateways", texts(&["process/01", "process/02"]))
        .add(
            "",
            "programs",
            array([program("exact", "/usr/bin/make"), program_with("beneath", "/opt", &["git", "push"])]),
        )
        .add("", "surroundings", array([place("host", &["a", "b"])]))
}

fn with(field: &str, value: Value) -> Structure {
    open().add("", field, value)
}

fn pair(child: &Structure, parent: &Structure) -> Json {
    json!({ "hex": hex(&child.bytes()), "parent": hex(&parent.bytes()) })
}

fn accepted_forms(maker: &mut Maker) {
    let mut good = |name: &str, about: &str, scope: Structure| {
        maker.accept(name, about, pair(&scope, &open()), json!({}));
    };
    good("form_open", "Only the window must be there.", open());
    good("form_full", "One constraint of each kind.", full());
    good(
        "form_root",
        "The shortest path, as a folder and beneath which programs lie.",
        with("folders", paths(&["/"])).add("", "programs", array([program("beneath", "/")])),
    );
    good(
        "form_programs_ascending",
        "Exact before beneath, without arguments before with them.",
        with(
            "programs",
            array([
                program("exact", "/b"),
                program_with("exact", "/b", &["a"]),
                program_with("exact", "/b", &["a", ""]),
                program_with("exact", "/b", &["b"]),
                program("beneath", "/a"),
            ]),
        ),
    );
    good("form_path_not_utf8", "Paths are bytes.", with("folders", array([bytes(b"/\xff")])));
    good("form_dots", "A part may begin with dots.", with("folders", paths(&["/...", "/..a"])));
    good("form_depth_zero", "Nothing that it causes is within it.", with("depth", Uint(0)));
    good(
        "form_value_empty",
        "A component may be the empty text.",
        with("surroundings", array([place("tier", &["", "é"])])),
    );
}

fn refused_forms(maker: &mut Maker) {
    let mut bad = |name: &str, about: &str, scope: Structure| {
        maker.refuse(&format!("form_{name}"), about, pair(&scope, &open()), Malformed);
    };
    bad("window_missing", "A mandate that does not end.", Structure::of(&[0xa0]));
    bad("window_empty", "A window that is empty.", with("window", window(1000, 1000)));
    bad("unknown_constraint", "A constraint that there is not.", with("amount", Uint(5)));
    bad("uses_zero", "No use at all.", with("uses", Uint(0)));
    bad("depth_null", "An optional field is absent, never null.", with("depth", Null));
    for field in ["folders", "contents", "gateways", "programs", "surroundings"] {
        bad(&format!("{field}_none"), "A constraint that allows nothing.", with(field, array([])));
    }
    bad("folders_unsorted", "Paths that do not ascend.", with("folders", paths(&["/b", "/a"])));
    bad("folders_twice", "One path twice.", with("folders", paths(&["/a", "/a"])));
    bad("folders_text", "A path as text.", with("folders", texts(&["/a"])));
    for (name, path) in [
        ("relative", "a"),
        ("empty", ""),
        ("dot", "/a/./b"),
        ("dots", "/a/.."),
        ("double_slash", "/a//b"),
        ("ends_in_slash", "/a/"),
        ("zero_byte", "/a\0"),
    ] {
        bad(&format!("path_{name}"), "A path of another form.", with("folders", paths(&[path])));
    }
    bad("contents_short", "A digest of 31 bytes.", with("contents", array([bytes(&[1; 31])])));
    bad("gateways_unsorted", "Names that do not ascend.", with("gateways", texts(&["b", "a"])));
    bad("gateways_no_name", "A name with a space.", with("gateways", texts(&["a b"])));
    refused_programs_and_places(maker);
}

fn refused_programs_and_places(maker: &mut Maker) {
    let mut bad = |name: &str, about: &str, scope: Structure| {
        maker.refuse(&format!("form_{name}"), about, pair(&scope, &open()), Malformed);
    };
    let programs = |programs: Vec<Value>| with("programs", array(programs));
    bad(
        "programs_beneath_first",
        "Exact stands before beneath.",
        programs(vec![program("beneath", "/a"), program("exact", "/a")]),
    );
    bad(
        "programs_arguments_first",
        "Without arguments stands before with them.",
        programs(vec![program_with("exact", "/a", &["a"]), program("exact", "/a")]),
    );
    bad("programs_twice", "One program twice.", programs(vec![program("exact", "/a"), program("exact", "/a")]));
    bad(
        "program_both",
        "Exact and beneath.",
        programs(vec![map([("exact", bytes(b"/a")), ("beneath", bytes(b"/a"))])]),
    );
    bad("program_neither", "Neither exact nor beneath.", programs(vec![map([("argv", paths(&["a"]))])]));
    bad(
        "program_unknown_field",
        "A field that there is not.",
        programs(vec![map([("exact", bytes(b"/a")), ("cwd", bytes(b"/a"))])]),
    );
    bad("program_argv_none", "The beginning of no arguments.", programs(vec![program_with("exact", "/a", &[])]));
    bad(
        "program_argv_zero_byte",
        "An argument with a zero byte.",
        programs(vec![program_with("exact", "/a", &["\0"])]),
    );
    bad(
        "program_argv_text",
        "An argument as text.",
        programs(vec![map([("exact", bytes(b"/a")), ("argv", texts(&["a"]))])]),
    );
    let places = |places: Vec<Value>| with("surroundings", array(places));
    bad(
        "surroundings_unsorted",
        "Components that do not ascend.",
        places(vec![place("b", &["x"]), place("a", &["x"])]),
    );
    bad("surroundings_twice", "One component twice.", places(vec![place("a", &["x"]), place("a", &["y"])]));
    bad("surroundings_without_values", "A component that may be nothing.", places(vec![place("a", &[])]));
    bad("surroundings_values_unsorted", "Values that do not ascend.", places(vec![place("a", &["y", "x"])]));
    bad("surroundings_no_label", "A name in capitals.", places(vec![place("A", &["x"])]));
    let long: Vec<String> = (0..80).map(|number| format!("/{number:0>210}")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    bad("too_large", "More than 16,384 bytes.", with("folders", paths(&long)));
}

fn narrower(maker: &mut Maker) {
    let mut good = |name: &str, about: &str, child: Structure, parent: Structure| {
        maker.accept(&format!("narrows_{name}"), about, pair(&child, &parent), json!({}));
    };
    good("itself", "Every scope narrows itself.", full(), full());
    good("more_constraints", "What the parent does not speak of may be said.", full(), open());
    good("window", "Inside the parent's window.", with("window", window(1001, 1999)), open());
    good("uses", "Fewer.", with("uses", Uint(4)), with("uses", Uint(5)));
    good("depth", "Less deep.", with("depth", Uint(0)), with("depth", Uint(1)));
    good(
        "folders",
        "In the folder, and in another.",
        with("folders", paths(&["/a/b", "/c"])),
        with("folders", paths(&["/a", "/c"])),
    );
    good(
        "folders_root",
        "Everything lies beneath the root.",
        with("folders", paths(&["/a"])),
        with("folders", paths(&["/"])),
    );
    good("contents", "Some of them.", with("contents", hashes(&["git"])), with("contents", hashes(&["bash", "git"])));
    good("gateways", "Some of them.", with("gateways", texts(&["b"])), with("gateways", texts(&["a", "b"])));
    let programs = |one: Value| with("programs", array([one]));
    good(
        "program_in_folder",
        "A program beneath the folder.",
        programs(program("exact", "/a/b/c")),
        programs(program("beneath", "/a")),
    );
    good(
        "program_folder",
        "A folder beneath the folder.",
        programs(program("beneath", "/a/b")),
        programs(program("beneath", "/a")),
    );
    good(
        "program_arguments",
        "More of the arguments.",
        programs(program_with("exact", "/a", &["a", "b"])),
        programs(program_with("exact", "/a", &["a"])),
    );
    good(
        "program_arguments_new",
        "Arguments where they were any.",
        programs(program_with("exact", "/a", &["a"])),
        programs(program("exact", "/a")),
    );
    good(
        "surroundings",
        "Fewer values, and another component.",
        with("surroundings", array([place("host", &["a"]), place("uid", &["x"])])),
        with("surroundings", array([place("host", &["a", "b"])])),
    );
}

fn wider(maker: &mut Maker) {
    let mut bad = |name: &str, about: &str, child: Structure, parent: Structure| {
        maker.refuse(&format!("widens_{name}"), about, pair(&child, &parent), ScopeWidened);
    };
    for field in ["uses", "depth", "folders", "contents", "gateways", "programs", "surroundings"] {
        bad(&format!("without_{field}"), "A constraint of the parent is missing.", full().remove(field), full());
    }
    bad("window_begins", "It begins earlier.", with("window", window(999, 2000)), open());
    bad("window_ends", "It ends later.", with("window", window(1000, 2001)), open());
    bad("uses", "More.", with("uses", Uint(6)), with("uses", Uint(5)));
    bad("depth", "Deeper.", with("depth", Uint(2)), with("depth", Uint(1)));
    bad("folders_above", "The folder above.", with("folders", paths(&["/a"])), with("folders", paths(&["/a/b"])));
    bad(
        "folders_beside",
        "A folder whose name begins so.",
        with("folders", paths(&["/a/bc"])),
        with("folders", paths(&["/a/b"])),
    );
    bad(
        "folders_one_more",
        "One folder is in none.",
        with("folders", paths(&["/a", "/b"])),
        with("folders", paths(&["/a"])),
    );
    bad(
        "contents",
        "Other contents.",
        with("contents", hashes(&["git", "sh"])),
        with("contents", hashes(&["bash", "git"])),
    );
    bad("gateways", "Another gateway.", with("gateways", texts(&["a", "c"])), with("gateways", texts(&["a", "b"])));
    wider_programs(maker);
}

fn wider_programs(maker: &mut Maker) {
    let mut bad = |name: &str, about: &str, child: Structure, parent: Structure| {
        maker.refuse(&format!("widens_{name}"), about, pair(&child, &parent), ScopeWidened);
    };
    let programs = |one: Value| with("programs", array([one]));
    bad(
        "program_exact_to_beneath",
        "What is beneath a program's own path.",
        programs(program("beneath", "/a")),
        programs(program("exact", "/a")),
    );
    bad(
        "program_folder_itself",
        "The folder as a program.",
        programs(program("exact", "/a")),
        programs(program("beneath", "/a")),
    );
    bad(
        "program_folder_above",
        "The folder above.",
        programs(program("beneath", "/a")),
        programs(program("beneath", "/a/b")),
    );
    bad(
        "program_beside",
        "A program in a folder whose name begins so.",
        programs(program("exact", "/ab/c")),
        programs(program("beneath", "/a")),
    );
    bad(
        "program_arguments_any",
        "Any arguments.",
        programs(program("exact", "/a")),
        programs(program_with("exact", "/a", &["a"])),
    );
    bad(
        "program_arguments_fewer",
        "Fewer of the arguments.",
        programs(program_with("exact", "/a", &["a"])),
        programs(program_with("exact", "/a", &["a", "b"])),
    );
    bad(
        "program_arguments_joined",
        "Arguments are compared whole.",
        programs(program_with("exact", "/a", &["ab"])),
        programs(program_with("exact", "/a", &["a"])),
    );
    bad(
        "program_arguments_of_another",
        "The arguments that are allowed for another program.",
        programs(program_with("exact", "/a", &["b"])),
        with("programs", array([program_with("exact", "/a", &["a"]), program_with("exact", "/b", &["b"])])),
    );
    let places = |places: Vec<Value>| with("surroundings", array(places));
    bad(
        "surroundings_value",
        "Another value.",
        places(vec![place("host", &["a", "c"])]),
        places(vec![place("host", &["a", "b"])]),
    );
    bad(
        "surroundings_component",
        "Another component instead.",
        places(vec![place("uid", &["a"])]),
        places(vec![place("host", &["a"])]),
    );
}

fn git_push() -> ExecFields {
    ExecFields {
        cwd: b"/srv/build/app".to_vec(),
        argv: ["git", "push", "origin"].map(|word| word.as_bytes().to_vec()).to_vec(),
        path: b"/opt/git/bin/git".to_vec(),
        variables: Variables::new([]).unwrap(),
        stdin: Stdin::Null,
        executable: digest("git"),
        interpreter: None,
    }
}

fn script() -> ExecFields {
    let interpreter = Interpreter { path: b"/usr/bin/bash".to_vec(), digest: digest("bash") };
    ExecFields { interpreter: Some(interpreter), ..git_push() }
}

fn asked(scope: &Structure, exec: ExecFields) -> Json {
    let action = Action::Exec(Exec::new(exec).unwrap()).encode().unwrap();
    json!({
        "hex": hex(&scope.bytes()),
        "action": hex(&action),
        "now_ms": 1500,
        "depth": 2,
        "gateway": "process/01",
        "surroundings": [["host", "a"], ["uid", "same"]],
    })
}

fn changed(mut input: Json, field: &str, value: Json) -> Json {
    input[field] = value;
    input
}

fn inside(maker: &mut Maker) {
    let mut good =
        |name: &str, about: &str, input: Json| maker.accept(&format!("contains_{name}"), about, input, json!({}));
    good("all", "Every constraint holds.", asked(&full(), git_push()));
    good("open", "Nothing but its time constrains it.", changed(asked(&open(), git_push()), "depth", json!(1000)));
    good("begins", "Its first moment.", changed(asked(&full(), git_push()), "now_ms", json!(1000)));
    good("last", "Its last moment.", changed(asked(&full(), git_push()), "now_ms", json!(1999)));
    good("script", "A script and what interprets it.", asked(&full(), script()));
    good(
        "exact",
        "A program by its own path.",
        asked(&full(), ExecFields { path: b"/usr/bin/make".to_vec(), ..git_push() }),
    );
    good(
        "folder_itself",
        "The folder itself as working directory.",
        asked(&full(), ExecFields { cwd: b"/srv/build".to_vec(), ..git_push() }),
    );
}

fn outside(maker: &mut Maker) {
    let mut bad =
        |name: &str, about: &str, input: Json, code: Code| maker.refuse(&format!("outside_{name}"), about, input, code);
    let good = || asked(&full(), git_push());
    let of = |exec| asked(&full(), exec);
    bad("before", "Before it begins.", changed(good(), "now_ms", json!(999)), NotYetValid);
    bad("after", "At its end.", changed(good(), "now_ms", json!(2000)), Expired);
    bad("depth", "One step too deep.", changed(good(), "depth", json!(3)), ScopeWidened);
    bad("gateway", "Another gateway.", changed(good(), "gateway", json!("process/03")), ScopeWidened);
    bad("program", "Another program.", of(ExecFields { path: b"/usr/bin/rm".to_vec(), ..git_push() }), ScopeWidened);
    bad(
        "program_dots",
        "A path that leads out of the folder.",
        of(ExecFields { path: b"/opt/../usr/bin/rm".to_vec(), ..git_push() }),
        ScopeWidened,
    );
    bad(
        "program_beside",
        "A folder whose name begins so.",
        of(ExecFields { path: b"/optional/git".to_vec(), ..git_push() }),
        ScopeWidened,
    );
    bad(
        "program_folder",
        "The folder itself is no program in it.",
        of(ExecFields { path: b"/opt".to_vec(), ..git_push() }),
        ScopeWidened,
    );
    let argv =
        |argv: &[&str]| of(ExecFields { argv: argv.iter().map(|one| one.as_bytes().to_vec()).collect(), ..git_push() });
    bad("arguments", "Other arguments.", argv(&["git", "pull"]), ScopeWidened);
    bad("arguments_fewer", "Fewer arguments than the beginning has.", argv(&["git"]), ScopeWidened);
    bad("arguments_joined", "Arguments are compared whole.", argv(&["git", "push --force"]), ScopeWidened);
    bad("argv_0", "Another name for the program.", argv(&["rm", "push"]), ScopeWidened);
    bad("folder", "Another working directory.", of(ExecFields { cwd: b"/srv".to_vec(), ..git_push() }), ScopeWidened);
    bad(
        "folder_beside",
        "A folder whose name begins so.",
        of(ExecFields { cwd: b"/srv/build-2".to_vec(), ..git_push() }),
        ScopeWidened,
    );
    bad(
        "folder_dots",
        "A path that leads out of the folder.",
        of(ExecFields { cwd: b"/srv/build/..".to_vec(), ..git_push() }),
        ScopeWidened,
    );
    bad("contents", "Other contents.", of(ExecFields { executable: digest("other"), ..git_push() }), ScopeWidened);
    let other = Interpreter { path: b"/usr/bin/bash".to_vec(), digest: digest("other") };
    bad(
        "contents_interpreter",
        "Other contents of what interprets it.",
        of(ExecFields { interpreter: Some(other), ..script() }),
        ScopeWidened,
    );
    bad("surroundings", "Another value.", changed(good(), "surroundings", json!([["host", "c"]])), ScopeWidened);
    bad(
        "surroundings_missing",
        "A component that was not measured.",
        changed(good(), "surroundings", json!([["uid", "a"]])),
        ScopeWidened,
    );
}
