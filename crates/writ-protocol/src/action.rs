//! Canonical actions, commitments and openings (`spec/action.md`).

use crate::cbor::{Decode, Encode, Reader, ShapeError, Writer};
use crate::refusal::{Code, Refusal};
use aws_lc_rs::hmac;
use std::collections::BTreeMap;
use writ_tlog::{Hash, sha256};

const CONTEXT: &str = "writ.action";
const VERSION: u64 = 1;

/// An encoded action is at most this long.
pub const ACTION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is to be executed, in its one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A program.
    Exec(Exec),
}

/// The kinds of action this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Execution of a program.
    Exec,
}

impl ActionKind {
    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exec => "exec",
        }
    }
}

impl Encode for ActionKind {
    fn encode(&self, writer: &mut Writer) {
        writer.text(self.as_str());
    }
}

impl Decode for ActionKind {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        match reader.text()? {
            "exec" => Ok(Self::Exec),
            _ => Err(ShapeError::expected("`exec`")),
        }
    }
}

/// The execution of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    executable: Hash,
    argv: Vec<Vec<u8>>,
    variables: Hash,
    cwd: Vec<u8>,
    stdin: Stdin,
}

/// What standard input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Stdin {
    Null,
    Pipe,
    File,
    Tty,
    Socket,
}

impl Stdin {
    const ALL: &'static [Self] = &[Self::Null, Self::Pipe, Self::File, Self::Tty, Self::Socket];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Pipe => "pipe",
            Self::File => "file",
            Self::Tty => "tty",
            Self::Socket => "socket",
        }
    }
}

impl Exec {
    /// An execution whose parts are as the kernel would accept them.
    pub fn new(
        executable: Hash,
        argv: Vec<Vec<u8>>,
        variables: Hash,
        cwd: Vec<u8>,
        stdin: Stdin,
    ) -> Result<Self, ShapeError> {
        if argv.is_empty() {
            return Err(ShapeError::expected("argv with at least argv[0]"));
        }
        if argv.iter().chain([&cwd]).any(|part| part.contains(&0)) {
            return Err(ShapeError::expected("argv and cwd without zero bytes"));
        }
        if !cwd.starts_with(b"/") {
            return Err(ShapeError::expected("an absolute cwd"));
        }
        Ok(Self { executable, argv, variables, cwd, stdin })
    }

    /// Digest of the executed file.
    pub fn executable(&self) -> &Hash {
        &self.executable
    }

    /// Its arguments, `argv[0]` included.
    pub fn argv(&self) -> &[Vec<u8>] {
        &self.argv
    }

    /// Its working directory.
    pub fn cwd(&self) -> &[u8] {
        &self.cwd
    }

    /// Digest of its environment variables.
    pub fn variables(&self) -> &Hash {
        &self.variables
    }

    /// Its standard input.
    pub fn stdin(&self) -> Stdin {
        self.stdin
    }
}

impl Action {
    /// Its kind.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Exec(_) => ActionKind::Exec,
        }
    }

    /// Its bytes, if it is not too large.
    pub fn encode(&self) -> Result<Vec<u8>, Refusal> {
        let bytes = self.to_cbor();
        if bytes.len() > ACTION_BYTES_MAX {
            return Err(too_large(bytes.len()));
        }
        Ok(bytes)
    }

    /// Reads the one form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > ACTION_BYTES_MAX {
            return Err(too_large(bytes.len()));
        }
        let mut reader = Reader::checked(bytes)?;
        reader.tuple(4)?;
        if reader.text()? != CONTEXT {
            return Err(Refusal::malformed(format_args!("expected the context `{CONTEXT}`")));
        }
        let (kind, version) = (reader.text()?, reader.uint()?);
        reader.clone().map()?;
        match (kind, version) {
            ("exec", VERSION) => Ok(Self::Exec(decode_exec(&mut reader)?)),
            _ => Err(Refusal::new(
                Code::UnsupportedVersion,
                format!("action of kind `{kind}` version {version} is not known to this reader"),
            )),
        }
    }
}

fn too_large(length: usize) -> Refusal {
    Refusal::malformed(format_args!("an action has at most {ACTION_BYTES_MAX} bytes, this one has {length}"))
}

fn decode_exec(reader: &mut Reader<'_>) -> Result<Exec, ShapeError> {
    let mut map = reader.map()?;
    let cwd: crate::cbor::Bytes = map.required("cwd")?;
    let Argv(argv) = map.required("argv")?;
    let StdinText(stdin) = map.required("stdin")?;
    let variables = map.required("variables")?;
    let executable = map.required("executable")?;
    map.end()?;
    Exec::new(executable, argv, variables, cwd.0, stdin)
}

