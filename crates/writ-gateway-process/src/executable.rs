//! The file that is to run: resolved as `execvp` does, opened once, and hashed through that descriptor.

use crate::confinement::SCRIPT_BYTES_MAX;
use aws_lc_rs::digest;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{AccessFlags, faccessat};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use writ_protocol::{Code, Refusal};
use writ_tlog::Hash;

/// What glibc searches where there is no `PATH`.
const SEARCH_PATH_UNSET: &str = "/bin:/usr/bin";
/// What the kernel reads of a first line (`BINPRM_BUF_SIZE`), less its final zero byte.
const FIRST_LINE_BYTES: usize = 255;

/// Why a file cannot be what runs.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ExecutableError {
    #[error("{0:?}: not found: expected a file or a program in PATH; look at the spelling and at PATH")]
    NotFound(OsString),
    #[error("{0:?}: not executable: expected execute permission for this user on a file system without noexec")]
    NotExecutable(PathBuf),
    #[error("{0:?}: is a directory, expected a program")]
    IsDirectory(PathBuf),
    #[error("{0:?}: is a FIFO, device or socket, expected a regular file")]
    NotRegular(PathBuf),
    #[error("{0:?}: may be executed but not read, so it cannot be measured; give this user read permission")]
    Unreadable(PathBuf),
    #[error("{0:?}: was deleted while it was opened; start again")]
    Vanished(PathBuf),
    #[error("{0:?}: too many symbolic links, expected a path that ends at a file")]
    TooManyLinks(PathBuf),
    #[error("{0:?}: its `#!` line names no interpreter within the {FIRST_LINE_BYTES} bytes that the kernel reads")]
    InterpreterLine(PathBuf),
    #[error(
        "{0:?}: its `#!` line makes it a script, of more than {SCRIPT_BYTES_MAX} bytes, which is the most that is run; let a small script read the rest from a file"
    )]
    ScriptTooLarge(PathBuf),
    #[error("{0:?}: its interpreter {1:?} is itself a script, expected a binary; name that one's interpreter instead")]
    NestedScript(PathBuf, PathBuf),
    #[error("{0:?}: the interpreter cannot be opened: {1}")]
    Interpreter(PathBuf, Box<ExecutableError>),
    #[error("{0:?}: cannot be opened: {1}")]
    Open(PathBuf, Errno),
    #[error("{0:?}: cannot be read: {1}")]
    Read(PathBuf, std::io::Error),
}

impl ExecutableError {
    /// As a refusal.
    pub fn refusal(&self) -> Refusal {
        Refusal::new(Code::IntegrityFailure, self.to_string())
    }

    /// What a shell exits with: 127 for what is not found, else 126.
    pub fn exit_status(&self) -> u8 {
        if matches!(self, Self::NotFound(_)) { 127 } else { 126 }
    }
}

/// An opened and hashed file; what runs is this descriptor, never the name again.
#[derive(Debug)]
pub struct Executable {
    asked: PathBuf,
    image: Image,
    script: Option<Script>,
}

#[derive(Debug)]
struct Image {
    file: File,
    path: PathBuf,
    digest: Hash,
    head: Vec<u8>,
}

#[derive(Debug)]
struct Script {
    interpreter: Image,
    name: Vec<u8>,
    argument: Option<Vec<u8>>,
}

impl Executable {
    /// Resolves `program` as `execvp` does, opens and hashes it, and its interpreter if it is a script.
    pub fn open(program: &OsStr, search_path: Option<&OsStr>) -> Result<Self, ExecutableError> {
        let (asked, image) = resolve(program, search_path)?;
        let script = match interpreter_line(&image)? {
            None => None,
            Some((name, argument)) => {
                // Its private copy must fit.
                let length =
                    image.file.metadata().map_err(|error| ExecutableError::Read(image.path.clone(), error))?.len();
                if length > SCRIPT_BYTES_MAX as u64 {
                    return Err(ExecutableError::ScriptTooLarge(image.path));
                }
                Some(Script::open(&image, name, argument)?)
            }
        };
        Ok(Self { asked, image, script })
    }

    /// SHA-256 of the file asked for.
    pub fn digest(&self) -> &Hash {
        &self.image.digest
    }

    /// Its absolute path, links resolved.
    pub fn path(&self) -> &Path {
        &self.image.path
    }

    /// Path and digest of the interpreter, for a script.
    pub fn interpreter(&self) -> Option<(&Path, &Hash)> {
        self.script.as_ref().map(|script| (script.interpreter.path.as_path(), &script.interpreter.digest))
    }

    /// The name that an interpreter is given for its script.
    pub(crate) fn asked(&self) -> &Path {
        &self.asked
    }

    /// The descriptor of the binary that the kernel is to execute: the interpreter's for a script.
    pub fn image(&self) -> BorrowedFd<'_> {
        self.script.as_ref().map_or(&self.image, |script| &script.interpreter).file.as_fd()
    }

    /// The descriptor of the file asked for.
    pub fn asked_file(&self) -> BorrowedFd<'_> {
        self.image.file.as_fd()
    }

    /// The arguments as the kernel builds them: for a script, its interpreter and path take the place of `argv[0]`.
    pub fn kernel_argv(&self, argv: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let Some(script) = &self.script else { return argv.to_vec() };
        let mut built = vec![script.name.clone()];
        built.extend(script.argument.clone());
        built.push(self.asked.as_os_str().as_bytes().to_vec());
        built.extend(argv.iter().skip(1).cloned());
        built
    }
}

