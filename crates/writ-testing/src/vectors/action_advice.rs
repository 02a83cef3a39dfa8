//! Questions about somebody.

use super::case::{Case, Maker};
use super::mutation::{Structure, map, text};
use crate::scenario::question;
use serde_json::json;
use writ_protocol::Code::{Malformed, UnsupportedVersion};
use writ_protocol::action::{Action, Advice, AdviceFields, Asks, Members, Page, QuestionText};
use writ_protocol::cbor::Value as Item;

pub(super) fn cases() -> Vec<Case> {
    let mut maker = Maker::new("action", "action");
    good(&mut maker);
    faults(&mut maker);
    maker.done()
}

fn encoded(question: Advice) -> Vec<u8> {
    Action::Advice(question).encode().unwrap()
}

fn search(asks: Asks, after: Option<&str>) -> Advice {
    let mut fields = AdviceFields::clone(&question(false));
    let after = after.map(|after| QuestionText::new(after).unwrap());
    (fields.asks, fields.page) = (asks, Some(Page { after, limit: 100 }));
    match asks {
        Asks::Subjects => fields.subject.id = None,
        Asks::Resources => fields.resource.id = None,
        Asks::Actions => fields.action = None,
        Asks::Evaluation => {}
    }
    Advice::new(fields).unwrap()
}

fn good(maker: &mut Maker) {
    let mut accept = |name: &str, about: &str, question: Advice| {
        let input = json!({ "hex": super::case::hex(&encoded(question)) });
        maker.accept(&format!("advice_{name}"), about, input, json!({ "kind": "advice" }));
    };
    accept("evaluation", "Whether somebody may do something.", question(false));
    accept("subjects", "Who may.", search(Asks::Subjects, None));
    accept("resources", "To what.", search(Asks::Resources, Some("l1")));
    accept("actions", "Which actions, from one on.", search(Asks::Actions, Some("")));
    let mut fields = AdviceFields::clone(&question(false));
    let all = [
        ("array", Item::Array(vec![Item::Nint(-1), Item::Null, Item::Text("ü".to_owned())])),
        ("bool", Item::Bool(true)),
        ("float", Item::Float(0.5)),
        ("map", Item::Map(vec![("inner".to_owned(), Item::Uint(u64::MAX))])),
        ("", Item::Text(String::new())),
    ];
    fields.context = Members::new(all.map(|(name, value)| (name.to_owned(), value)).to_vec()).unwrap();
    fields.subject.id = Some(QuestionText::new("ü \" ::").unwrap());
    accept("every_value", "Whatever JSON can say, and an id that is no name.", Advice::new(fields).unwrap());
}

fn faults(maker: &mut Maker) {
    let mut bad = |name: &str, about: &str, structure: Structure| {
        let input = json!({ "hex": super::case::hex(&structure.bytes()) });
        maker.refuse(&format!("advice_{name}"), about, input, Malformed);
    };
    let one = || Structure::of(&encoded(question(false)));
    let subjects = || Structure::of(&encoded(search(Asks::Subjects, None)));
    let actions = || Structure::of(&encoded(search(Asks::Actions, None)));
    bad("asks_unknown", "A kind of question that there is not.", one().set("3/asks", text("everything")));
    bad("asks_number", "A kind of question as a number.", one().set("3/asks", Item::Uint(1)));
    bad("without_asks", "Nothing is asked.", one().remove("3/asks"));
    for (part, at) in
        [("subject", "3/subject"), ("action", "3/action"), ("resource", "3/resource"), ("context", "3/context")]
    {
        bad(&format!("without_{part}"), "A part is missing.", one().remove(at));
    }
    bad("subject_without_id", "Nobody in particular.", one().remove("3/subject/id"));
    bad("resource_without_id", "Nothing in particular.", one().remove("3/resource/id"));
    bad("subjects_with_id", "Who may, and it is said who.", subjects().add("3/subject", "id", text("ada")));
    bad("subjects_without_page", "A search without a page.", subjects().remove("3/page"));
    bad(
        "actions_with_action",
        "Which actions, and it is said which.",
        actions().add("3", "action", one().get("3/action")),
    );
    bad("evaluation_with_page", "One answer, in pages.", one().add("3", "page", map([("limit", Item::Uint(1))])));
    bad("page_without_limit", "A page without end.", subjects().remove("3/page/limit"));
    bad("id_number", "An id as a number.", one().set("3/subject/id", Item::Uint(7)));
    bad("id_long", "An id of 1,025 bytes.", one().set("3/subject/id", text(&"a".repeat(1_025))));
    bad("type_null", "A type that is null.", one().set("3/resource/type", Item::Null));
    bad("properties_array", "Properties as an array.", one().set("3/subject/properties", Item::Array(Vec::new())));
    bad("properties_null", "Properties that are null.", one().set("3/subject/properties", Item::Null));
    bad(
        "context_bytes",
        "A byte string, which JSON has not.",
        one().set("3/context", map([("a", Item::Bytes(vec![1]))])),
    );
    let deep = Item::Array(vec![map([("b", Item::Bytes(Vec::new()))])]);
    bad("property_bytes_inside", "A byte string within.", one().set("3/subject/properties", map([("a", deep)])));
    bad("unknown_field", "A field that the version does not have.", one().add("3", "salt", Item::Uint(1)));
    let input = json!({ "hex": super::case::hex(&one().set("2", Item::Uint(2)).bytes()) });
    maker.refuse("advice_version_2", "A version that this reader does not know.", input, UnsupportedVersion);
}
