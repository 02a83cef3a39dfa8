//! A governed tree is as its command would be without, and ends with its gateway, its watcher and its command.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod governed;

use governed::{Site, assert_refused, children, err, out, status, until, users};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// Starts what is hard to end, each noted in `pids`: daemons that left the session, that ignore signals, whose first thread has ended, whose
/// end is told to nobody, many at once, and a chain in which each starts the next and ends. Then writes `ready`.
const BROOD: &str = r#"
import ctypes, os, signal, sys, threading, time
def note():
    with open('pids', 'a') as pids: pids.write(f'{os.getpid()}\n')
def daemon(life):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note()
            life()
            os._exit(0)
        os._exit(0)
    os.wait()
def deaf():
    for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP): signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    time.sleep(1000)
def headless():
    threading.Thread(target=time.sleep, args=(1000,)).start()
    ctypes.CDLL(None).syscall(60 if os.uname().machine == 'x86_64' else 93, 0)
def unkillable():
    ctypes.CDLL(None).prctl(1, 0)
    ctypes.CDLL(None).prctl(4, 0)
    time.sleep(1000)
def chain():
    for _ in range(3000):
        if os.fork() != 0: os._exit(0)
    time.sleep(1000)
def quiet():
    if ctypes.CDLL(None).syscall(56 if os.uname().machine == 'x86_64' else 220, 0, 0, 0, 0, 0) == 0: note()
    time.sleep(1000)
for life in [deaf, headless, quiet, unkillable, lambda: os.kill(os.getpid(), signal.SIGSTOP), chain]: daemon(life)
for _ in range(40): daemon(lambda: time.sleep(1000))
ctypes.CDLL(None).prctl(1, 0)
note()
while len(open('pids').readlines()) < 48: time.sleep(0.001)
open('ready', 'w').close()
"#;

fn brood(site: &Site, then: &str) -> Child {
    let program = format!("{BROOD}\n{then}\n");
    let mut command = site.confined(["python3", "-c", &program]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

fn ready(site: &Site) {
    until("the command is ready", || site.at("ready").exists());
}

/// Set between measuring and starting.
fn meanwhile(site: &Site, script: &str, words: &[&OsStr]) -> std::process::Output {
    site.confined(words).env("CONFINED_BETWEEN", script).output().unwrap()
}

#[test]
fn a_status_and_a_signal_come_through() {
    for site in users().into_iter().map(Site::new) {
        for status in [0, 1, 2, 42, 126, 127, 128, 130, 254, 255] {
            assert_eq!(site.shell(&format!("exit {status}")).status.code(), Some(status));
        }
        for signal in [1, 2, 3, 6, 9, 10, 11, 12, 13, 14, 15, 31] {
            assert_eq!(site.shell(&format!("kill -{signal} $$")).status.code(), Some(128 + signal));
        }
    }
}

#[test]
fn a_real_time_signal_is_a_signal_like_any_other() {
    for site in users().into_iter().map(Site::new) {
        // Orphans that one has ended are reaped, and the rest goes on.
        let orphans = "for i in 1 2 3; do (sh -c 'echo $$ >> pids; kill -40 $$' &); done
while [ $(cat pids | wc -l) -lt 3 ] || ps -o stat= -p $(tr '\n' , < pids)0 | grep -q .; do :; done; echo on";
        let output = site.shell(&format!("{orphans}; exit 6"));
        assert_eq!((out(&output).as_str(), output.status.code()), ("on\n", Some(6)), "{output:?}");
        assert_eq!(site.noted(), vec![]);
        for signal in [34, 40, 64] {
            assert_eq!(site.shell(&format!("kill -{signal} $$")).status.code(), Some(128 + signal));
        }
        // Those that are left when the command ends.
        let output = site.shell("(trap '' TERM; sh -c 'echo $$ >> pids; kill -50 $$'; sleep 1000) & exit 5");
        assert_eq!(output.status.code(), Some(5));
        assert_eq!((site.noted(), site.left()), (vec![], vec![]));
    }
}

#[test]
fn nothing_outlives_the_command() {
    for site in users().into_iter().map(Site::new) {
        let output = brood(&site, "sys.exit(7)").wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        assert_eq!(site.text("pids").lines().count(), 48);
        assert_eq!((site.noted(), site.left()), (vec![], vec![]));
    }
}

#[test]
fn nothing_outlives_the_gateway() {
    for site in users().into_iter().map(Site::new) {
        let mut gateway = brood(&site, "time.sleep(1000)");
        ready(&site);
        assert!(site.noted().len() >= 44 && site.left().len() >= 44);
        kill(pid(&gateway), Signal::SIGKILL).unwrap();
        gateway.wait().unwrap();
        until("the tree is gone", || site.noted().is_empty() && site.left().is_empty());
    }
}

#[test]
fn nothing_outlives_the_watcher_and_the_gateway_says_so() {
    for site in users().into_iter().map(Site::new) {
        let gateway = brood(&site, "time.sleep(1000)");
        ready(&site);
        let watcher = children(pid(&gateway).as_raw());
        assert_eq!(watcher.len(), 1);
        kill(Pid::from_raw(watcher[0]), Signal::SIGKILL).unwrap();
        let output = gateway.wait_with_output().unwrap();
        assert_refused(&output, "watcher");
        assert_eq!((site.noted(), site.left()), (vec![], vec![]));
    }
}

#[test]
fn a_tree_that_never_stops_forking_ends() {
    for site in users().into_iter().map(Site::new) {
        // Eight lines of processes that each start the next and end, until they are ended or have failed to be for long.
        let program = "import os\nfor _ in range(8):\n if os.fork()==0:\n  os.setsid()\n  open('ready','w').close()\n  for _ in range(200000):\n   \
                       if os.fork()!=0: os._exit(0)\nimport time\ntime.sleep(1000)";
        let mut gateway = site.confined(["python3", "-c", program]).spawn().unwrap();
        ready(&site);
        kill(pid(&gateway), Signal::SIGKILL).unwrap();
        gateway.wait().unwrap();
        until("the tree is gone", || site.left().is_empty());
    }
}

#[test]
fn limits_of_gateway_and_watcher_are_not_for_the_tree_to_set() {
    for site in users().into_iter().map(Site::new) {
        let program = "
import os, resource, subprocess
watcher = os.getppid()
gateway = int(open(f'/proc/{watcher}/stat').read().rsplit(')', 1)[1].split()[1])
for pid in (watcher, gateway):
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU):
        try: resource.prlimit(pid, limit, (0, 0)); print('set')
        except PermissionError: print('refused')
resource.prlimit(watcher, resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50)); print(resource.getrlimit(resource.RLIMIT_NOFILE))
";
        let output = site.confined(["python3", "-c", program]).output().unwrap();
        assert_eq!(out(&output), "refused\nrefused\nrefused\nrefused\n(50, 50)\n", "{}", err(&output));
    }
}

