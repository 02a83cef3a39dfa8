use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use writ_protocol::Code;

/// One vector.
#[derive(Clone, Debug)]
pub struct Case {
    /// The directory: the format.
    pub directory: &'static str,
    /// The file, without its suffix.
    pub name: String,
    /// What it shows, in one sentence.
    pub about: String,
    /// Which check is run.
    pub check: &'static str,
    /// What the check is given.
    pub input: Value,
    /// What must come out.
    pub expect: Expect,
}

/// What must come out of a case.
#[derive(Clone, Debug)]
pub enum Expect {
    /// It is accepted, with these results.
    Ok(Value),
    /// It is refused.
    Refused(Code),
    /// The bytes are not deterministic CBOR.
    Fault(&'static str),
}

impl Expect {
    /// As it stands in the file.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Ok(results) => json!({ "ok": results }),
            Self::Refused(code) => json!({ "refused": code.as_str() }),
            Self::Fault(fault) => json!({ "fault": fault }),
        }
    }
}

impl Case {
    /// Where it is, below the directory of all vectors.
    pub fn path(&self) -> String {
        format!("{}/{}.json", self.directory, self.name)
    }

    /// The file: fields in the order of the README, those of objects within by name.
    pub fn to_json(&self) -> String {
        let fields = [
            ("about", json!(self.about)),
            ("check", json!(self.check)),
            ("input", self.input.clone()),
            ("expect", self.expect.to_value()),
        ];
        let fields = fields.map(|(name, value)| {
            let value = serde_json::to_string_pretty(&by_name(&value)).unwrap().replace('\n', "\n  ");
            format!("  \"{name}\": {value}")
        });
        format!("{{\n{}\n}}\n", fields.join(",\n"))
    }
}

/// Whether `serde_json` keeps the order of insertion is a feature that any dependency may turn on.
fn by_name(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().map(|(name, value)| (name.clone(), by_name(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(by_name).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Makes the cases of one check.
pub(super) struct Maker {
    directory: &'static str,
    check: &'static str,
    cases: Vec<Case>,
}

impl Maker {
    pub(super) fn new(directory: &'static str, check: &'static str) -> Self {
        Self { directory, check, cases: Vec::new() }
    }

    pub(super) fn accept(&mut self, name: &str, about: &str, input: Value, results: Value) {
        self.push(name, about, input, Expect::Ok(results));
    }

    pub(super) fn refuse(&mut self, name: &str, about: &str, input: Value, code: Code) {
        self.push(name, about, input, Expect::Refused(code));
    }

    pub(super) fn push(&mut self, name: &str, about: &str, input: Value, expect: Expect) {
        let (directory, check) = (self.directory, self.check);
        self.cases.push(Case { directory, name: name.to_owned(), about: about.to_owned(), check, input, expect });
    }

    pub(super) fn done(self) -> Vec<Case> {
        self.cases
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
