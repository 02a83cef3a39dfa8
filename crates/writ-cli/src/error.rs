use crate::explained::Detail;
use crate::render::policy_json;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use writ_client::{Denial, Held};
use writ_ledger::LedgerError;
use writ_protocol::{Code, Refusal};

/// How a command ends when it does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The arguments cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// What was to be verified is refused.
    #[error("{0}")]
    Refused(Refusal),
    /// The node refused, on the record.
    #[error("{}: {} (entry {})", .0.code, .0.why, .0.index)]
    Denied(Box<Denial>, Detail),
    /// It waits for approval, on the record.
    #[error("held: {} (entry {})", .0.why, .0.index)]
    Held(Box<Held>),
    /// Something was looked for and found; it has been printed.
    #[error("{0}")]
    Found(String),
    /// The ledger says why.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// Anything else that stood in the way.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }

    /// 1 refused or found, 2 usage, 3 could not be done.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            // Nobody has said no: a script that waits for its node must be able to tell.
            Self::Refused(refusal) if refusal.code() == Code::AuthorityUnreachable => 3,
            Self::Refused(_) | Self::Denied(..) | Self::Held(_) | Self::Found(_) => 1,
            Self::Usage(_) => 2,
            Self::Ledger(_) | Self::File { .. } | Self::Failed(_) => 3,
        }
    }

    /// Tells the person or the program; `exit` is what this process will end with.
    #[expect(clippy::print_stderr, reason = "this is where errors reach the person")]
    pub(crate) fn print(&self, as_json: bool, exit: u8) {
        match (as_json, self) {
            (true, _) => eprintln!("{}", self.json(exit)),
            (false, Self::Refused(refusal)) => {
                eprintln!("refused: {}: {}", refusal.code(), harmless(refusal.why()));
            }
            (false, Self::Denied(denial, detail)) => {
                // Several findings have a line each.
                eprintln!("refused: {}: {}", denial.code, harmless(&denial.why).replace('\n', "\n  "));
                for line in crate::refused::explained(denial, *detail) {
                    eprintln!("{}", harmless(&line));
                }
            }
            (false, Self::Held(held)) => {
                eprintln!("held: {}", harmless(&held.why));
                for line in crate::holds::told(held) {
                    eprintln!("{}", harmless(&line));
                }
            }
            (false, _) => eprintln!("writ: {}", harmless(&self.to_string())),
        }
    }

    fn json(&self, exit: u8) -> Value {
        let error = self.to_string();
        match self {
            Self::Refused(refusal) => {
                json!({ "error": error, "code": refusal.code().as_str(), "index": null, "exit": exit })
            }
            Self::Held(held) => {
                let mut told = crate::holds::told_json(held);
                if let Some(fields) = told.as_object_mut() {
                    fields.insert("error".to_owned(), error.into());
                    fields.insert("exit".to_owned(), exit.into());
                }
                told
            }
            Self::Denied(denial, _) => json!({
                "error": error,
                "code": denial.code.as_str(),
                "why": denial.why,
                "index": denial.index,
                "policies": denial.policies.iter().map(policy_json).collect::<Vec<_>>(),
                "explanation": denial.explanation,
                "next": denial.next,
                "exit": exit,
            }),
            Self::Usage(_) | Self::Found(_) | Self::Ledger(_) | Self::File { .. } | Self::Failed(_) => {
                json!({ "error": error, "code": null, "exit": exit })
            }
        }
    }
}

/// Text as a terminal may show it: what was found in a file may come from an attacker, and control characters move cursors and rewrite lines.
pub(crate) fn harmless(text: &str) -> String {
    let shown = |character: char| {
        let moves = character.is_control() && character != '\n';
        let turns = matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if moves || turns { character.escape_unicode().to_string() } else { character.to_string() }
    };
    text.chars().map(shown).collect()
}

/// Writes a line to standard output, made harmless.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), CliError> {
    write_line(&harmless(&text.to_string()))
}

/// Writes a line with colours in it: whoever calls has made its parts harmless.
pub(crate) fn painted_line(text: &str) -> Result<(), CliError> {
    write_line(text)
}

/// Writes JSON to standard output as it is: its strings are escaped already.
pub(crate) fn json_line(value: &Value) -> Result<(), CliError> {
    write_line(&value.to_string())
}

/// What must be done before this process ends because nobody reads what it writes.
pub(crate) static BEFORE_LEAVING: OnceLock<fn()> = OnceLock::new();

fn write_line(text: &str) -> Result<(), CliError> {
    write(format!("{text}\n").as_bytes())
}

/// Writes to standard output as it is. A closed pipe is the reader's right and ends the command without noise.
pub(crate) fn write(text: &[u8]) -> Result<(), CliError> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            BEFORE_LEAVING.get().inspect(|act| act());
            std::process::exit(0)
        }
        result => result.map_err(|source| CliError::Failed(format!("standard output: {source}"))),
    }
}
