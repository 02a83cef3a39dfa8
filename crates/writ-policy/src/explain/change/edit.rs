//! One edit of a request: what it says to a person, and what it does to the action and the facts.

use crate::calendar::Moment;
use crate::facts::Facts;
use crate::text::text_of_bytes;
use std::cmp::Reverse;
use std::fmt;
use writ_protocol::Label;
use writ_protocol::action::{Action, Exec, ExecFields, Stdin, Variables};

/// Something of a request that is made otherwise. Ascending by how much it asks of whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edit {
    /// The argument at this position, from 1, is this.
    Argument(usize, Wanted),
    /// The argument at this position and what follows it are left out; the less, the better.
    ArgumentsFrom(Reverse<usize>),
    /// This argument is added at the end.
    AddArgument(String),
    /// This argument is left out, wherever it stands.
    DropArgument(String),
    /// The arguments are these, separated by spaces.
    Command(String),
    /// An environment variable of this name is passed.
    AddVariable(String),
    /// The environment variables of these names are not passed.
    DropVariables(Vec<String>),
    /// The working directory is this.
    Cwd(Wanted),
    /// Standard input is this.
    Stdin(String),
    /// The reason that an order gives is this.
    Reason(String),
    /// The principal is authenticated so.
    Auth(String),
    /// It is asked at this depth of its lineage.
    Depth(u64),
    /// It runs under the gateway's own uid, or does not.
    SameUid(bool),
    /// It is asked at this time, in milliseconds since 1970.
    Now(u64),
}

/// What an attribute should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// This.
    Value(String),
    /// Something like this pattern; the value is an example of it.
    Like {
        /// As policies write it, with `*`.
        pattern: String,
        /// What was tried.
        example: String,
    },
}

impl Wanted {
    fn value(&self) -> &str {
        match self {
            Self::Value(value) | Self::Like { example: value, .. } => value,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "\"{}\"", value.escape_debug()),
            Self::Like { pattern, example } => {
                write!(f, "something like \"{}\", for example \"{}\"", pattern.escape_debug(), example.escape_debug())
            }
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| format!("\"{}\"", text.escape_debug());
        match self {
            Self::Argument(at, wanted) => write!(f, "argument {at} is {wanted}"),
            Self::ArgumentsFrom(Reverse(at)) => write!(f, "argument {at} and what follows it are left out"),
            Self::AddArgument(text) => write!(f, "the argument {} is added", quoted(text)),
            Self::DropArgument(text) => write!(f, "the argument {} is left out", quoted(text)),
            Self::Command(text) => write!(f, "the command is {}", quoted(text)),
            Self::AddVariable(name) => write!(f, "the environment variable {name} is set"),
            Self::DropVariables(names) => match names.as_slice() {
                [name] => write!(f, "the environment variable {name} is not set"),
                names => write!(f, "none of the environment variables {} is set", names.join(", ")),
            },
            Self::Cwd(wanted) => write!(f, "the working directory is {wanted}"),
            Self::Stdin(kind) => write!(f, "standard input is {kind}"),
            Self::Reason(reason) => write!(f, "the reason is {}", quoted(reason)),
            Self::Auth(auth) if auth == "key" => write!(f, "it is signed with the principal's key"),
            Self::Auth(auth) => write!(f, "the principal is authenticated by {auth}"),
            Self::Depth(0) => write!(f, "it is started from outside every governed execution"),
            Self::Depth(depth) => write!(f, "it is started {depth} steps from the origin of its lineage"),
            Self::SameUid(false) => write!(f, "it runs under another uid than its gateway"),
            Self::SameUid(true) => write!(f, "it runs under the gateway's own uid"),
            Self::Now(ms) => match Moment::from_ms(*ms) {
                Some(moment) => write!(f, "it is asked at {}", moment.full()),
                None => write!(f, "it is asked at {ms} ms"),
            },
        }
    }
}

impl Edit {
    /// The attribute of the context that it is about.
    pub fn attribute(&self) -> String {
        let name = match self {
            Self::Argument(at, _) => return format!("context.arg{at}"),
            Self::ArgumentsFrom(_) => "argc",
            Self::AddArgument(_) | Self::DropArgument(_) => "argv",
            Self::Command(_) => "command",
            Self::AddVariable(_) | Self::DropVariables(_) => "variables",
            Self::Cwd(_) => "cwd",
            Self::Stdin(_) => "stdin",
            Self::Reason(_) => "reason",
            Self::Auth(_) => "auth",
            Self::Depth(_) => "depth",
            Self::SameUid(_) => "same_uid",
            Self::Now(_) => "now",
        };
        format!("context.{name}")
    }