impl Script {
    fn open(script: &Image, name: Vec<u8>, argument: Option<Vec<u8>>) -> Result<Self, ExecutableError> {
        let path = PathBuf::from(OsString::from_vec(name.clone()));
        let interpreter =
            Image::open(&path).map_err(|error| ExecutableError::Interpreter(script.path.clone(), Box::new(error)))?;
        if interpreter.head.starts_with(b"#!") {
            return Err(ExecutableError::NestedScript(script.path.clone(), interpreter.path));
        }
        Ok(Self { interpreter, name, argument })
    }
}

fn resolve(program: &OsStr, search_path: Option<&OsStr>) -> Result<(PathBuf, Image), ExecutableError> {
    if program.as_bytes().contains(&b'/') {
        let asked = PathBuf::from(program);
        return Image::open(&asked).map(|image| (asked, image));
    }
    let mut denied = None;
    let folders = search_path.unwrap_or(OsStr::new(SEARCH_PATH_UNSET)).as_bytes();
    for folder in folders.split(|byte| *byte == b':').filter(|_| !program.is_empty()) {
        // An empty element is the working directory, as for execvp.
        let asked = if folder.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(folder)) }.join(program);
        match Image::open(&asked) {
            Ok(image) => return Ok((asked, image)),
            Err(ExecutableError::NotFound(_)) => {}
            // What execvp sees as EACCES: it goes on, and reports it if nothing else is found.
            Err(
                error @ (ExecutableError::NotExecutable(_)
                | ExecutableError::IsDirectory(_)
                | ExecutableError::NotRegular(_)),
            ) => denied = denied.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Err(denied.unwrap_or_else(|| ExecutableError::NotFound(program.to_owned())))
}

impl Image {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the kernel may say anything; what is not named is told as it is"
    )]
    fn open(path: &Path) -> Result<Self, ExecutableError> {
        // O_PATH neither blocks on a FIFO nor wakes a device: the kind is known before anything is opened for reading.
        let found = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => ExecutableError::NotFound(path.into()),
            Errno::EACCES => ExecutableError::NotExecutable(path.into()),
            Errno::ELOOP => ExecutableError::TooManyLinks(path.into()),
            errno => ExecutableError::Open(path.into(), errno),
        })?;
        let mode = fstat(&found).map_err(|errno| ExecutableError::Open(path.into(), errno))?.st_mode;
        let kind = SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits());
        if kind == SFlag::S_IFDIR {
            return Err(ExecutableError::IsDirectory(path.into()));
        }
        if kind != SFlag::S_IFREG {
            return Err(ExecutableError::NotRegular(path.into()));
        }
        let same = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
        faccessat(AT_FDCWD, &same, AccessFlags::X_OK, AtFlags::AT_EACCESS)
            .map_err(|_| ExecutableError::NotExecutable(path.into()))?;
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = File::from(open(&same, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::EACCES => ExecutableError::Unreadable(path.into()),
            errno => ExecutableError::Open(path.into(), errno),
        })?);
        let resolved = std::fs::read_link(&same).map_err(|error| ExecutableError::Read(path.into(), error))?;
        if resolved.as_os_str().as_bytes().ends_with(b" (deleted)") {
            return Err(ExecutableError::Vanished(path.into()));
        }
        let (digest, head) = hash(&file).map_err(|error| ExecutableError::Read(path.into(), error))?;
        Ok(Self { file, path: resolved, digest, head })
    }
}

/// SHA-256 of the whole file and its first bytes, read once so that both are of the same content.
fn hash(file: &File) -> std::io::Result<(Hash, Vec<u8>)> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 20];
    let (mut offset, mut head) = (0_u64, Vec::new());
    loop {
        let read = file.read_at(&mut buffer, offset)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        let missing = FIRST_LINE_BYTES.saturating_sub(head.len());
        head.extend(bytes.iter().take(missing));
        context.update(bytes);
        offset = offset.saturating_add(bytes.len() as u64);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok((Hash::from_bytes(digest), head))
}

type Line = (Vec<u8>, Option<Vec<u8>>);

/// The interpreter and its single argument, parsed as the kernel does: the argument may hold blanks.
fn interpreter_line(image: &Image) -> Result<Option<Line>, ExecutableError> {
    let Some(rest) = image.head.strip_prefix(b"#!") else { return Ok(None) };
    let refused = || ExecutableError::InterpreterLine(image.path.clone());
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let newline = rest.iter().position(|byte| *byte == b'\n');
    let line = rest.get(..newline.unwrap_or(rest.len())).unwrap_or_default();
    let start = line.iter().position(|byte| !blank(byte)).ok_or_else(refused)?;
    let line = line.get(start..).unwrap_or_default();
    let end = line.iter().position(|byte| blank(byte) || *byte == 0);
    // A name that the kernel would have to cut is not the name that was written.
    if newline.is_none() && end.is_none() && image.head.len() == FIRST_LINE_BYTES {
        return Err(refused());
    }
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    if name.is_empty() {
        return Err(refused());
    }
    let argument: Vec<u8> = match rest.first() {
        None | Some(0) => Vec::new(),
        Some(_) => rest.iter().copied().skip_while(blank).take_while(|byte| *byte != 0).collect(),
    };
    let length = argument.iter().rposition(|byte| !blank(byte)).map_or(0, |last| last + 1);
    let argument = argument.get(..length).filter(|argument| !argument.is_empty()).map(<[u8]>::to_vec);
    Ok(Some((name.to_vec(), argument)))
}
