use super::among::Among;
use super::path::Path;
use crate::action::Exec;
use crate::cbor::{Bytes, Decode, Encode, Reader, ShapeError, Writer};

/// Programs, and how their arguments begin. Both stand together: were they two lists, the arguments allowed for one program would be
/// allowed for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// Which file, symbolic links resolved.
    pub file: File,
    /// How its arguments begin, `argv[0]` included; without it they may be any.
    pub argv: Option<Beginning>,
}

/// Which files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// This one.
    Exact(Path),
    /// Whatever lies in this folder, however deep.
    Beneath(Path),
}

/// The first arguments: at least one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Beginning(Vec<Vec<u8>>);

impl Beginning {
    /// At least `argv[0]`, and no zero bytes: there are none in arguments.
    pub fn new(argv: Vec<Vec<u8>>) -> Result<Self, ShapeError> {
        if argv.is_empty() || argv.iter().any(|argument| argument.contains(&0)) {
            return Err(ShapeError::expected("the beginning of an argv: at least argv[0], without zero bytes"));
        }
        Ok(Self(argv))
    }

    /// Each argument.
    pub fn as_slice(&self) -> &[Vec<u8>] {
        &self.0
    }
}

impl File {
    /// The path it names.
    pub fn path(&self) -> &Path {
        match self {
            Self::Exact(path) | Self::Beneath(path) => path,
        }
    }

    fn has(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(file) => file.is(path),
            Self::Beneath(folder) => folder.holds(path),
        }
    }

    fn narrows(&self, parent: &Self) -> bool {
        match (self, parent) {
            (Self::Exact(path), _) => parent.has(path.as_bytes()),
            (Self::Beneath(path), Self::Beneath(folder)) => path == folder || folder.holds(path.as_bytes()),
            (Self::Beneath(_), Self::Exact(_)) => false,
        }
    }
}

impl Program {
    pub(super) fn has(&self, exec: &Exec) -> bool {
        self.file.has(&exec.path) && self.argv.as_ref().is_none_or(|argv| exec.argv.starts_with(&argv.0))
    }

    fn narrows(&self, parent: &Self) -> bool {
        let begins_so = match (&self.argv, &parent.argv) {
            (_, None) => true,
            (Some(own), Some(parent)) => own.0.starts_with(&parent.0),
            (None, Some(_)) => false,
        };
        begins_so && self.file.narrows(&parent.file)
    }
}

impl Among<Program> {
    /// Whether one of them is what is run.
    pub(super) fn runs(&self, exec: &Exec) -> bool {
        self.as_slice().iter().any(|program| program.has(exec))
    }

    /// Whether each is within one of the parent's.
    pub(super) fn programs_narrow(&self, parent: &Self) -> bool {
        self.as_slice().iter().all(|program| parent.as_slice().iter().any(|wider| program.narrows(wider)))
    }
}

impl Among<Path> {
    /// Whether a path is one of these folders, or lies in one.
    pub(super) fn is_in(&self, path: &[u8]) -> bool {
        self.as_slice().iter().any(|folder| folder.is(path) || folder.holds(path))
    }

    /// Whether each folder is one of the parent's, or lies in one.
    pub(super) fn folders_narrow(&self, parent: &Self) -> bool {
        self.as_slice().iter().all(|folder| parent.is_in(folder.as_bytes()))
    }
}

impl Encode for Program {
    fn encode(&self, writer: &mut Writer) {
        writer.map(1 + usize::from(self.argv.is_some()));
        if let Some(argv) = &self.argv {
            writer.text("argv");
            writer.array(argv.0.len());
            argv.0.iter().for_each(|argument| writer.bytes(argument));
        }
        match &self.file {
            File::Exact(path) => writer.field("exact", path),
            File::Beneath(path) => writer.field("beneath", path),
        }
    }
}

impl Decode for Program {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, ShapeError> {
        let mut map = reader.map()?;
        let argv: Option<Vec<Bytes>> = map.optional("argv")?;
        let exact = map.optional("exact")?;
        let beneath = map.optional("beneath")?;
        map.end()?;
        let file = match (exact, beneath) {
            (Some(path), None) => File::Exact(path),
            (None, Some(path)) => File::Beneath(path),
            (Some(_), Some(_)) | (None, None) => return Err(ShapeError::expected("either `exact` or `beneath`")),
        };
        let argv = argv.map(|argv| Beginning::new(argv.into_iter().map(|argument| argument.0).collect()));
        Ok(Self { file, argv: argv.transpose()? })
    }
}
