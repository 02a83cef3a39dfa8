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
/// What is read at once to be hashed. New memory costs more than calls, and this much stays in the cache of one core.
const READ_BYTES: usize = 64 * 1024;

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

/// An opened file that the kernel could execute; what runs is this descriptor, never the name again.
#[derive(Debug)]
pub struct Program {
    asked: PathBuf,
    file: Image,
    script: Option<Script>,
}

/// A program that was hashed, through the descriptor that runs.
#[derive(Debug)]
pub struct Executable {
    program: Program,
    image: Hash,
}

#[derive(Debug)]
struct Image {
    file: File,
    path: PathBuf,
}

#[derive(Debug)]
struct Script {
    digest: Hash,
    interpreter: Image,
    name: Vec<u8>,
    argument: Option<Vec<u8>>,
}

impl Program {
    /// Resolves `program` as `execvp` does and opens it, and its interpreter if it is a script. A script is hashed now: what its first line
    /// says and its digest are of the same content.
    pub fn find(program: &OsStr, search_path: Option<&OsStr>) -> Result<Self, ExecutableError> {
        let (asked, file) = resolve(program, search_path)?;
        let script = if file.is_script()? { Some(Script::open(&file)?) } else { None };
        Ok(Self { asked, file, script })
    }

    /// Hashes what the kernel is to execute. Until it does, somebody may write to it, so that what is then held is hashed again.
    pub fn measured(self) -> Result<Executable, ExecutableError> {
        let image = self.image_file();
        let digest = hash(&image.file).map_err(|error| ExecutableError::Read(image.path.clone(), error))?.0;
        Ok(Executable { image: digest, program: self })
    }

    /// Its absolute path, links resolved.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The name that an interpreter is given for its script.
    pub(crate) fn asked(&self) -> &Path {
        &self.asked
    }

    /// SHA-256 of a script.
    pub(crate) fn script(&self) -> Option<&Hash> {
        self.script.as_ref().map(|script| &script.digest)
    }

    fn image_file(&self) -> &Image {
        self.script.as_ref().map_or(&self.file, |script| &script.interpreter)
    }

    /// The descriptor of the binary that the kernel is to execute: the interpreter's for a script.
    pub(crate) fn image(&self) -> BorrowedFd<'_> {
        self.image_file().file.as_fd()
    }

    /// The descriptor of the file asked for.
    pub(crate) fn asked_file(&self) -> BorrowedFd<'_> {
        self.file.file.as_fd()
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

impl Executable {
    /// Finds a program and measures it.
    pub fn open(program: &OsStr, search_path: Option<&OsStr>) -> Result<Self, ExecutableError> {
        Program::find(program, search_path)?.measured()
    }

    /// The opened file.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// SHA-256 of the file asked for.
    pub fn digest(&self) -> &Hash {
        self.program.script().unwrap_or(&self.image)
    }

    /// SHA-256 of the binary that the kernel is to execute.
    pub fn image_digest(&self) -> &Hash {
        &self.image
    }

    /// Its absolute path, links resolved.
    pub fn path(&self) -> &Path {
        self.program.path()
    }

    /// Path and digest of the interpreter, for a script.
    pub fn interpreter(&self) -> Option<(&Path, &Hash)> {
        self.program.script.as_ref().map(|script| (script.interpreter.path.as_path(), &self.image))
    }
}

impl Script {
    fn open(script: &Image) -> Result<Self, ExecutableError> {
        let unread = |error| ExecutableError::Read(script.path.clone(), error);
        // Its private copy must fit.
        if script.file.metadata().map_err(unread)?.len() > SCRIPT_BYTES_MAX as u64 {
            return Err(ExecutableError::ScriptTooLarge(script.path.clone()));
        }
        let (digest, head) = hash(&script.file).map_err(unread)?;
        let (name, argument) = interpreter_line(&head).ok_or(ExecutableError::InterpreterLine(script.path.clone()))?;
        let path = PathBuf::from(OsString::from_vec(name.clone()));
        let interpreter =
            Image::open(&path).map_err(|error| ExecutableError::Interpreter(script.path.clone(), Box::new(error)))?;
        if interpreter.is_script()? {
            return Err(ExecutableError::NestedScript(script.path.clone(), interpreter.path));
        }
        Ok(Self { digest, interpreter, name, argument })
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
        Ok(Self { file, path: resolved })
    }

    fn is_script(&self) -> Result<bool, ExecutableError> {
        let mut first = [0; 2];
        let read = self.file.read_at(&mut first, 0);
        let read = read.map_err(|error| ExecutableError::Read(self.path.clone(), error))?;
        Ok(first.get(..read) == Some(b"#!"))
    }
}

/// SHA-256 of the whole file and its first bytes, read once so that both are of the same content.
pub(crate) fn hash(file: &File) -> std::io::Result<(Hash, Vec<u8>)> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; READ_BYTES];
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

/// The interpreter and its single argument, parsed as the kernel does: the argument may hold blanks. Nothing where no interpreter is named.
fn interpreter_line(head: &[u8]) -> Option<Line> {
    let rest = head.strip_prefix(b"#!")?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let newline = rest.iter().position(|byte| *byte == b'\n');
    let line = rest.get(..newline.unwrap_or(rest.len())).unwrap_or_default();
    let start = line.iter().position(|byte| !blank(byte))?;
    let line = line.get(start..).unwrap_or_default();
    let end = line.iter().position(|byte| blank(byte) || *byte == 0);
    // A name that the kernel would have to cut is not the name that was written.
    if newline.is_none() && end.is_none() && head.len() == FIRST_LINE_BYTES {
        return None;
    }
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    if name.is_empty() {
        return None;
    }
    let argument: Vec<u8> = match rest.first() {
        None | Some(0) => Vec::new(),
        Some(_) => rest.iter().copied().skip_while(blank).take_while(|byte| *byte != 0).collect(),
    };
    let length = argument.iter().rposition(|byte| !blank(byte)).map_or(0, |last| last + 1);
    let argument = argument.get(..length).filter(|argument| !argument.is_empty()).map(<[u8]>::to_vec);
    Some((name.to_vec(), argument))
}