#[test]
fn a_file_that_is_written_to_meanwhile_does_not_run() {
    for site in users().into_iter().map(Site::new) {
        let tool = site.copy(Path::new("/bin/echo"), "tool");
        let words = [tool.as_os_str(), OsStr::new("ran")];
        assert_eq!(out(&meanwhile(&site, "true", &words)), "ran\n");
        assert_refused(&meanwhile(&site, "printf x >> tool", &words), "the file was written to");
    }
}

#[test]
fn a_path_that_is_swapped_meanwhile_changes_nothing() {
    for site in users().into_iter().map(Site::new) {
        let tool = site.copy(Path::new("/bin/echo"), "tool");
        site.copy(Path::new("/bin/false"), "other");
        let output = meanwhile(&site, "mv other tool", &[tool.as_os_str(), OsStr::new("ran")]);
        assert_eq!((out(&output).as_str(), output.status.code()), ("ran\n", Some(0)), "{output:?}");
        assert!(!site.at("other").exists());
    }
}

#[test]
fn a_script_runs_as_measured_or_not_at_all() {
    for site in users().into_iter().map(Site::new) {
        let first = "#!/bin/sh\necho \"measured $0 $(dirname \"$0\") $*\"\n";
        let written = |site: &Site| site.file("script", first, 0o755);
        let said = |output: &std::process::Output| (out(output), output.status.code());
        let expected = ("measured ./script . a  b\n".to_owned(), Some(0));
        let words = [OsStr::new("./script"), OsStr::new("a  b")];
        written(&site);
        assert_eq!(said(&meanwhile(&site, "true", &words)), expected);
        assert_refused(&meanwhile(&site, "echo echo changed > script", &words), "the script");
        written(&site);
        assert_refused(&meanwhile(&site, "echo echo more >> script", &words), "the script");
        written(&site);
        let swapped = "printf '#!/bin/sh\\necho changed\\n' > other; chmod 755 other; mv other script";
        assert_eq!(said(&meanwhile(&site, swapped, &words)), expected);
        written(&site);
        assert_refused(&meanwhile(&site, "rm script", &words), "script");
        // Written to while it runs, by one who may: what runs is the private copy.
        let reading = "#!/bin/sh\necho echo changed > script\necho measured\n";
        site.file("script", reading, 0o755);
        let output = site.confined(["./script"]).output().unwrap();
        assert_eq!(out(&output), "measured\n");
        assert!(err(&output).contains("script"), "{output:?}");
        assert_eq!(site.text("script"), reading);
    }
}

