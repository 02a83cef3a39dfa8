use serde_json::json;
use std::path::{Path, PathBuf};
use writ_ledger::LedgerError;
use writ_protocol::Refusal;

/// How a command ends when it does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The arguments cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// What was to be verified is refused.
    #[error("{0}")]
    Refused(Refusal),
    /// An audit found something; it has been printed.
    #[error("{0} findings: this ledger is not as it was signed")]
    Findings(usize),
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
            Self::Refused(_) | Self::Findings(_) => 1,
            Self::Usage(_) => 2,
            Self::Ledger(_) | Self::File { .. } | Self::Failed(_) => 3,
        }
    }

    #[expect(clippy::print_stderr, reason = "this is where errors reach the person")]
    pub(crate) fn print(&self, as_json: bool) {
        let code = match self {
            Self::Refused(refusal) => Some(refusal.code().as_str()),
            Self::Usage(_) | Self::Findings(_) | Self::Ledger(_) | Self::File { .. } | Self::Failed(_) => None,
        };
        match (as_json, self) {
            (true, _) => eprintln!("{}", json!({ "error": self.to_string(), "code": code, "exit": self.exit_code() })),
            (false, Self::Refused(refusal)) => {
                eprintln!("refused: {}: {}", refusal.code(), harmless(refusal.why()));
            }
            (false, _) => eprintln!("writ: {}", harmless(&self.to_string())),
        }
    }
}

/// Text as a terminal may show it: what was found in a file may come from an attacker, and control characters move cursors and rewrite lines.
pub(crate) fn harmless(text: &str) -> String {
    let shown = |character: char| {
        let moves = character.is_control() && character != '\n';
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if moves || turns { character.escape_unicode().to_string() } else { character.to_string() }
    };
    text.chars().map(shown).collect()
}

/// Writes a line to standard output, made harmless.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), CliError> {
    write_line(&harmless(&text.to_string()))
}

/// Writes JSON to standard output as it is: its strings are escaped already.
pub(crate) fn json_line(value: &serde_json::Value) -> Result<(), CliError> {
    write_line(&value.to_string())
}

/// A closed pipe is the reader's right and ends the command without noise.
fn write_line(text: &str) -> Result<(), CliError> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|source| CliError::Failed(format!("standard output: {source}"))),
    }
}
