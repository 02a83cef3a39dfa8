//! What became of an attempt, as the program itself has told it.

use super::commands::Finished;
use serde_json::Value;

/// What became of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It was done.
    Done,
    /// It was refused.
    Refused { code: String, index: Option<u64> },
    /// The kernel had no such file or allowed no such thing; nobody was asked.
    Barred,
    /// Neither: what was said instead.
    Unclear(String),
}

impl Found {
    /// Of `writ run`, which tells a refusal on standard error and ends with 126.
    pub(super) fn of_run(ended: &Finished) -> Self {
        let told = last_json(&ended.stderr);
        match (ended.status, told.as_ref().and_then(|told| told.get("code")?.as_str())) {
            (Some(0), _) => Self::Done,
            (Some(126 | 127), Some(code)) => {
                let index = told.as_ref().and_then(|told| told.get("index")?.as_u64());
                Self::Refused { code: code.to_owned(), index }
            }
            _ => Self::unclear(ended),
        }
    }

    /// Of any other command, which ends with 1 when it was refused.
    pub(super) fn of_command(ended: &Finished) -> Self {
        let told = last_json(&ended.stderr);
        let text = |name: &str| told.as_ref().and_then(|told| Some(told.get(name)?.as_str()?.to_owned()));
        match (ended.status, text("code")) {
            (Some(0), _) => Self::Done,
            (Some(1), Some(code)) => {
                let index = told.as_ref().and_then(|told| told.get("index")?.as_u64());
                Self::Refused { code, index }
            }
            _ => Self::unclear(ended),
        }
    }

    fn unclear(ended: &Finished) -> Self {
        Self::Unclear(format!("exit {:?}: {} {}", ended.status, ended.stdout.trim(), ended.stderr.trim()))
    }
}

fn last_json(text: &str) -> Option<Value> {
    text.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

#[cfg(test)]
mod tests {
    use super::{Finished, Found};

    fn ended(status: Option<i32>, stderr: &str) -> Finished {
        Finished { status, stdout: String::new(), stderr: stderr.to_owned() }
    }

    #[test]
    fn only_an_exit_of_zero_is_done_and_only_a_code_is_a_refusal() {
        let told = "noise\n{\"outcome\":\"refused\",\"code\":\"halted\",\"index\":5}\n";
        let refused = Found::Refused { code: "halted".to_owned(), index: Some(5) };
        assert_eq!(Found::of_run(&ended(Some(126), told)), refused);
        assert_eq!(Found::of_run(&ended(Some(0), told)), Found::Done);
        for unclear in [ended(Some(1), told), ended(Some(126), "no JSON"), ended(None, told)] {
            assert!(matches!(Found::of_run(&unclear), Found::Unclear(_)));
        }
        let told = "{\"error\":\"revoked: why (entry 12)\",\"code\":\"revoked\",\"index\":12,\"exit\":1}";
        let refused = Found::Refused { code: "revoked".to_owned(), index: Some(12) };
        assert_eq!(Found::of_command(&ended(Some(1), told)), refused);
        for unclear in [ended(Some(3), told), ended(Some(1), "{\"error\":\"x\"}"), ended(None, told)] {
            assert!(matches!(Found::of_command(&unclear), Found::Unclear(_)));
        }
    }
}
