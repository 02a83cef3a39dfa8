//! An explanation for people, made from its JSON: what a node answered and what a reader of the store derived are told in the same words.

use crate::render::counted;
use serde_json::Value;

/// How much of an explanation is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What stood in the way, and what would not have.
    Obstacles,
    /// Every clause of every policy that speaks of the request.
    Everything,
}

/// The lines of an explanation, indented as those of a refusal are.
pub(crate) fn lines(explanation: &Value, detail: Detail) -> Vec<String> {
    let mut told = Lines { detail, lines: Vec::new(), read: Vec::new() };
    for policy in items(explanation, "policies") {
        let shown = detail == Detail::Everything || text(policy, "role") != "overruled";
        if shown {
            told.policy(policy);
        }
    }
    let near_more = explanation["near_more"].as_u64().unwrap_or_default();
    if near_more > 0 {
        told.say("", &format!("{} came near too", counted(near_more, "more policy", "more policies")));
    }
    told.elsewhere(explanation);
    told.remedy(&explanation["remedy"]);
    told.lines
}

struct Lines {
    detail: Detail,
    lines: Vec<String>,
    /// What the clause before has read: the same is not told twice in a row.
    read: Vec<Value>,
}

impl Lines {
    /// A line with its name in the column of names.
    fn say(&mut self, name: &str, what: &str) {
        self.lines.push(format!("  {name:<7} {what}").trim_end().to_owned());
    }

    fn policy(&mut self, policy: &Value) {
        let role = match (text(policy, "role"), text(policy, "effect")) {
            ("determining", "forbid") => "forbids it",
            ("determining", _) => "permits it",
            ("failed", _) => "could not be evaluated, which denies",
            ("overruled", "forbid") => "forbids it too",
            ("overruled", _) => "permits it, and was overruled",
            (_, "forbid") => "would forbid it, but",
            (_, _) => "would permit it, but",
        };
        let (file, line) = (text(policy, "file"), policy["line"].as_u64().unwrap_or_default());
        self.read.clear();
        self.say("policy", &format!("{} ({file}:{line}) {role}", text(policy, "id")));
        if self.detail == Detail::Everything {
            let scope: Vec<&str> = items(policy, "scope").iter().filter_map(Value::as_str).collect();
            self.say("", &format!("  yes    scope ({})", one_line(&scope.join(", "))));
        }
        for condition in items(policy, "conditions") {
            let unless = text(condition, "kind") == "unless";
            let met = matches!((text(condition, "truth"), unless), ("holds", false) | ("fails", true));
            let near = text(policy, "role") == "near";
            if self.detail == Detail::Obstacles && (!condition["reached"].as_bool().unwrap_or_default() || near && met)
            {
                continue;
            }
            self.say("", &format!("  {}", text(condition, "kind")));
            self.node(&condition["clauses"], 2);
        }
    }

    fn node(&mut self, node: &Value, depth: usize) {
        for (joint, words) in [("all", "all of"), ("any", "any of")] {
            if let Some(nodes) = node[joint].as_array() {
                // What a condition joins by `&&` needs no word for it.
                let deeper = if joint == "all" && depth == 2 { depth } else { depth + 1 };
                if deeper > depth {
                    self.say("", &format!("{}{words}", "  ".repeat(depth)));
                }
                nodes.iter().for_each(|node| self.node(node, deeper));
                return;
            }
        }
        if node["not"].is_object() {
            self.say("", &format!("{}not", "  ".repeat(depth)));
            return self.node(&node["not"], depth + 1);
        }
        self.clause(node, depth);
    }

    fn clause(&mut self, clause: &Value, depth: usize) {
        let indent = "  ".repeat(depth);
        let truth = match text(clause, "truth") {
            "holds" => "yes",
            "fails" => "no",
            _ => "fails",
        };
        let asked = if clause["reached"].as_bool().unwrap_or_default() { "" } else { "   (not asked)" };
        self.say("", &format!("{indent}{truth:<6} {}{asked}", one_line(text(clause, "clause"))));
        if let Some(why) = clause["error"].as_str() {
            self.say("", &format!("{indent}         {}", one_line(why)));
        }
        let before = std::mem::replace(&mut self.read, items(clause, "reads").to_vec());
        for read in items(clause, "reads").iter().filter(|read| !before.contains(read)) {
            let value = read["value"]
                .as_str()
                .map_or_else(|| "is not there, or not shown".to_owned(), |value| format!("= {value}"));
            self.say("", &format!("{indent}         {} {}", text(read, "attribute"), one_line(&value)));
        }
    }

