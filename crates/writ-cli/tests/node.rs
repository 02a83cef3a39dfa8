//! What others than its own user get from a node, and what they can do to it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use site::{NOBODY, Site, needs_root, stderr, stdout, wait};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Asks for the values of an entry; says the status and the body.
fn asked_for_values(mut stream: impl Read + Write, index: u64) -> (u16, Vec<u8>) {
    let request =
        format!("GET /v1/entries/{index}/bundle?disclose=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer[body..].to_vec())
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|found| found == text.as_bytes())
}

/// The same, in Python, for a caller that is somebody else.
const ASK: &str = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b"GET /v1/entries/%d/bundle?disclose=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % int(sys.argv[2]))
data = b""
while chunk := s.recv(65536): data += chunk
print(data[9:12].decode(), b"a-secret-argument" in data)
"#;

#[test]
fn values_behind_commitments_are_for_the_nodes_own_user_outside_every_tree() {
    needs_root();
    let mut site = Site::new();
    site.permit_everything();
    let up = site.start_with(&["--listen", "127.0.0.1:0"]);
    assert_eq!(site.run(&["echo", "a-secret-argument"]).status.code(), Some(0));
    let grant = site.entries().iter().find(|entry| entry["type"] == "grant").unwrap()["index"].as_u64().unwrap();
    let socket = site.text("acme/run/node.sock");
    let (status, body) = asked_for_values(UnixStream::connect(&socket).unwrap(), grant);
    assert!(status == 200 && holds(&body, "a-secret-argument"), "{status}");
    let remote = TcpStream::connect(up["address"].as_str().unwrap()).unwrap();
    let (status, body) = asked_for_values(remote, grant);
    assert!(status == 401 && holds(&body, "unauthenticated") && !holds(&body, "a-secret-argument"), "{status}");
    // Inside a governed execution of the same user.
    let inside = site.run(&["python3", "-c", ASK, &socket, &grant.to_string()]);
    assert_eq!(stdout(&inside), "401 False\n", "{}", stderr(&inside));
    // Another user of the machine, to whom the folder is opened.
    for folder in ["", "acme", "acme/run"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(site.path(folder), mode).unwrap();
    }
    let other = Command::new("python3").args(["-c", ASK, &socket, &grant.to_string()]).uid(NOBODY).output().unwrap();
    assert_eq!(stdout(&other), "401 False\n", "{}", stderr(&other));
}

#[test]
fn a_tree_that_takes_all_its_connections_leaves_those_of_its_user() {
    let mut site = Site::new();
    site.permit_everything();
    site.start();
    let socket = site.text("acme/run/node.sock");
    let hoard = "
import socket, sys, time
held = []
for _ in range(200):
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); held.append(s)
print('held', flush=True)
sys.stdin.read()
";
    let mut command = site.command(&["run", "--", "python3", "-c", hoard, &socket]);
    let mut tree = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 5];
    tree.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    for _ in 0..3 {
        let halted = site.writ(&["--json", "halt", "--reason", "drill"]);
        assert_eq!(halted.status.code(), Some(0), "{}", stderr(&halted));
    }
    drop(tree.stdin.take());
    tree.wait().unwrap();
    wait("nothing to be left", || site.left().is_empty());
}

#[test]
fn a_node_whose_terminal_has_gone_ends_well_unless_it_was_to_outlive_it() {
    let mut site = Site::up();
    for signal in ["-INT", "-TERM", "-HUP"] {
        site.end_node(signal);
        assert!(std::fs::read_to_string(site.path("up.err")).unwrap().contains("event=down"), "{signal}");
        site.start();
    }
    site.kill_node();
    let told = site.path("outlives.out");
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" up", env!("CARGO_BIN_EXE_writ")]).env_clear();
    shell.env("HOME", site.home.path()).env("WRIT_DOMAIN", site.path("acme")).stdin(Stdio::null());
    let file = std::fs::File::create(&told).unwrap();
    let mut node = shell.stdout(file).stderr(Stdio::null()).spawn().unwrap();
    wait("the node to listen", || std::fs::read_to_string(&told).unwrap().contains("Ctrl-C"));
    let pid = node.id().to_string();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 1, 1, "{status}");
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(node.wait().unwrap().code(), Some(0));
}

/// The unit that operations.md shows: its variables and its arguments are enough for a node, with no home.
#[test]
fn the_unit_of_the_documents_starts_a_node() {
    let site = Site::empty();
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md")).unwrap();
    let unit = document.split("```ini writ.service\n").nth(1).unwrap().split("```").next().unwrap();
    let here = |text: &str| text.replace("/srv/writ/", &site.text("")).replace("/var/lib/writ/", &site.text("marks/"));
    let said = |key: &str| here(unit.lines().find_map(|line| line.strip_prefix(key)).unwrap());
    let environment = said("Environment=");
    let variables: Vec<(&str, &str)> = environment.split(' ').map(|one| one.split_once('=').unwrap()).collect();
    let as_unit = |arguments: &[&str]| {
        let mut command = site.command(arguments);
        command.env_clear().envs(variables.iter().copied()).env("PATH", "/usr/bin:/bin");
        command
    };
    let mark = variables.iter().find(|(name, _)| *name == "WRIT_MARK").unwrap().1;
    let made = site.writ(&["init", "acme", "--origin", "acme.example/ledger", "--user", "ada", "--mark", mark]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let started = said("ExecStart=");
    let arguments: Vec<&str> = started.split(' ').skip(1).collect();
    let mut node = as_unit(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(node.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&first).unwrap()["up"], true);
    let status = as_unit(&["status"]).output().unwrap();
    let stopped = Command::new("kill").args(["-TERM", &node.id().to_string()]).status().unwrap();
    assert_eq!((status.status.code(), stopped.code()), (Some(0), Some(0)), "{}", stderr(&status));
    assert_eq!(node.wait().unwrap().code(), Some(0));
    // What would put callers into another mount namespace than the node's is not in it.
    for option in ["PrivateTmp", "ProtectSystem", "ProtectHome", "PrivateDevices", "ReadOnlyPaths"] {
        assert!(!unit.contains(option), "{option}");
    }
}
