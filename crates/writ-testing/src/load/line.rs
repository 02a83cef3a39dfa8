use std::fmt;
use std::str::FromStr;
use writ_tlog::{Hash, InclusionProof, LeafIndex, TreeSize};

/// What an appender tells, in one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The ledger is open.
    Opened(TreeSize),
    /// A checkpoint was seen; its note, in base64.
    Signed {
        /// Its size.
        size: TreeSize,
        /// The note.
        note: Vec<u8>,
    },
    /// The ledger acknowledged an entry.
    Acknowledged(Acknowledged),
    /// The ledger did not record something.
    Failed {
        /// Who asked.
        appender: usize,
        /// What for.
        asked: String,
        /// The ledger's words.
        why: String,
    },
}

/// An answer, with everything that a client would keep of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Who asked.
    pub appender: usize,
    /// In which of its stories.
    pub story: u64,
    /// The request key, or the place of the statement: see [`super::Asked`].
    pub asked: String,
    /// Where the entry is.
    pub index: LeafIndex,
    /// Its entry hash.
    pub entry: Hash,
    /// The tree it was proved in.
    pub size: TreeSize,
    /// The root of that tree.
    pub root: Hash,
    /// Whether it had been recorded for an earlier attempt.
    pub repeated: bool,
    /// The proof.
    pub proof: InclusionProof,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened(size) => write!(f, "opened {size}"),
            Self::Signed { size, note } => write!(f, "signed {size} {}", encode(note)),
            Self::Acknowledged(Acknowledged { appender, story, asked, index, entry, size, root, repeated, proof }) => {
                let (entry, root) = (entry.to_base64(), root.to_base64());
                write!(f, "acknowledged {appender} {story} {asked} {index} {entry} {size} {root} {repeated}")?;
                proof.hashes().iter().try_for_each(|hash| write!(f, " {}", hash.to_base64()))
            }
            Self::Failed { appender, asked, why } => write!(f, "failed {appender} {asked} {}", why.replace('\n', " ")),
        }
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let unreadable = || format!("unreadable line: {line}");
        let (kind, rest) = line.split_once(' ').ok_or_else(unreadable)?;
        let read = match kind {
            "opened" => rest.parse().ok().map(|size| Self::Opened(TreeSize::new(size))),
            "signed" => signed(rest),
            "acknowledged" => acknowledged(rest).map(Self::Acknowledged),
            "failed" => failed(rest),
            _ => None,
        };
        read.ok_or_else(unreadable)
    }
}

fn signed(rest: &str) -> Option<Line> {
    let (size, note) = rest.split_once(' ')?;
    Some(Line::Signed { size: TreeSize::new(size.parse().ok()?), note: decode(note)? })
}

fn acknowledged(rest: &str) -> Option<Acknowledged> {
    let mut words = rest.split(' ');
    Some(Acknowledged {
        appender: words.next()?.parse().ok()?,
        story: words.next()?.parse().ok()?,
        asked: words.next()?.to_owned(),
        index: LeafIndex::new(words.next()?.parse().ok()?),
        entry: Hash::from_base64(words.next()?)?,
        size: TreeSize::new(words.next()?.parse().ok()?),
        root: Hash::from_base64(words.next()?)?,
        repeated: words.next()?.parse().ok()?,
        proof: InclusionProof::new(words.map(Hash::from_base64).collect::<Option<_>>()?),
    })
}

fn failed(rest: &str) -> Option<Line> {
    let (appender, rest) = rest.split_once(' ')?;
    let (asked, why) = rest.split_once(' ')?;
    Some(Line::Failed { appender: appender.parse().ok()?, asked: asked.to_owned(), why: why.to_owned() })
}

fn encode(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use writ_tlog::sha256;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let acknowledged = |hashes: &[&[u8]]| {
            Line::Acknowledged(Acknowledged {
                appender: 3,
                story: 9,
                asked: "load-3/1/7".to_owned(),
                index: LeafIndex::new(70),
                entry: sha256(b"entry"),
                size: TreeSize::new(99),
                root: sha256(b"root"),
                repeated: true,
                proof: InclusionProof::new(hashes.iter().map(|hash| sha256(hash)).collect()),
            })
        };
        let lines = [
            Line::Opened(TreeSize::new(2)),
            Line::Signed { size: TreeSize::new(99), note: b"note\n".to_vec() },
            acknowledged(&[]),
            acknowledged(&[b"a", b"b"]),
            Line::Failed { appender: 1, asked: "req_00".to_owned(), why: "the disk is full".to_owned() },
        ];
        for line in lines {
            assert_eq!(line.to_string().parse(), Ok(line));
        }
        for cut in ["", "acknowledged", "acknowledged 3 9 a 70", "signed 9", "other 1"] {
            assert!(cut.parse::<Line>().is_err(), "{cut}");
        }
    }
}
