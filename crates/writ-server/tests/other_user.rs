//! A node that is asked by another user's process. Apart from the other tests: between fork and exec a child holds the locks of all
//! ledgers that are open in its parent, and others could not open theirs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "log/ledger.rs"]
mod ledger;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "node/wire.rs"]
mod wire;

use ledger::Kept;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use wire::{PATIENT, serve};

#[test]
fn another_users_process_is_that_users() {
    let kept = Kept::with_entries(0);
    let served = serve(&kept, PATIENT);
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    assert_eq!(uid, 0, "this test becomes another user, which only root can: run it as root");
    std::fs::set_permissions(served.socket.parent().unwrap(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let ask = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
               s.sendall(b'GET /v1/peer HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')\n\
               while d:=s.recv(4096): sys.stdout.buffer.write(d)\n";
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", ask]);
    let out = command.arg(&served.socket).stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("local 65534 65534 Some("), "{text}");
}
