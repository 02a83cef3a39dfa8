//! Each way in which a file cannot be what runs, and what a script becomes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod governed;

use governed::{Site, assert_refused, err, out, users};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
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
    let argv = tool.program().kernel_argv(&[b"tool".to_vec(), b"\xff".to_vec()]);
    assert_eq!(argv, [b"/bin/sh".to_vec(), b"-e -u".to_vec(), path.into_bytes(), b"\xff".to_vec()]);
    assert_eq!(*tool.digest(), writ_tlog::sha256(&std::fs::read(at.join("tool")).unwrap()));
    assert!(tool.interpreter().is_some());
    std::fs::remove_dir_all(at).unwrap();
}

#[test]
fn what_is_no_file_is_never_opened_for_reading() {
    let site = Site::new(None);
    assert!(site.bare(["mkfifo", "-m", "755", "fifo"]).status().unwrap().success());
    let _listening = std::os::unix::net::UnixListener::bind(site.at("socket")).unwrap();
    for name in ["fifo", "socket"] {
        // A FIFO that nobody writes to would block whoever opened it for reading.
        assert!(matches!(open(&site.at(name)), Err(ExecutableError::NotRegular(_))), "{name}");
    }
    let missing = site.file("missing", "#!/no/such/interpreter\n", 0o755);
    let error = open(&missing).unwrap_err();
    assert!(
        matches!(&error, ExecutableError::Interpreter(_, inner) if matches!(**inner, ExecutableError::NotFound(_)))
    );
    assert_eq!(error.exit_status(), 126);
    assert!(matches!(open(Path::new(&format!("/{}", "x".repeat(5000)))), Err(ExecutableError::Open(..))));
}

#[test]
fn a_file_that_was_deleted_has_vanished() {
    let site = Site::new(None);
    let file = std::fs::File::open(site.file("gone", "x", 0o755)).unwrap();
    std::fs::remove_file(site.at("gone")).unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
    assert!(matches!(open(&path), Err(ExecutableError::Vanished(_))));
}

#[test]
fn what_may_be_executed_but_not_read_is_refused() {
    for site in users().into_iter().map(Site::new) {
        // Root reads everything, so this is about who is not.
        let tool = site.copy(Path::new("/bin/echo"), "tool");
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o111)).unwrap();
        let output = site.confined([tool.as_os_str(), OsStr::new("ran")]).output().unwrap();
        if site.user.is_none() && nix::unistd::geteuid().is_root() {
            assert_eq!(out(&output), "ran\n");
        } else {
            assert_refused(&output, "may be executed but not read");
        }
    }
}

#[test]
fn a_name_is_searched_as_execvp_does() {
    for site in users().into_iter().map(Site::new) {
        let tool = |folder: &str, mode: u32| {
            std::fs::create_dir(site.at(folder)).unwrap();
            site.file(&format!("{folder}/tool"), format!("#!/bin/sh\necho {folder}\n"), mode);
        };
        tool("plain", 0o644);
        tool("first", 0o755);
        tool("second", 0o755);
        std::fs::create_dir_all(site.at("folder/tool")).unwrap();
        tool("closed", 0o755);
        std::fs::set_permissions(site.at("closed"), std::fs::Permissions::from_mode(0o700)).unwrap();
        let run = |path: &str| {
            let path: Vec<String> = path.split(' ').map(|name| site.at(name).display().to_string()).collect();
            let prefix = site.prefix();
            let mut command = site.bare(prefix);
            command.arg("tool").env("PATH", path.join(":") + ":/usr/bin:/bin").output().unwrap()
        };
        assert_eq!(out(&run("missing plain folder first second")), "first\n");
        assert_eq!(out(&run("second first")), "second\n");
        let root = site.user.is_none() && nix::unistd::geteuid().is_root();
        assert_eq!(out(&run("closed first")), if root { "closed\n" } else { "first\n" });
        assert_refused(&run("missing plain"), "not executable");
        assert_refused(&run("missing folder"), "is a directory");
        assert_refused(&run("missing"), "not found");
    }
}

#[test]
fn a_first_line_is_read_as_the_kernel_reads_it() {
    let site = Site::new(None);
    let lines = [
        "#!/bin/echo",
        "#! \t/bin/echo \t a  b \t\n",
        "#!/bin/echo\targument\n",
        &format!("#!/bin/echo {}\n", "x".repeat(240)),
        &format!("#!/bin/echo {}\n", "x".repeat(243)),
        &format!("#!/bin/echo {}\n", "y".repeat(400)),
        &format!("#!{}/bin/echo\n", "/".repeat(243)),
        &format!("#!{}/bin/echo x\n", "/".repeat(243)),
        "#!/bin/echo a\0b c\n",
    ];
    for line in lines {
        let script = site.file("script", line, 0o755);
        let words = [script.as_os_str(), OsStr::new("one two")];
        let bare = site.bare(words).output().unwrap();
        assert!(bare.status.success(), "{line:?}");
        assert_eq!(out(&site.confined(words).output().unwrap()), out(&bare), "{line:?}");
    }
    let cut = site.file("script", format!("#!{}/bin/echo\n", "/".repeat(250)), 0o755);
    assert!(site.bare([&cut]).output().is_err());
    assert!(matches!(open(&cut), Err(ExecutableError::InterpreterLine(_))));
}

#[test]
fn arguments_come_through_byte_for_byte_and_in_numbers() {
    for site in users().into_iter().map(Site::new) {
        let argument = OsStr::from_bytes(b"\xff\x80 \n'\"\\");
        let output = site.confined([OsStr::new("printf"), OsStr::new("%s"), argument]).output().unwrap();
        assert_eq!(output.stdout, argument.as_bytes());
        let many = "ulimit -s unlimited; exec \"$@\" python3 -c 'import sys; print(len(sys.argv), sum(map(len, sys.argv)))' $(yes 123456789 | head -n 210000)";
        let mut words = ["sh", "-c", many, "sh"].map(PathBuf::from).to_vec();
        words.extend(site.prefix());
        let output = site.bare(words).output().unwrap();
        assert_eq!(out(&output), "210001 1890002\n", "{}", err(&output));
    }
}