#[test]
fn an_interpreter_that_is_written_to_meanwhile_does_not_run() {
    for site in users().into_iter().map(Site::new) {
        site.copy(Path::new("/bin/sh"), "shell");
        let script = format!("#!{}\necho ran\n", site.at("shell").display());
        let script = site.file("script", script, 0o755);
        assert_eq!(out(&meanwhile(&site, "true", &[script.as_os_str()])), "ran\n");
        assert_refused(&meanwhile(&site, "printf x >> shell", &[script.as_os_str()]), "the file was written to");
    }
}

#[test]
fn what_the_kernel_will_not_execute_is_refused_with_its_reason() {
    for site in users().into_iter().map(Site::new) {
        let garbage = site.file("garbage", "neither binary nor script", 0o755);
        let run = |path: &Path| site.confined([path]).output().unwrap();
        assert_refused(&run(&garbage), "ENOEXEC");
        assert_refused(&run(site.path()), "is a directory");
        assert_refused(&run(Path::new("no-such-program")), "not found");
        let busy = site.copy(Path::new("/bin/echo"), "busy");
        let writer = std::fs::File::options().append(true).open(&busy).unwrap();
        assert_refused(&run(&busy), "ETXTBSY");
        drop(writer);
        // Another test may have started something while it was open here.
        until("nobody writes to it", || run(&busy).status.success());
    }
}

#[test]
fn a_command_finds_everything_as_without() {
    let look = "umask; nice; ulimit -a; ulimit -H -a; env | sort; pwd; id; cat /proc/self/oom_score_adj
        grep -E '^(Sig(Blk|Ign|Cgt)|Umask|Groups|Uid|Gid|THP|Cpus_allowed)' /proc/self/status; echo $0 \"$@\"; cat; stat -c %a new";
    for site in users().into_iter().map(Site::new) {
        let set_up = "umask 027; ulimit -n 77; ulimit -s 4096; ulimit -c 0; trap '' USR2 HUP; exec nice -n 5 \"$@\"";
        let run = |prefix: Vec<PathBuf>| {
            let words = ["sh", "-c", set_up, "sh"].map(PathBuf::from).into_iter().chain(prefix);
            let mut words: Vec<_> = words.map(PathBuf::into_os_string).collect();
            let script = format!("rm -f new; : > new; {look}");
            words.extend(["sh", "-c", &script, "zero", "a b", ""].map(Into::into));
            words.push(OsStr::from_bytes(b"\xff\xfe").to_owned());
            let mut command = site.bare(words);
            command.env("NOT_TEXT", OsStr::from_bytes(b"\xc3(")).env("EMPTY", "").env("LINES", "a\nb=c");
            command.stdin(std::fs::File::open("/etc/hostname").unwrap());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            out(&output)
        };
        let (bare, governed) = (run(vec![]), run(site.prefix()));
        assert!(bare.contains("801\nSigCgt") && bare.contains("Umask:\t0027"), "{bare}");
        assert_eq!(bare, governed);
    }
}