    fn elsewhere(&mut self, explanation: &Value) {
        let missed = items(explanation, "missed");
        for one in missed {
            let (file, line) = (text(one, "file"), one["line"].as_u64().unwrap_or_default());
            let part = one_line(text(one, "part"));
            self.say("policy", &format!("{} ({file}:{line}) permits others: {part}", text(one, "id")));
        }
        let others = explanation["elsewhere"].as_u64().unwrap_or_default();
        if self.detail == Detail::Everything && others > missed.len() as u64 {
            self.say("", &format!("{} not cover this", counted(others, "permit does", "permits do")));
        }
    }

    fn remedy(&mut self, remedy: &Value) {
        match text(remedy, "kind") {
            "changes" => {
                let mut name = "change";
                for change in items(remedy, "changes") {
                    let edits: Vec<&str> = items(change, "edits").iter().map(|edit| text(edit, "change")).collect();
                    let permits: Vec<&str> = items(change, "permits").iter().filter_map(Value::as_str).collect();
                    self.say(name, &format!("permitted by {} if {}", permits.join(", "), edits.join(", and ")));
                    name = "or";
                }
            }
            "no_scope" => self.say("change", "none: no permit is for this principal, action and resource"),
            "not_found" => {
                let forbids: Vec<&str> = items(remedy, "forbids").iter().filter_map(Value::as_str).collect();
                let tried = tried(remedy);
                match forbids.as_slice() {
                    [] => self.say("change", &format!("none found that would be permitted{tried}")),
                    _ => self.say("change", &format!("none found that {} would let pass{tried}", forbids.join(", "))),
                }
            }
            "fails" => {
                self.say("change", &format!("none found with which the policy can be evaluated{}", tried(remedy)));
            }
            "obstructed" => self.say("change", "none can be said: the request could not be put to the policies at all"),
            _ => {}
        }
    }
}

fn tried(remedy: &Value) -> String {
    match remedy["tried"].as_u64().unwrap_or_default() {
        0 => ": no clause compares what a request can change".to_owned(),
        tried => format!(", of {} tried", counted(tried, "change", "changes")),
    }
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Conditions are often written over several lines; here each has one.
fn one_line(text: &str) -> String {
    let without_comments =
        text.lines().map(|line| line.split("//").next().filter(|_| !line.contains('"')).unwrap_or(line));
    without_comments.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Detail, lines};
    use serde_json::json;

    #[test]
    fn an_explanation_is_told_in_lines() {
        let clause = |text: &str, truth: &str, reached: bool, value: Option<&str>| {
            json!({ "clause": text, "line": 3, "truth": truth, "error": null, "reached": reached,
                    "reads": [{ "attribute": "context.arg1", "value": value }] })
        };
        let tree = json!({ "all": [clause("context has arg1", "holds", true, Some("\"push\"")),
            { "any": [clause("context.arg1 ==\n    \"build\"", "fails", true, Some("\"push\"")),
                      { "not": clause("context.depth > 3", "fails", false, None) }] }] });
        let explanation = json!({
            "policies": [{ "id": "build", "file": "b.cedar", "line": 1, "effect": "permit", "role": "near", "truth": "fails",
                "scope": ["principal", "action", "resource"],
                "conditions": [{ "kind": "when", "truth": "fails", "reached": true, "clauses": tree }] }],
            "near_more": 1, "elsewhere": 2, "missed": [],
            "remedy": { "kind": "changes", "changes": [{ "edits": [{ "attribute": "context.arg1", "change": "argument 1 is \"build\"" }], "permits": ["build"] }] },
        });
        let told = lines(&explanation, Detail::Everything).join("\n");
        let expected = r#"  policy  build (b.cedar:1) would permit it, but
            yes    scope (principal, action, resource)
            when
              yes    context has arg1
                       context.arg1 = "push"
              any of
                no     context.arg1 == "build"
                not
                  no     context.depth > 3   (not asked)
                           context.arg1 is not there, or not shown
          1 more policy came near too
          2 permits do not cover this
  change  permitted by build if argument 1 is "build""#;
        assert_eq!(told, expected, "{told}");
        let short = lines(&explanation, Detail::Obstacles).join("\n");
        assert!(!short.contains("scope ("), "{short}");
    }
}
