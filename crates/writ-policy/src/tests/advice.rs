//! Questions about somebody: what of them reaches the engine, and what denies because it cannot.

use super::fixture::*;
use crate::decide::answer;
use crate::{Advised, Decision, Deny, Facts, Found, PolicySet, Problem, advise, decide, explain};
use proptest::prelude::*;
use writ_protocol::Code;
use writ_protocol::action::{Action, Advice, AdviceFields, Asks, Members, Page, Party, QuestionText, Verb};
use writ_protocol::cbor::Value;

const SCHEMA: &str = r#"
entity desk in [desk] { floor: Long };
entity clerk in [Group] { level?: Long, desk?: desk };
@from("request") entity letter { from: String, to?: clerk, weight?: Long };
type Sent = { stamped?: Bool };
action send, burn appliesTo { principal: [clerk, User], resource: letter, context: { action: Sent, hour?: Long, now: datetime, asker: String, via?: desk } };
action sit appliesTo { principal: clerk, resource: desk, context: { approvals: Set<String> } };
"#;

const PEOPLE: &str = r#"[
  { "uid": { "type": "Group", "id": "post" }, "attrs": {}, "parents": [] },
  { "uid": { "type": "Group", "id": "owners" }, "attrs": {}, "parents": [] },
  { "uid": { "type": "desk", "id": "hall" }, "attrs": { "floor": 1 }, "parents": [] },
  { "uid": { "type": "desk", "id": "d1" }, "attrs": { "floor": 1 }, "parents": [{ "type": "desk", "id": "hall" }] },
  { "uid": { "type": "desk", "id": "d2" }, "attrs": { "floor": 2 }, "parents": [] },
  { "uid": { "type": "clerk", "id": "kim" }, "attrs": { "desk": { "type": "desk", "id": "d1" } }, "parents": [{ "type": "Group", "id": "post" }] },
  { "uid": { "type": "clerk", "id": "lee" }, "attrs": { "level": 3 }, "parents": [] },
  { "uid": { "type": "Agent", "id": "builder" }, "attrs": {}, "parents": [] },
  { "uid": { "type": "User", "id": "ada" }, "attrs": {}, "parents": [{ "type": "Group", "id": "post" }] }
]"#;

const POLICIES: &str = r#"
@id("asks") permit (principal == Agent::"builder", action == Action::"advise", resource);
@id("post-sends") permit (principal in Group::"post", action == Action::"send", resource);
@id("heavy") forbid (principal, action == Action::"send", resource) when { resource has weight && resource.weight > 20 };
@id("to-the-hall") forbid (principal, action == Action::"send", resource)
when { resource has to && resource.to has desk && resource.to.desk in desk::"hall" };
@id("by-level") permit (principal is clerk, action == Action::"burn", resource)
when { principal has level && principal.level >= 3 && context.action has stamped && !context.action.stamped };
@id("sits") permit (principal, action == Action::"sit", resource);
@id("owners-agree") @approval("2 of owners") forbid (principal, action == Action::"sit", resource == desk::"d2");
"#;

fn domain() -> PolicySet {
    of(POLICIES)
}

