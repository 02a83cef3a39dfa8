//! Each way in which a file cannot be what runs, and what a script becomes.

use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use writ_gateway_process::{Executable, ExecutableError};

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("writ-executable-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn file(path: &Path, content: &str, mode: u32) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn open(path: &Path) -> Result<Executable, ExecutableError> {
    Executable::open(path.as_os_str(), None)
}

#[test]
fn each_unfit_file_has_its_own_error() {
    let at = folder("unfit");
    file(&at.join("plain"), "x", 0o644);
    file(&at.join("empty-line"), "#! \t\n", 0o755);
    file(&at.join("inner"), "#!/bin/sh\n", 0o755);
    file(&at.join("outer"), &format!("#!{}\n", at.join("inner").display()), 0o755);
    symlink(at.join("loop"), at.join("loop")).unwrap();
    let missing = open(&at.join("missing")).unwrap_err();
    assert!(matches!(missing, ExecutableError::NotFound(_)) && missing.exit_status() == 127);
    let plain = open(&at.join("plain")).unwrap_err();
    assert!(matches!(plain, ExecutableError::NotExecutable(_)) && plain.exit_status() == 126);
    assert!(matches!(open(&at), Err(ExecutableError::IsDirectory(_))));
    assert!(matches!(open(Path::new("/dev/null")), Err(ExecutableError::NotRegular(_))));
    assert!(matches!(open(&at.join("loop")), Err(ExecutableError::TooManyLinks(_))));
    assert!(matches!(open(&at.join("empty-line")), Err(ExecutableError::InterpreterLine(_))));
    assert!(matches!(open(&at.join("outer")), Err(ExecutableError::NestedScript(..))));
    std::fs::remove_dir_all(at).unwrap();
}

#[test]
fn a_script_becomes_its_interpreter_with_one_argument() {
    let at = folder("script");
    file(&at.join("tool"), "#! /bin/sh  -e -u \necho\n", 0o755);
    let tool = Executable::open(OsStr::new("tool"), Some(at.as_os_str())).unwrap();
    let path = at.join("tool").into_os_string().into_string().unwrap();
    let argv = tool.kernel_argv(&[b"tool".to_vec(), b"\xff".to_vec()]);
    assert_eq!(argv, [b"/bin/sh".to_vec(), b"-e -u".to_vec(), path.into_bytes(), b"\xff".to_vec()]);
    assert_eq!(*tool.digest(), writ_tlog::sha256(&std::fs::read(at.join("tool")).unwrap()));
    assert!(tool.interpreter().is_some());
    std::fs::remove_dir_all(at).unwrap();
}