    /// Makes the change; nothing where it cannot be made.
    pub(crate) fn apply(&self, action: &mut Action, facts: &mut Facts) -> Option<()> {
        match self {
            Self::Auth(auth) => facts.auth = Label::new(auth.as_str()).ok()?,
            Self::Depth(depth) => facts.depth = *depth,
            Self::Now(ms) => facts.now_ms = *ms,
            Self::SameUid(same) => {
                let uid = Label::new("uid").ok()?;
                facts.surroundings.retain(|(label, _)| *label != uid);
                facts.surroundings.push((uid, if *same { "same" } else { "other" }.to_owned()));
                facts.surroundings.sort();
            }
            Self::Reason(reason) => match action {
                Action::Order(order) => order.reason = Label::new(reason.as_str()).ok()?,
                Action::Exec(_) | Action::Advice(_) => return None,
            },
            Self::Argument(..)
            | Self::ArgumentsFrom(_)
            | Self::AddArgument(_)
            | Self::DropArgument(_)
            | Self::Command(_)
            | Self::AddVariable(_)
            | Self::DropVariables(_)
            | Self::Cwd(_)
            | Self::Stdin(_) => match action {
                Action::Exec(exec) => *exec = Exec::new(self.edited(ExecFields::clone(exec))?).ok()?,
                Action::Order(_) | Action::Advice(_) => return None,
            },
        }
        Some(())
    }

    fn edited(&self, mut fields: ExecFields) -> Option<ExecFields> {
        match self {
            Self::Argument(at, wanted) => {
                let bytes = bytes_of_text(wanted.value())?;
                if fields.argv.len() == *at {
                    fields.argv.push(bytes);
                } else {
                    *fields.argv.get_mut(*at)? = bytes;
                }
            }
            Self::ArgumentsFrom(Reverse(at)) => fields.argv.truncate((*at).max(1)),
            Self::AddArgument(text) => {
                let bytes = bytes_of_text(text)?;
                if !fields.argv.contains(&bytes) {
                    fields.argv.push(bytes);
                }
            }
            Self::DropArgument(text) => {
                let bytes = bytes_of_text(text)?;
                let mut at = 0;
                // What a program is called by is not its argument.
                fields.argv.retain(|argument| {
                    at += 1;
                    at == 1 || *argument != bytes
                });
            }
            Self::Command(text) => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" _@%+=:,./-".contains(&byte);
                if !text.bytes().all(plain) || text.split(' ').any(str::is_empty) {
                    return None;
                }
                fields.argv = text.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            }
            Self::AddVariable(name) => {
                let name = bytes_of_text(name)?;
                let names =
                    fields.variables.names().iter().chain((!fields.variables.names().contains(&name)).then_some(&name));
                fields.variables = named(names)?;
            }
            Self::DropVariables(names) => {
                let names: Vec<Vec<u8>> = names.iter().map(|name| bytes_of_text(name)).collect::<Option<_>>()?;
                fields.variables = named(fields.variables.names().iter().filter(|name| !names.contains(name)))?;
            }
            Self::Cwd(wanted) => fields.cwd = bytes_of_text(wanted.value())?,
            Self::Stdin(kind) => {
                let all = [Stdin::Null, Stdin::Pipe, Stdin::File, Stdin::Tty, Stdin::Socket];
                fields.stdin = all.into_iter().find(|stdin| stdin.as_str() == kind)?;
            }
            Self::Reason(_) | Self::Auth(_) | Self::Depth(_) | Self::SameUid(_) | Self::Now(_) => return None,
        }
        Some(fields)
    }
}

/// Variables of these names: policies see no more of them.
fn named<'a>(names: impl Iterator<Item = &'a Vec<u8>>) -> Option<Variables> {
    Variables::new(names.map(|name| (name.as_slice(), [].as_slice()))).ok()
}

/// The bytes of which this is the text, where it is their own.
fn bytes_of_text(text: &str) -> Option<Vec<u8>> {
    (text_of_bytes(text.as_bytes()) == text).then(|| text.as_bytes().to_vec())
}
