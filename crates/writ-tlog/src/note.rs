use crate::encoding::{base64, from_base64};
use crate::verifier_key::{NameError, demand_name_characters};
use thiserror::Error;

/// The longest note that is read.
pub const NOTE_BYTES_MAX: usize = 262_144;
/// The most signature lines that are read; a note may have at least 16 (C2SP), and some witnesses more.
pub const NOTE_SIGNATURES_MAX: usize = 100;

/// What begins a signature line.
const LINE_BEGIN: &str = "\u{2014} ";
const KEY_ID_BYTES: usize = 4;

/// A note taken apart. Nothing is verified: its text means nothing until [`PinnedKeys::open`](crate::PinnedKeys::open) says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    whole: &'a str,
    text: &'a str,
    signatures: Vec<NoteSignature<'a>>,
}

/// One signature line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature<'a> {
    /// The name of the key said to have signed.
    pub name: &'a str,
    /// The id of that key.
    pub key_id: u32,
    /// The signature, without the key id.
    pub bytes: Vec<u8>,
}

/// Why something is no signed note.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Longer than a note may be.
    #[error("expected a note of at most {NOTE_BYTES_MAX} bytes, found {found}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Not text.
    #[error("expected UTF-8, found something else after {valid_up_to} bytes")]
    NotUtf8 {
        /// How many bytes are text.
        valid_up_to: usize,
    },
    /// A control character other than the newline.
    #[error("expected no control character but newlines, found {found:?}")]
    ControlCharacter {
        /// The character.
        found: char,
    },
    /// No blank line with something after it.
    #[error("expected signature lines after a blank line, found none")]
    NoSignatures,
    /// A last line that goes on.
    #[error("expected a newline at the end of the note, found none")]
    Unterminated,
    /// More signature lines than a note may have.
    #[error("expected at most {NOTE_SIGNATURES_MAX} signature lines, found {found}")]
    TooManySignatures {
        /// How many there are.
        found: usize,
    },
    /// A line below the blank line that is no signature line.
    #[error("expected an em dash, a name and a signature, found another form in signature line {line}")]
    LineForm {
        /// Which signature line, from 1.
        line: usize,
    },
    /// A signature line with a name that no key can have.
    #[error("expected the name of a key in signature line {line}")]
    Name {
        /// Which signature line, from 1.
        line: usize,
        /// What is wrong with the name.
        source: NameError,
    },
    /// A signature that is not canonical base64.
    #[error("expected canonical base64 in signature line {line}")]
    Base64 {
        /// Which signature line, from 1.
        line: usize,
    },
    /// A signature line that holds no signature after the key id.
    #[error("expected a key id and a signature in signature line {line}, found {found} bytes")]
    SignatureTooShort {
        /// Which signature line, from 1.
        line: usize,
        /// How many bytes there are.
        found: usize,
    },
}

impl<'a> Note<'a> {
    /// Takes a note apart.
    pub fn parse(note: &'a [u8]) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { found: note.len() });
        }
        let note =
            std::str::from_utf8(note).map_err(|error| NoteError::NotUtf8 { valid_up_to: error.valid_up_to() })?;
        // In UTF-8 such a byte is always a character of its own.
        if let Some(found) = note.bytes().find(|byte| *byte < b' ' && *byte != b'\n') {
            return Err(NoteError::ControlCharacter { found: char::from(found) });
        }
        let (text, lines) = around_last_blank_line(note).ok_or(NoteError::NoSignatures)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Unterminated)?;
        let found = lines.split('\n').count();
        if found > NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures { found });
        }
        let signatures = (1..).zip(lines.split('\n')).map(|(line, text)| NoteSignature::parse(line, text));
        Ok(Self { whole: note, text, signatures: signatures.collect::<Result<_, _>>()? })
    }

    /// All of it, as it was read.
    pub fn whole(&self) -> &'a str {
        self.whole
    }

    /// What was signed, with its last newline.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Its signatures, in the order of their lines.
    pub fn signatures(&self) -> &[NoteSignature<'a>] {
        &self.signatures
    }

    /// The bytes of the note: those it was parsed from.
    pub fn to_bytes(&self) -> Vec<u8> {
        write_note(self.text, &self.signatures)
    }
}

/// The bytes of a note.
pub(crate) fn write_note(text: &str, signatures: &[NoteSignature<'_>]) -> Vec<u8> {
    let lines: String = signatures.iter().map(NoteSignature::line).collect();
    [text, "\n", &lines].concat().into_bytes()
}

/// The text may have blank lines of its own: the last one ends it, and something follows.
fn around_last_blank_line(note: &str) -> Option<(&str, &str)> {
    let (mut at, mut end) = (0, None);
    for line in note.split_inclusive('\n') {
        if line == "\n" && at > 0 {
            end = Some(at);
        }
        at += line.len();
    }
    let (text, rest) = note.split_at_checked(end?)?;
    Some((text, rest.strip_prefix('\n').filter(|lines| !lines.is_empty())?))
}

impl<'a> NoteSignature<'a> {
    fn parse(line: usize, text: &'a str) -> Result<Self, NoteError> {
        let (name, signature) =
            text.strip_prefix(LINE_BEGIN).and_then(|rest| rest.split_once(' ')).ok_or(NoteError::LineForm { line })?;
        demand_name_characters(name).map_err(|source| NoteError::Name { line, source })?;
        let bytes = from_base64(signature).ok_or(NoteError::Base64 { line })?;
        match bytes.split_first_chunk::<KEY_ID_BYTES>() {
            Some((key_id, signature)) if !signature.is_empty() => {
                Ok(Self { name, key_id: u32::from_be_bytes(*key_id), bytes: signature.to_vec() })
            }
            _ => Err(NoteError::SignatureTooShort { line, found: bytes.len() }),
        }
    }

    fn line(&self) -> String {
        let signature = base64(&[&self.key_id.to_be_bytes(), self.bytes.as_slice()].concat());
        format!("{LINE_BEGIN}{} {signature}\n", self.name)
    }
}

#[cfg(test)]
mod tests;
