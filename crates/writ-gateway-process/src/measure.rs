//! The canonical action of what is about to run.

use crate::executable::Executable;
use nix::sys::stat::{SFlag, fstat};
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use writ_protocol::action::{Exec, ExecFields, Interpreter, Stdin, Variables};
use writ_protocol::{Code, Refusal};

/// Puts together what was measured. Every variable that is passed counts.
pub fn measure(
    executable: &Executable,
    argv: &[OsString],
    variables: &[(OsString, OsString)],
    cwd: &OsStr,
) -> Result<Exec, Refusal> {
    let pairs = variables.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let interpreter = executable
        .interpreter()
        .map(|(path, digest)| Interpreter { path: path.as_os_str().as_bytes().to_vec(), digest: *digest });
    let fields = ExecFields {
        cwd: cwd.as_bytes().to_vec(),
        argv: argv.iter().map(|argument| argument.as_bytes().to_vec()).collect(),
        path: executable.path().as_os_str().as_bytes().to_vec(),
        variables: Variables::new(pairs)?,
        stdin: stdin_kind(std::io::stdin().as_fd())?,
        executable: *executable.digest(),
        interpreter,
    };
    Ok(Exec::new(fields)?)
}

/// What standard input is. A folder or anything else that leads to other files is refused, for what is covered could be reached through it.
fn stdin_kind(stdin: BorrowedFd<'_>) -> Result<Stdin, Refusal> {
    let refused = |what: &str| {
        Refusal::new(Code::IntegrityFailure, format!("standard input is {what}; give it a file, a pipe or /dev/null"))
    };
    let Ok(found) = fstat(stdin) else { return Ok(Stdin::Null) };
    match SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFIFO => Ok(Stdin::Pipe),
        SFlag::S_IFREG => Ok(Stdin::File),
        SFlag::S_IFSOCK => Ok(Stdin::Socket),
        SFlag::S_IFCHR if stdin.is_terminal() => Ok(Stdin::Tty),
        SFlag::S_IFCHR if is_null(found.st_rdev) => Ok(Stdin::Null),
        SFlag::S_IFCHR => Err(refused("a device")),
        SFlag::S_IFDIR => Err(refused("a folder")),
        _ => Err(refused("of no known kind")),
    }
}

/// `/dev/null` is device 1:3 on every Linux.
fn is_null(device: u64) -> bool {
    nix::sys::stat::major(device) == 1 && nix::sys::stat::minor(device) == 3
}