/// Arguments may be more than the elements other arrays may have: the length of the whole bounds them.
struct Argv(Vec<Vec<u8>>);

impl Decode for Argv {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let length = reader.array()?;
        (0..length).map(|_| reader.bytes().map(<[u8]>::to_vec)).collect::<Result<_, _>>().map(Self)
    }
}

struct StdinText(Stdin);

impl Decode for StdinText {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let text = reader.text()?;
        let known = Stdin::ALL.iter().find(|stdin| stdin.as_str() == text);
        known.map(|stdin| Self(*stdin)).ok_or_else(|| ShapeError::expected("null, pipe, file, tty or socket"))
    }
}

impl Encode for Action {
    fn encode(&self, writer: &mut Writer) {
        let Self::Exec(exec) = self;
        writer.array(4);
        writer.text(CONTEXT);
        writer.text(self.kind().as_str());
        writer.uint(VERSION);
        writer.map(5);
        writer.text("cwd");
        writer.bytes(&exec.cwd);
        writer.text("argv");
        writer.array(exec.argv.len());
        for argument in &exec.argv {
            writer.bytes(argument);
        }
        writer.field("stdin", exec.stdin.as_str());
        writer.field("variables", &exec.variables);
        writer.field("executable", &exec.executable);
    }
}

/// Digest of the environment variables that are passed, in any order; a name that stands twice is refused, since programs differ in which one they see.
pub fn variables_digest<'a>(variables: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Result<Hash, ShapeError> {
    let mut sorted = BTreeMap::new();
    for (name, value) in variables {
        if name.is_empty() || name.iter().any(|byte| matches!(byte, 0 | b'=')) || value.contains(&0) {
            return Err(ShapeError::expected("variables with a name without `=`, and no zero bytes"));
        }
        if sorted.insert(name, value).is_some() {
            return Err(ShapeError::expected("each variable once"));
        }
    }
    let mut writer = Writer::default();
    writer.array(sorted.len());
    for (name, value) in sorted {
        writer.array(2);
        writer.bytes(name);
        writer.bytes(value);
    }
    Ok(sha256(&writer.into_bytes()))
}

/// What a commitment is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum CommitmentKind {
    Action,
    Facts,
    Request,
    Text,
    Output,
}

impl CommitmentKind {
    const ALL: &'static [Self] = &[Self::Action, Self::Facts, Self::Request, Self::Text, Self::Output];

    /// The stable string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Facts => "facts",
            Self::Request => "request",
            Self::Text => "text",
            Self::Output => "output",
        }
    }

    /// The kind with this string.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

/// A value with its salt: what opens a commitment (Invariant 10: it lives in the vault, never in an entry).
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    /// What it is.
    pub kind: CommitmentKind,
    /// 32 random bytes, fresh for each.
    pub salt: [u8; 32],
    /// The value.
    pub value: Vec<u8>,
}

impl std::fmt::Debug for Opening {
    /// Values may be secret: only their length is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opening({}, {} bytes)", self.kind.as_str(), self.value.len())
    }
}

impl Opening {
    /// The commitment it opens.
    pub fn commitment(&self) -> Hash {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.salt);
        let mut context = hmac::Context::with_key(&key);
        context.update(self.kind.as_str().as_bytes());
        context.update(&[0]);
        context.update(&self.value);
        let mut commitment = [0; 32];
        commitment.copy_from_slice(context.sign().as_ref());
        Hash::from_bytes(commitment)
    }

    /// Whether the value is what its kind says: an action must be canonical.
    pub fn judge_value(&self) -> Result<(), Refusal> {
        match self.kind {
            CommitmentKind::Action => Action::decode(&self.value).map(|_| ()),
            CommitmentKind::Facts | CommitmentKind::Request | CommitmentKind::Text | CommitmentKind::Output => Ok(()),
        }
    }
}

impl Encode for Opening {
    fn encode(&self, writer: &mut Writer) {
        writer.array(3);
        writer.text(self.kind.as_str());
        writer.bytes(&self.salt);
        writer.bytes(&self.value);
    }
}

impl Decode for Opening {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        reader.tuple(3)?;
        let kind = CommitmentKind::from_str_exact(reader.text()?)
            .ok_or_else(|| ShapeError::expected("a commitment kind: action, facts, request, text or output"))?;
        Ok(Self { kind, salt: reader.fixed()?, value: reader.bytes()?.to_vec() })
    }
}
