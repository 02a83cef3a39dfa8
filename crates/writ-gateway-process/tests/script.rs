//! A script runs as it was measured or not at all, whoever else can write to its folder, and it notices nothing of being watched over.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod governed;

use governed::{Site, children, err, out, status, until, users};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};

const EVIL: &str = "#!/bin/sh\necho evil\n";
const REPLACED: &str = "another file was opened in place of the script";
/// Calls after which nobody waits any more for the script to be opened.
const CALLS_MAX: usize = 20_000;

/// A script whose interpreter waits at the gate, and what it does before and after.
fn gated(site: &Site, before: &str, after: &str) -> String {
    assert!(site.bare(["mkfifo", "gate"]).status().unwrap().success());
    // Between being ready and going on it opens nothing.
    let interpreter = format!("{before}\nexec 9<> gate\n: > ready\nread go <&9\n{after}\n");
    let interpreter = site.file("interpreter.sh", interpreter, 0o644);
    format!("#!/bin/sh {}\necho measured \"$1\"\n", interpreter.display())
}

/// Starts it, does what an attacker in another mount namespace does while the interpreter waits, and opens the gate.
fn attacked(site: &Site, word: &str, attack: &str) -> Output {
    let gateway = site.confined([word]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the interpreter waits", || site.at("ready").exists());
    let own = if nix::unistd::geteuid().is_root() && site.user.is_none() { "-m" } else { "-Urm" };
    assert!(site.bare(["unshare", own, "sh", "-ec", attack]).status().unwrap().success(), "{attack}");
    open_the_gate(site);
    gateway.wait_with_output().unwrap()
}

fn open_the_gate(site: &Site) {
    // The interpreter has it open already, or has ended.
    let gate = std::fs::File::options().read(true).write(true).open(site.at("gate"));
    gate.unwrap().write_all(b"go\n").unwrap();
}

fn assert_ended(output: &Output, what: &str) {
    assert_eq!((out(output).as_str(), output.status.code()), ("", Some(126)), "{what}: {output:?}");
    assert!(err(output).contains(REPLACED), "{what}: {output:?}");
}

#[test]
fn another_file_under_its_name_never_runs() {
    let attacks = [
        ("./build.sh", "mv evil build.sh"),
        ("./build.sh", "rm build.sh; cp evil build.sh"),
        ("./build.sh", "rm build.sh; ln -s evil build.sh"),
        ("./build.sh", "ln -f evil build.sh"),
        ("./folder/build.sh", "mv folder folder.old; mv evils folder"),
        ("./folder/build.sh", "mv folder folder.old; ln -s evils folder"),
        ("./folder/../build.sh", "mv evil build.sh"),
        ("./link", "ln -s evil new; mv -T new link"),
        ("./link", "mv evil build.sh"),
        ("./linked/build.sh", "ln -s evils new; mv -T new linked"),
        // With its folder moved away, the name is given back to it.
        ("./linked/build.sh", "mv folder folder.old; mkdir folder; mv evil folder/build.sh"),
    ];
    for user in users() {
        for (word, attack) in attacks {
            let site = Site::new(user);
            let script = gated(&site, "", ". \"$1\"");
            placed(&site, &script);
            assert_ended(&attacked(&site, word, attack), &format!("{word}: {attack}"));
            assert!(site.left().is_empty());
        }
    }
}

/// The script under every name that is attacked, and another file to put there.
fn placed(site: &Site, script: &str) {
    let made = "mkdir folder evils; ln -s build.sh link; ln -s folder linked";
    assert!(site.bare(["sh", "-ec", made]).status().unwrap().success());
    site.file("build.sh", script, 0o755);
    site.file("folder/build.sh", script, 0o755);
    site.file("evil", EVIL, 0o755);
    site.file("evils/build.sh", EVIL, 0o755);
}

#[test]
fn it_makes_no_difference_how_the_interpreter_comes_to_its_script() {
    let ways = [
        ("by its absolute name", "", ". \"$PWD/$1\""),
        ("by its resolved name", "real=$(readlink -f \"$1\")", ". \"$real\""),
        // Python does so: first it looks whether there is an archive.
        ("twice", "exec 3< \"$1\" 3<&-", ". \"$1\""),
        ("after another program", "", "exec sh \"$1\""),
        ("after having handed it on", "exec 3< \"$1\"", "exec sh \"$1\""),
    ];
    for user in users() {
        for (way, before, after) in ways {
            let site = Site::new(user);
            let script = gated(&site, before, after);
            placed(&site, &script);
            assert_ended(&attacked(&site, "./build.sh", "mv evil build.sh"), way);
        }
        // One that follows links itself opens what they lead to, under a name that is none of the script's.
        let site = Site::new(user);
        let script = gated(&site, "", "real=$(readlink -f \"$1\"); . \"$real\"");
        placed(&site, &script);
        assert_ended(&attacked(&site, "./link", "ln -s evil new; mv -T new link"), "by what it leads to");
        let site = Site::new(user);
        let script = gated(&site, "", ". \"$1\"").replacen("/bin/sh", "/usr/bin/env -S sh", 1);
        placed(&site, &script);
        assert_ended(&attacked(&site, "./build.sh", "mv evil build.sh"), "through env");
    }
}

#[test]
fn what_happens_after_it_was_opened_changes_nothing() {
    for user in users() {
        let site = Site::new(user);
        let script = gated(&site, "exec 3< \"$1\"", "read line <&3; read line <&3; echo \"$line\"");
        placed(&site, &script);
        let output = attacked(&site, "./build.sh", "mv evil build.sh");
        assert_eq!(out(&output), "echo measured \"$1\"\n", "{output:?}");
        let site = Site::new(user);
        let script = gated(&site, "", ". \"$1\"");
        placed(&site, &script);
        let output = attacked(&site, "./build.sh", "true");
        assert_eq!(out(&output), "measured ./build.sh\n", "{output:?}");
    }
}

#[test]
fn an_ordinary_script_runs_as_without() {
    let scripts = [
        ("sh", "#!/bin/sh -e\necho \"$0 $# $*\"; x=$(echo $PPID | wc -l); (exit 3) || exit 3$x\n"),
        ("bash", "#!/bin/bash\necho \"$0 $BASH_SOURCE $# $*\"; set -m; sleep 0 & wait $!; kill -INT $$; exit 4\n"),
        ("python", "#!/usr/bin/env python3\nimport sys\nprint(sys.argv, __file__)\nsys.exit(5)\n"),
        ("perl", "#!/usr/bin/perl -w\nprint \"$0 @ARGV\"; print <DATA>; kill 'TERM', $$; sleep 9;\n__END__\ndata\n"),
        ("env", "#!/usr/bin/env -S bash -u\necho \"$0\"; exec sh -c 'echo $0 $1; kill -9 $$' \"$0\" x\n"),
        ("itself", "#!/bin/sh\n[ \"$1\" = again ] && exit 6\nexec \"$0\" again\n"),
        ("long", &format!("#!/bin/sh\n{}echo \"$0\"; exit 7\n", ": long\n".repeat(50_000))),
        ("echo", "#!/bin/echo\n"),
    ];
    for site in users().into_iter().map(Site::new) {
        assert!(site.bare(["mkdir", "folder"]).status().unwrap().success());
        for (name, script) in scripts {
            site.file(name, script, 0o755);
            assert!(site.bare(["ln", "-sf", name, "link"]).status().unwrap().success());
            let absolute = site.at(name).display().to_string();
            for word in [&format!("./{name}"), &absolute, "./link", &format!("folder/../{name}")] {
                // Bare, it runs below a shell, which tells a signal as the example does.
                let words = ["sh", "-c", "\"$@\"; exit $?", "sh", word, "a  b", "c"];
                let bare = site.bare(words).output().unwrap();
                let governed = site.confined(&words[4..]).output().unwrap();
                assert_eq!((out(&governed), governed.status.code()), (out(&bare), bare.status.code()), "{governed:?}");
                assert!(bare.status.code() != Some(127), "{bare:?}");
            }
        }
        let output = site.confined(["sh"]).env("PATH", site.path()).output().unwrap();
        assert_eq!(out(&output), format!("{} 0 \n", site.at("sh").display()), "{output:?}");
    }
}

/// Starts one that waits before it has opened its script.
fn waiting(site: &Site, before: &str) -> (Child, Pid) {
    let script = gated(site, before, ". \"$1\"");
    site.file("build.sh", script, 0o755);
    // A group of its own: what stops by a terminal's signal must have somebody in its session who could let it go on, and who runs the tests
    // may have none.
    let mut command = site.confined(["./build.sh"]);
    let command = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    let gateway = command.spawn().unwrap();
    until("the interpreter waits", || site.at("ready").exists());
    let watcher = children(i32::try_from(gateway.id()).unwrap());
    let command = Pid::from_raw(children(watcher[0])[0]);
    (gateway, command)
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

#[test]
fn signals_come_through_before_it_is_opened() {
    for user in users() {
        let site = Site::new(user);
        let (gateway, _) = waiting(&site, "trap 'echo heard; exit 9' TERM");
        kill(pid(&gateway), Signal::SIGTERM).unwrap();
        let output = gateway.wait_with_output().unwrap();
        assert_eq!((out(&output).as_str(), output.status.code()), ("heard\n", Some(9)), "{output:?}");
        for signal in ["KILL", "INT", "40"] {
            let site = Site::new(user);
            let (gateway, command) = waiting(&site, "");
            assert!(Command::new("kill").args([format!("-{signal}"), command.to_string()]).status().unwrap().success());
            let expected = signal.parse().unwrap_or(if signal == "KILL" { 9 } else { 2 });
            assert_eq!(gateway.wait_with_output().unwrap().status.code(), Some(128 + expected));
        }
        let site = Site::new(user);
        let (mut gateway, _) = waiting(&site, "");
        kill(pid(&gateway), Signal::SIGKILL).unwrap();
        gateway.wait().unwrap();
        until("the tree is gone", || site.left().is_empty());
    }
}

#[test]
fn stopping_works_before_it_is_opened() {
    for site in users().into_iter().map(Site::new) {
        let (gateway, command) = waiting(&site, "");
        for signal in [Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGSTOP] {
            kill(command, signal).unwrap();
            let is = |pid: Pid, wanted: &str| status(pid.as_raw()).is_some_and(|(state, _)| wanted.contains(&state));
            until("the gateway is stopped", || is(pid(&gateway), "T"));
            assert!(is(command, "tT"), "{signal}: {:?}", status(command.as_raw()));
            kill(pid(&gateway), Signal::SIGCONT).unwrap();
            // A gateway that sleeps has passed on all that it was sent.
            until("both went on", || is(pid(&gateway), "S") && is(command, "SR"));
        }
        open_the_gate(&site);
        let output = gateway.wait_with_output().unwrap();
        assert_eq!(out(&output), "measured ./build.sh\n", "{output:?}");
    }
}

#[test]
fn an_interpreter_is_watched_no_longer_than_needed() {
    let traced = |of: &str| {
        format!("print([line for line in open('/proc/{of}/status') if line.startswith('Tracer')][0].split()[1] != '0')")
    };
    for site in users().into_iter().map(Site::new) {
        // Once it starts something, it runs what was measured.
        site.file("script", "#!/bin/sh\ngrep TracerPid: /proc/$$/status\n", 0o755);
        assert_eq!(out(&site.confined(["./script"]).output().unwrap()), "TracerPid:\t0\n");
        let look = traced("self");
        let program = format!("import os\n{look}\nfor _ in range({CALLS_MAX}): os.getppid()\n{look}\n");
        let interpreter = site.file("interpreter.py", program, 0o644);
        site.file("script", format!("#!/usr/bin/python3 {}\n", interpreter.display()), 0o755);
        assert_eq!(out(&site.confined(["./script"]).output().unwrap()), "True\nFalse\n");
        assert_eq!(out(&site.confined(["python3", "-c", &look]).output().unwrap()), "False\n");
    }
}

#[test]
fn an_interpreter_that_cannot_be_looked_into_is_ended() {
    for site in users().into_iter().map(Site::new) {
        let tool = site.copy(std::path::Path::new("/bin/sh"), "tool");
        std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o111)).unwrap();
        site.file("script", format!("#!/usr/bin/env {}\necho ran\n", tool.display()), 0o755);
        let output = site.confined(["./script"]).output().unwrap();
        // Root looks into everything.
        if site.user.is_none() && nix::unistd::geteuid().is_root() {
            assert_eq!(out(&output), "ran\n");
        } else {
            governed::assert_refused(&output, "what its interpreter opens cannot be seen");
        }
    }
}

#[test]
fn a_script_that_its_private_copy_has_no_room_for_is_refused() {
    let script = |length: usize| {
        let head = "#!/bin/sh\necho ran; exit\n";
        format!("{head}{}", "#".repeat(length - head.len()))
    };
    for site in users().into_iter().map(Site::new) {
        site.file("script", script(8 << 20), 0o755);
        assert_eq!(out(&site.confined(["./script"]).output().unwrap()), "ran\n");
        let large = site.file("script", script((8 << 20) + 1), 0o755);
        governed::assert_refused(&site.confined(["./script"]).output().unwrap(), "more than 8388608 bytes");
        let error = writ_gateway_process::Executable::open(large.as_os_str(), None).unwrap_err();
        assert_eq!(error.refusal().code(), writ_protocol::Code::IntegrityFailure);
        // Grown meanwhile, without end for whoever would read it.
        site.file("script", script(100), 0o755);
        let output = site.confined(["./script"]).env("CONFINED_BETWEEN", "truncate -s 1T script").output().unwrap();
        governed::assert_refused(&output, "the script");
    }
}
