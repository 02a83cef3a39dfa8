use crate::cbor::{Bytes, Decode, Encode, Reader, ShapeError, Writer};
use std::collections::BTreeMap;
use writ_tlog::{Hash, sha256};

/// The execution of a program whose parts are as the kernel would accept them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec(ExecFields);

/// The parts of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecFields {
    /// Its working directory.
    pub cwd: Vec<u8>,
    /// Its arguments, `argv[0]` included.
    pub argv: Vec<Vec<u8>>,
    /// The file that was asked for, symbolic links resolved.
    pub path: Vec<u8>,
    /// Its environment variables.
    pub variables: Variables,
    /// Its standard input.
    pub stdin: Stdin,
    /// Digest of the file that was asked for.
    pub executable: Hash,
    /// What the kernel loads to run it, if it is a script.
    pub interpreter: Option<Interpreter>,
}

/// The program that runs a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Its file, symbolic links resolved.
    pub path: Vec<u8>,
    /// Digest of that file.
    pub digest: Hash,
}

impl Encode for Interpreter {
    fn encode(&self, writer: &mut Writer) {
        writer.map(2);
        writer.text("path");
        writer.bytes(&self.path);
        writer.field("digest", &self.digest);
    }
}

impl Decode for Interpreter {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let path: Bytes = map.required("path")?;
        let digest = map.required("digest")?;
        map.end()?;
        Ok(Self { path: path.0, digest })
    }
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

    /// The stable string.
    pub const fn as_str(self) -> &'static str {
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
    /// The relations between the parts that a shape cannot say.
    pub fn new(fields: ExecFields) -> Result<Self, ShapeError> {
        if fields.argv.is_empty() {
            return Err(ShapeError::expected("argv with at least argv[0]"));
        }
        let interpreter = fields.interpreter.iter().map(|found| &found.path);
        let paths: Vec<&Vec<u8>> = [&fields.cwd, &fields.path].into_iter().chain(interpreter).collect();
        if fields.argv.iter().chain(paths.iter().copied()).any(|part| part.contains(&0)) {
            return Err(ShapeError::expected("argv and paths without zero bytes"));
        }
        if !paths.iter().all(|path| path.starts_with(b"/")) {
            return Err(ShapeError::expected("absolute paths"));
        }
        Ok(Self(fields))
    }
}

impl std::ops::Deref for Exec {
    type Target = ExecFields;

    fn deref(&self) -> &ExecFields {
        &self.0
    }
}

impl Encode for Exec {
    fn encode(&self, writer: &mut Writer) {
        writer.map(7 + usize::from(self.interpreter.is_some()));
        writer.text("cwd");
        writer.bytes(&self.cwd);
        writer.text("argv");
        byte_strings(writer, &self.argv);
        writer.text("path");
        writer.bytes(&self.path);
        writer.text("names");
        byte_strings(writer, &self.variables.names);
        writer.field("stdin", self.stdin.as_str());
        writer.field("variables", &self.variables.digest);
        writer.field("executable", &self.executable);
        if let Some(interpreter) = &self.interpreter {
            writer.field("interpreter", interpreter);
        }
    }
}

impl Decode for Exec {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let cwd: Bytes = map.required("cwd")?;
        let ByteStrings(argv) = map.required("argv")?;
        let path: Bytes = map.required("path")?;
        let ByteStrings(names) = map.required("names")?;
        let StdinText(stdin) = map.required("stdin")?;
        let digest = map.required("variables")?;
        let executable = map.required("executable")?;
        let interpreter = map.optional("interpreter")?;
        map.end()?;
        if !names.is_sorted_by(|a, b| a < b) || !names.iter().all(|name| is_variable_name(name)) {
            return Err(ShapeError::expected("names of variables, ascending, each once"));
        }
        let variables = Variables { names, digest };
        Self::new(ExecFields { cwd: cwd.0, argv, path: path.0, variables, stdin, executable, interpreter })
    }
}

fn byte_strings(writer: &mut Writer, items: &[Vec<u8>]) {
    writer.array(items.len());
    items.iter().for_each(|item| writer.bytes(item));
}

/// Arguments and variables may be more than the elements other arrays may have: the length of the whole bounds them.
struct ByteStrings(Vec<Vec<u8>>);

impl Decode for ByteStrings {
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

/// The environment variables that are passed: all of them count. Their names are in the action; their values, which may be secret, are
/// bound by a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variables {
    names: Vec<Vec<u8>>,
    digest: Hash,
}

impl Variables {
    /// From names and values, in any order; a name that stands twice is refused, since programs differ in which one they see.
    pub fn new<'a>(variables: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Result<Self, ShapeError> {
        let mut sorted = BTreeMap::new();
        for (name, value) in variables {
            if !is_variable_name(name) || value.contains(&0) {
                return Err(ShapeError::expected("variables with a name without `=`, and no zero bytes"));
            }
            if sorted.insert(name, value).is_some() {
                return Err(ShapeError::expected("each variable once"));
            }
        }
        let mut writer = Writer::default();
        writer.array(sorted.len());
        for (name, value) in &sorted {
            writer.array(2);
            writer.bytes(name);
            writer.bytes(value);
        }
        let names = sorted.keys().map(|name| name.to_vec()).collect();
        Ok(Self { names, digest: sha256(&writer.into_bytes()) })
    }

    /// Their names, ascending.
    pub fn names(&self) -> &[Vec<u8>] {
        &self.names
    }

    /// The digest of names and values.
    pub fn digest(&self) -> &Hash {
        &self.digest
    }
}

fn is_variable_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.iter().any(|byte| matches!(byte, 0 | b'='))
}