#[test]
fn only_the_three_streams_are_open() {
    for site in users().into_iter().map(Site::new) {
        let mut words = ["sh", "-c", "exec 7</etc/passwd 9>other; exec \"$@\"", "sh"].map(PathBuf::from).to_vec();
        words.extend(site.prefix());
        words.extend(["ls", "/proc/self/fd"].map(PathBuf::from));
        // The fourth is the folder that it lists.
        assert_eq!(out(&site.bare(words).output().unwrap()), "0\n1\n2\n3\n");
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_writer() {
    for site in users().into_iter().map(Site::new) {
        let mut words =
            ["bash", "-c", "\"$@\" yes | head -n 1; echo ${PIPESTATUS[0]}", "bash"].map(PathBuf::from).to_vec();
        words.extend(site.prefix());
        assert_eq!(out(&site.bare(words).output().unwrap()), "y\n141\n");
    }
}

#[test]
fn much_goes_through_a_pipe_unchanged() {
    for site in users().into_iter().map(Site::new) {
        let pipe = "yes governed | head -c 300000000 | \"$@\" cat | sha256sum";
        let mut words = ["sh", "-c", pipe, "sh"].map(PathBuf::from).to_vec();
        words.extend(site.prefix());
        let governed = site.bare(words).output().unwrap();
        let bare = site.bare(["sh", "-c", "yes governed | head -c 300000000 | sha256sum"]).output().unwrap();
        assert_eq!(out(&governed), out(&bare), "{}", err(&governed));
        assert!(out(&bare).len() > 64);
    }
}

#[test]
fn signals_to_the_gateway_reach_the_command_once_each() {
    // They are waited for and not handled: one that comes between two lines is not missed.
    let program = "
import signal, sys
numbers = signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
open('ready', 'w').close()
while (number := signal.sigwait(numbers)) != signal.SIGUSR2:
    with open('heard', 'a') as heard: heard.write(f'{signal.Signals(number).name}\\n')
sys.exit(3)
";
    let sent = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGALRM, Signal::SIGUSR1];
    for site in users().into_iter().map(Site::new) {
        let mut gateway = site.confined(["python3", "-c", program]).spawn().unwrap();
        ready(&site);
        let mut expected = String::new();
        for signal in sent.into_iter().chain([Signal::SIGTERM]) {
            kill(pid(&gateway), signal).unwrap();
            expected.push_str(&format!("{signal}\n"));
            until("the signal is heard", || site.text("heard").len() >= expected.len());
        }
        kill(pid(&gateway), Signal::SIGUSR2).unwrap();
        assert_eq!(gateway.wait().unwrap().code(), Some(3));
        assert_eq!(site.text("heard"), expected);
    }
}

#[test]
fn what_its_parent_ignores_and_blocks_the_command_finds_so() {
    for site in users().into_iter().map(Site::new) {
        let with = |words: &[&str], governed: bool| {
            let ignoring = ["env", "--ignore-signal=CHLD,HUP,TERM,USR1,CONT,TSTP", "--block-signal=INT,USR2"];
            let prefix = if governed { site.prefix() } else { Vec::new() };
            let prefix = prefix.into_iter().map(PathBuf::into_os_string);
            let words = ignoring.iter().map(OsString::from).chain(prefix).chain(words.iter().map(OsString::from));
            site.bare(words).output().unwrap()
        };
        let signals = ["grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"];
        assert_eq!(out(&with(&signals, true)), out(&with(&signals, false)));
        // The kernel tells those who ignore SIGCHLD of no child.
        assert_eq!(with(&["sh", "-c", "exit 7"], true).status.code(), Some(7));
    }
}

#[test]
fn a_signal_to_its_whole_group_ends_the_tree_and_not_the_gateway() {
    for site in users().into_iter().map(Site::new) {
        let mut words = vec![PathBuf::from("setsid"), PathBuf::from("--wait")];
        words.extend(site.prefix());
        words.extend(["sh", "-c", "kill -KILL 0; sleep 1000"].map(PathBuf::from));
        let output = site.bare(words).output().unwrap();
        assert_eq!(output.status.code(), Some(137), "{output:?}");
    }
}

#[test]
fn a_signal_to_the_group_at_any_moment_of_the_start_leaves_nothing_that_hangs() {
    for site in users().into_iter().map(Site::new) {
        for delay_us in (0..20_000).step_by(250) {
            let mut words = vec![PathBuf::from("setsid")];
            words.extend(site.prefix());
            words.extend(["sleep", "1000"].map(PathBuf::from));
            let mut gateway = site.bare(words).spawn().unwrap();
            let own_group = || nix::unistd::getpgid(Some(pid(&gateway))) == Ok(pid(&gateway));
            until("it leads a group", own_group);
            // No condition is waited for: every moment of the start is one to test.
            std::thread::sleep(std::time::Duration::from_micros(delay_us));
            kill(Pid::from_raw(-pid(&gateway).as_raw()), Signal::SIGTERM).unwrap();
            until("the gateway has ended", || gateway.try_wait().unwrap().is_some());
        }
        until("nothing is left", || site.left().is_empty());
    }
}

#[test]
fn a_command_that_stops_stops_its_gateway_and_both_go_on() {
    for site in users().into_iter().map(Site::new) {
        let mut gateway = site
            .confined(["sh", "-c", "for i in 1 2 3; do kill -STOP $$; echo $i >> heard; done; exit 5"])
            .spawn()
            .unwrap();
        for times in 0..3 {
            let stopped = || status(pid(&gateway).as_raw()).is_some_and(|(state, _)| state == "T");
            until("the gateway is stopped", || stopped() && site.text("heard").lines().count() == times);
            kill(pid(&gateway), Signal::SIGCONT).unwrap();
            until("the command went on", || site.text("heard").lines().count() > times);
        }
        assert_eq!(gateway.wait().unwrap().code(), Some(5));
    }
}

#[test]
fn a_core_is_left_as_without() {
    for site in users().into_iter().map(Site::new) {
        let cores = |prefix: Vec<PathBuf>, limit: &str| {
            let set_up = format!("ulimit -c {limit}; exec \"$@\"");
            let mut words = ["sh", "-c", &set_up, "sh"].map(PathBuf::from).to_vec();
            words.extend(prefix);
            words.extend(["sh", "-c", "kill -SEGV $$"].map(PathBuf::from));
            site.bare(words).status().unwrap();
            let names = std::fs::read_dir(site.path()).unwrap().map(|entry| entry.unwrap().path());
            let cores = names.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("core"));
            cores.map(|path| std::fs::remove_file(path).unwrap()).count()
        };
        assert_eq!(cores(site.prefix(), "unlimited"), cores(vec![], "unlimited"));
        assert_eq!(cores(site.prefix(), "0"), 0);
    }
}