fn of(policies: &str) -> PolicySet {
    let files = [("p.cedar", policies), ("schema.cedarschema", SCHEMA), ("entities.json", PEOPLE)];
    compile(&files).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

fn text(text: &str) -> QuestionText {
    QuestionText::new(text).unwrap()
}

fn members(members: &[(&str, Value)]) -> Members {
    Members::new(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()).unwrap()
}

fn words(word: &str) -> Value {
    Value::Text(word.to_owned())
}

fn party(kind: &str, id: &str, properties: &[(&str, Value)]) -> Party {
    Party { id: Some(text(id)), kind: text(kind), properties: members(properties) }
}

fn verb(name: &str) -> Option<Verb> {
    Some(Verb { name: text(name), properties: Members::default() })
}

fn fields(subject: Party, action: &str, resource: Party) -> AdviceFields {
    let context = Members::default();
    AdviceFields { asks: Asks::Evaluation, page: None, action: verb(action), context, subject, resource }
}

fn letter(properties: &[(&str, Value)]) -> Party {
    let from = [("from", words("us"))];
    party("letter", "l1", &[&from, properties].concat())
}

fn question(fields: AdviceFields) -> Action {
    Action::Advice(Advice::new(fields).unwrap())
}

/// `kim` sends a letter.
fn sends(properties: &[(&str, Value)]) -> AdviceFields {
    fields(party("clerk", "kim", &[]), "send", letter(properties))
}

#[track_caller]
fn answered(set: &PolicySet, fields: AdviceFields) -> Decision {
    match advise(set, &question(fields), &facts()) {
        Ok(Advised::Evaluated(decision)) => decision,
        other => panic!("expected an evaluation, found {other:?}"),
    }
}

#[track_caller]
fn permitted(set: &PolicySet, fields: AdviceFields) {
    let found = answered(set, fields);
    assert!(matches!(found, Decision::Permit(_)), "{found:?}");
}

#[track_caller]
fn refused(set: &PolicySet, fields: AdviceFields, code: Code, says: &str) {
    let Decision::Deny(deny) = answered(set, fields) else { panic!("expected a denial") };
    assert_eq!(deny.code, code, "{deny:?}");
    let said = format!("{:?} {:?}", deny.reasons, deny.errors);
    assert!(said.contains(says), "{said}");
}

#[test]
fn a_question_is_answered_by_who_and_what_the_set_knows() {
    let set = domain();
    permitted(&set, sends(&[]));
    permitted(&set, fields(party("User", "ada", &[]), "send", letter(&[])));
    refused(&set, fields(party("clerk", "lee", &[]), "send", letter(&[])), Code::PolicyDenied, "[]");
}

#[test]
fn properties_count_as_far_as_they_are_declared() {
    let set = domain();
    permitted(&set, sends(&[("weight", Value::Uint(20))]));
    refused(&set, sends(&[("weight", Value::Uint(21))]), Code::PolicyDenied, "heavy");
    // What no policy could read: any value, also one that the engine has no form for.
    permitted(&set, sends(&[("colour", Value::Float(0.5)), ("shape", Value::Null)]));
    let mut context = sends(&[]);
    context.context = members(&[("ip", words("10.0.0.1")), ("time", Value::Null)]);
    permitted(&set, context);
    let mut burns = fields(party("clerk", "lee", &[]), "burn", letter(&[]));
    burns.action = Some(Verb { name: text("burn"), properties: members(&[("stamped", Value::Bool(false))]) });
    permitted(&set, burns.clone());
    burns.action = Some(Verb { name: text("burn"), properties: members(&[("stamped", Value::Bool(true))]) });
    refused(&set, burns.clone(), Code::PolicyDenied, "[]");
    burns.action = verb("burn");
    refused(&set, burns, Code::PolicyDenied, "[]");
}

/// A property that names an entity leads on to what the set knows of it, which is no part of the question.
#[test]
fn what_a_property_names_is_followed() {
    let set = domain();
    let clerk = |id: &str| Value::Map(vec![("type".to_owned(), words("clerk")), ("id".to_owned(), words(id))]);
    refused(&set, sends(&[("to", clerk("kim"))]), Code::PolicyDenied, "to-the-hall");
    permitted(&set, sends(&[("to", clerk("lee"))]));
    refused(&set, sends(&[("to", clerk("nobody"))]), Code::EvaluationError, "nobody");
    let mut via = sends(&[]);
    let desk = Value::Map(vec![("type".to_owned(), words("desk")), ("id".to_owned(), words("d9"))]);
    via.context = members(&[("via", desk)]);
    refused(&set, via, Code::EvaluationError, "d9");
}

#[test]
fn what_cannot_be_put_exactly_is_an_error_and_denies() {
    let set = domain();
    let error = |fields: AdviceFields, says: &str| refused(&set, fields, Code::EvaluationError, says);
    for value in [words("21"), Value::Float(20.5), Value::Null, Value::Uint(u64::MAX), Value::Array(vec![])] {
        error(sends(&[("weight", value)]), "do not fit the schema");
    }
    // A letter without `from`, which the schema requires.
    error(fields(party("clerk", "kim", &[]), "send", party("letter", "l1", &[])), "do not fit the schema");
    error(fields(party("clerk", "lee", &[("level", Value::Uint(4))]), "send", letter(&[])), "is not what the domain");
    permitted(&set, {
        let mut fields = fields(party("clerk", "kim", &[("level", Value::Uint(4))]), "burn", letter(&[]));
        fields.action = Some(Verb { name: text("burn"), properties: members(&[("stamped", Value::Bool(false))]) });
        fields
    });
    for node in ["now", "asker", "action"] {
        let mut fields = sends(&[]);
        fields.context = members(&[(node, words("x"))]);
        error(fields, "is for the node to say");
    }
    let mut hour = sends(&[]);
    hour.context = members(&[("hour", words("noon"))]);
    error(hour, "is not valid");
}

#[test]
fn whatever_is_unknown_denies() {
    let set = domain();
    let error = |fields: AdviceFields, says: &str| refused(&set, fields, Code::EvaluationError, says);
    error(fields(party("clerk", "max", &[]), "send", letter(&[])), "is no entity of this domain");
    error(fields(party("User", "ada", &[]), "sit", party("desk", "d1", &[])), "not valid");
    error(fields(party("clerk", "kim", &[]), "sit", party("desk", "d7", &[])), "is no entity of this domain");
    error(fields(party("spaceship", "one", &[]), "send", letter(&[])), "spaceship");
    error(fields(party("no type", "one", &[]), "send", letter(&[])), "no type of this domain");
    error(fields(party("", "", &[]), "send", letter(&[])), "no type of this domain");
    error(fields(party("clerk", "kim", &[]), "fly", letter(&[])), "no action of this domain");
    error(fields(party("clerk", "kim", &[]), "send\" || true", letter(&[])), "no action of this domain");
}

#[test]
fn actions_of_writ_itself_are_never_advised_on() {
    let set = of(r#"@id("all") permit (principal, action, resource);"#);
    let domain = || party("Domain", "this", &[]);
    for action in ["exec", "revoke", "halt", "approve", "reject", "advise"] {
        let fields = fields(party("Agent", "builder", &[]), action, domain());
        refused(&set, fields, Code::EvaluationError, "an action of Writ itself");
    }
}

#[test]
fn policy_says_who_may_ask_about_whom() {
    let set = of(r#"
@id("own") permit (principal, action == Action::"advise", resource) when { context.own };
@id("about-clerks") permit (principal, action == Action::"advise", resource)
when { context.asks == "evaluation" && context has subject && context.subject like "clerk::*" };
@id("all") permit (principal, action == Action::"send", resource);
"#);
    permitted(&set, sends(&[]));
    let about_ada = fields(party("User", "ada", &[]), "send", letter(&[]));
    let deny = advise(&set, &question(about_ada.clone()), &facts()).unwrap_err();
    assert_eq!((deny.code, deny.reasons.len()), (Code::PolicyDenied, 0));
    let ada = Facts { principal: principal("User", "ada"), ..facts() };
    let own = advise(&set, &question(about_ada.clone()), &ada).unwrap();
    assert!(matches!(own, Advised::Evaluated(Decision::Permit(_))), "{own:?}");
    let mut search = sends(&[]);
    (search.asks, search.subject.id, search.page) = (Asks::Subjects, None, Some(page(None, 10)));
    advise(&set, &question(search), &facts()).unwrap_err();
    let unknown = Facts { principal: principal("User", "eve"), ..facts() };
    assert_eq!(advise(&set, &question(about_ada), &unknown).unwrap_err().code, Code::EvaluationError);
}

#[test]
fn a_forbid_that_approvals_lift_says_whose() {
    let set = domain();
    let sit = |desk: &str| fields(party("clerk", "kim", &[]), "sit", party("desk", desk, &[]));
    permitted(&set, sit("d1"));
    let Decision::Hold(hold) = answered(&set, sit("d2")) else { panic!("expected a hold") };
    assert_eq!(hold.needs.iter().map(|need| need.group.as_str()).collect::<Vec<_>>(), ["owners"]);
    let mut claims = sit("d2");
    claims.context = members(&[("approvals", Value::Array(vec![words("2 of owners")]))]);
    refused(&set, claims, Code::EvaluationError, "is for the node to say");
}

#[test]
fn a_permit_with_terms_that_only_an_execution_keeps_is_none() {
    for annotation in [r#"@budget("3")"#, r#"@sandbox("strict")"#] {
        let set = of(&format!(
            r#"@id("asks") permit (principal, action == Action::"advise", resource);
@id("p") {annotation} permit (principal, action == Action::"send", resource);"#
        ));
        refused(&set, sends(&[]), Code::EvaluationError, "ask for a writ");
        let set = of(&format!(
            r#"@id("asks") {annotation} permit (principal, action == Action::"advise", resource);
@id("p") permit (principal, action == Action::"send", resource);"#
        ));
        let deny = advise(&set, &question(sends(&[])), &facts()).unwrap_err();
        assert_eq!(deny.code, Code::EvaluationError, "a limit on asking that nobody would keep");
    }
}

fn page(after: Option<&str>, limit: u64) -> Page {
    Page { after: after.map(text), limit }
}

fn searched(set: &PolicySet, fields: AdviceFields) -> (Vec<String>, Option<String>) {
    match advise(set, &question(fields), &facts()) {
        Ok(Advised::Found(Found { results, next })) => {
            let results = results.iter().map(|one| one.as_str().to_owned()).collect();
            (results, next.map(|next| next.as_str().to_owned()))
        }
        other => panic!("expected a search, found {other:?}"),
    }
}

#[test]
fn a_search_finds_what_would_be_permitted_page_by_page() {
    let set = domain();
    let sits = |asks, page| {
        let mut fields = fields(party("clerk", "kim", &[]), "sit", party("desk", "d1", &[]));
        (fields.asks, fields.page) = (asks, Some(page));
        match asks {
            Asks::Subjects => fields.subject.id = None,
            Asks::Resources => fields.resource.id = None,
            Asks::Actions => fields.action = None,
            Asks::Evaluation => {}
        }
        fields
    };
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(searched(&set, sits(Asks::Subjects, page(None, 10))), (list(&["kim", "lee"]), None));
    assert_eq!(searched(&set, sits(Asks::Resources, page(None, 10))), (list(&["d1", "hall"]), None));
    assert_eq!(searched(&set, sits(Asks::Actions, page(None, 10))), (list(&["sit"]), None));
    let (first, next) = searched(&set, sits(Asks::Resources, page(None, 1)));
    assert_eq!((first, next.as_deref()), (list(&["d1"]), Some("d1")));
    assert_eq!(searched(&set, sits(Asks::Resources, page(Some("d1"), 1))), (list(&["hall"]), None));
    assert_eq!(searched(&set, sits(Asks::Resources, page(None, 0))), (list(&[]), Some(String::new())));
    let mut unknown = sits(Asks::Subjects, page(None, 10));
    unknown.subject.kind = text("spaceship");
    assert_eq!(searched(&set, unknown), (list(&[]), None));
}

#[test]
fn a_search_has_no_decision_and_an_execution_no_advice() {
    let set = domain();
    let mut search = sends(&[]);
    (search.asks, search.subject.id, search.page) = (Asks::Subjects, None, Some(page(None, 10)));
    let Decision::Deny(Deny { code, .. }) = decide(&set, &question(search), &facts()) else { panic!() };
    assert_eq!(code, Code::EvaluationError);
    assert_eq!(advise(&set, &exec(&["cargo"]), &facts()).unwrap_err().code, Code::EvaluationError);
}

#[test]
fn an_answer_is_explained() {
    let set = domain();
    let told = explain(&set, &question(sends(&[("weight", Value::Uint(21))])), &facts(), crate::Depth::FULL);
    assert!(told.policies.iter().any(|told| told.id.as_str() == "heavy"), "{told:?}");
}

#[test]
fn entities_come_with_requests_only_where_the_schema_says_so() {
    let found = problems(&[
        ("p.cedar", ""),
        ("schema.cedarschema", "@from(\"anywhere\") entity letter;"),
        ("entities.json", "[]"),
    ]);
    assert!(matches!(&found[..], [Problem::Schema(why)] if why.contains("@from")), "{found:?}");
}

proptest! {
    /// The entities that an evaluation cannot come to are left out; with all of them it is answered the same.
    #[test]
    fn what_is_left_out_of_the_entities_changes_nothing(
        subject in prop::sample::select(vec!["kim", "lee"]),
        to in prop::sample::select(vec!["kim", "lee"]),
        weight in 0_u64..40,
    ) {
        let set = domain();
        let to = Value::Map(vec![("type".to_owned(), words("clerk")), ("id".to_owned(), words(to))]);
        let action = question(fields(
            party("clerk", subject, &[]), "send", letter(&[("to", to), ("weight", Value::Uint(weight))]),
        ));
        let facts = facts();
        let asked = crate::request::Asked::of(&set, &action, &facts).unwrap();
        let whole = std::sync::Arc::new(crate::index::Selection { literals: None, ..set.index.whole() });
        let whole = crate::request::Question::of(&set, whole, &action, &facts, asked).unwrap();
        let whole = answer(&set, &whole, &facts).map(|permit| permit.reasons);
        let lean = match decide(&set, &action, &facts) {
            Decision::Permit(permit) => Ok(permit.reasons),
            Decision::Deny(deny) => Err(deny),
            Decision::Hold(_) => panic!("nothing is held"),
        };
        prop_assert_eq!(whole, lean);
    }
}
