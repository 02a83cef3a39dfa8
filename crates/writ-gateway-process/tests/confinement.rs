//! A governed tree reaches neither the domain's files nor anything that runs outside it, as root and as an ordinary user.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod governed;

use governed::{SECRET, Site, assert_refused, err, out, users};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use writ_gateway_process::{Confinement, StartError};

const INTRUDER: &str = include_str!("governed/intruder.py");

struct Outside {
    process: Child,
    abstract_name: String,
    _abstract: UnixListener,
    _kept: UnixListener,
    handle: String,
}

impl Outside {
    fn new(site: &Site) -> Self {
        let abstract_name = site.path().to_str().unwrap().to_owned();
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let kept = UnixListener::bind(site.at("hidden/run/node")).unwrap();
        std::fs::set_permissions(site.at("hidden/run/node"), std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut sleep = site.bare(["sleep", "1000"]);
        let process =
            sleep.stdin(File::open(site.at("hidden/secret")).unwrap()).current_dir(site.at("hidden")).spawn().unwrap();
        let made = "import ctypes, struct, sys\nb = ctypes.create_string_buffer(struct.pack('Ii', 128, 0), 136)\nm = ctypes.c_int()\n\
                    r = ctypes.CDLL(None).name_to_handle_at(-100, sys.argv[1].encode(), b, ctypes.byref(m), 0)\nprint(b.raw.hex())";
        let handle = site.bare(["python3", "-c", made]).arg(site.at("hidden/secret")).output().unwrap();
        let handle = out(&handle).trim().to_owned();
        let abstract_socket = UnixListener::bind_addr(&address).unwrap();
        Self { process, abstract_name, _abstract: abstract_socket, _kept: kept, handle }
    }

    fn tried(&self, mut command: Command, site: &Site) -> BTreeMap<String, String> {
        command.args([
            site.at("hidden").as_os_str(),
            self.process.id().to_string().as_ref(),
            self.abstract_name.as_ref(),
        ]);
        let output = command.arg(site.at("hidden/run/node")).arg(&self.handle).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let pairs = out(&output);
        pairs.lines().map(|line| line.split_once(' ').unwrap()).map(|(what, came)| (what.into(), came.into())).collect()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn no_way_out_is_open() {
    for site in users().into_iter().map(Site::new) {
        let outside = Outside::new(&site);
        // Without confinement the attempts are real: they reach what they are after, unless the user may not.
        // Root really mounts, so it does that in a namespace of its own.
        let own = if nix::unistd::geteuid().is_root() && site.user.is_none() { "unshare -m " } else { "" };
        let script = format!("{own}python3 -c \"$0\" \"$@\"; exit $?");
        let mut shell = site.bare(["sh", "-c", &script, INTRUDER]);
        shell.stderr(Stdio::null());
        let bare = outside.tried(shell, &site);
        let reached: Vec<&str> =
            bare.iter().filter(|(_, came)| *came == "reached").map(|(what, _)| what.as_str()).collect();
        let expected = [
            "read",
            "nested-umount",
            "nested-bind",
            "abstract",
            "outside-root",
            "outside-cwd",
            "outside-stream",
            "outside-memory",
            "outside-variables",
            "outside-attach",
            "outside-seize",
            "outside-descriptor",
            "outside-signal-0",
            "outside-continue",
        ];
        // The first is a cover to take away, which there is none of.
        for what in expected.iter().filter(|what| **what != "nested-umount") {
            assert!(reached.contains(what), "{what} is no attempt: {bare:?}");
        }
        let mut confined = site.confined(["python3", "-c", INTRUDER]);
        confined.env("HARM", "1");
        let mut governed = outside.tried(confined, &site);
        assert_eq!(governed.remove("own-tree").as_deref(), Some("reached"));
        let open: Vec<_> = governed.iter().filter(|(_, came)| *came != "refused").collect();
        assert!(open.is_empty() && governed.len() > bare.len(), "{open:?}");
    }
}

#[test]
fn what_is_hidden_is_an_empty_folder() {
    for site in users().into_iter().map(Site::new) {
        assert_eq!(out(&site.bare(["cat", "hidden/secret"]).output().unwrap()), SECRET);
        let output = site.shell("ls -A hidden; cat hidden/secret; echo x > hidden/new; echo x > hidden/run/kept");
        assert_eq!(out(&output), "run\n");
        assert!(
            err(&output).contains("hidden/secret: No such file") && err(&output).contains("hidden/new"),
            "{output:?}"
        );
        // What is kept is for reaching sockets in it, not for putting others in their place.
        assert!(err(&output).contains("hidden/run/kept") && !site.at("hidden/run/kept").exists(), "{output:?}");
        assert!(!site.at("hidden/new").exists());
    }
}

#[test]
fn a_stream_or_a_folder_that_leads_inside_is_refused() {
    for site in users().into_iter().map(Site::new) {
        let folder = || File::open(site.at("hidden")).unwrap();
        assert_refused(&site.confined(["true"]).stdin(folder()).output().unwrap(), "folder");
        assert_refused(&site.confined(["true"]).stdin(File::open("/dev/zero").unwrap()).output().unwrap(), "device");
        assert_eq!(site.confined(["true"]).stdout(folder()).status().unwrap().code(), Some(126));
        assert_eq!(site.confined(["true"]).stderr(folder()).status().unwrap().code(), Some(126));
        for inside in ["hidden", "hidden/run"] {
            assert_refused(&site.confined(["true"]).current_dir(site.at(inside)).output().unwrap(), "must not see");
        }
    }
}

#[test]
fn nothing_hidden_is_refused() {
    let site = Site::new(users()[0]);
    let words = [site.at("confined"), site.at("missing"), PathBuf::from("--"), PathBuf::from("true")];
    assert_refused(&site.bare(words).output().unwrap(), "nothing to hide");
}

#[test]
fn what_cannot_be_found_to_be_hidden_is_refused() {
    let site = Site::new(users()[0]);
    let missing = site.at("hidden/elsewhere");
    let error = Confinement::new(&[site.at("hidden"), missing.clone()], &[]).unwrap_err();
    assert!(matches!(&error, StartError::HiddenGone(path) if *path == missing), "{error}");
    assert!(Confinement::new(&[site.at("hidden")], &[missing]).is_ok());
}

#[test]
fn folders_above_what_is_hidden_stay_where_they_are() {
    let script = "for name in proj/inner/domain proj/inner proj; do mv $name $name.old 2>> said || echo refused; done
pwd -P; cat proj/inner/domain/secret; cd proj; pwd -P; cd inner; echo $(ls domain) .
cd $SITE; echo new > proj/new; cat proj/new; ln said proj/said || echo not linked
mv said proj/said; mv proj/inner/file file; cat file; cd proj/inner; ls ../..";
    for site in users().into_iter().map(Site::new) {
        let made = "mkdir -p proj/inner/domain; echo secret > proj/inner/domain/secret; echo file > proj/inner/file";
        assert!(site.bare(["sh", "-ec", made]).status().unwrap().success());
        let mut words = ["confined", "proj/inner/domain"].map(|name| site.at(name)).to_vec();
        words.extend(["--", "sh", "-c", script].map(PathBuf::from));
        let output = site.bare(&words).output().unwrap();
        let path = site.path().display();
        let listed = "confined\nfile\nhidden\nproj\n";
        let expected = format!("refused\nrefused\nrefused\n{path}\n{path}/proj\n.\nnew\nnot linked\nfile\n{listed}");
        assert_eq!(out(&output), expected, "{output:?}");
        assert_eq!(
            (site.text("proj/new").as_str(), site.text("proj/inner/domain/secret").as_str()),
            ("new\n", "secret\n")
        );
        assert_eq!(site.text("proj/said").matches("busy").count(), 3, "{}", site.text("proj/said"));
        // It begins in the folder that it was started in, below what became a mount of its own too.
        let mut command = site.bare(&words[..3]);
        command.args(["sh", "-c", "pwd -P; cat new; ls inner/domain"]).current_dir(site.at("proj"));
        let output = command.output().unwrap();
        assert_eq!(out(&output), format!("{path}/proj\nnew\n"), "{output:?}");
    }
}

#[test]
fn control_groups_are_not_seen_afresh_and_what_is_like_it_works() {
    let program = "
import ctypes, errno, multiprocessing, os, platform, subprocess, threading
libc = ctypes.CDLL(None, use_errno=True)
def told(result):
    if result == 0: os._exit(9)
    return 'done' if result > 0 else errno.errorcode[ctypes.get_errno()]
clone = 56 if platform.machine() == 'x86_64' else 220
group, child = 0x02000000, 17
print(told(libc.unshare(group)), told(libc.unshare(group | 0x10000000)))
print(told(libc.syscall(clone, group | child, 0, 0, 0, 0)), told(libc.syscall(clone, 0x10000000 | group | child, 0, 0, 0, 0)))
print(told(libc.syscall(435, ctypes.byref((ctypes.c_uint64 * 11)(0)), 88)))
heard = []
thread = threading.Thread(target=lambda: heard.append('thread')); thread.start(); thread.join(); print(heard)
print(subprocess.run(['echo', 'run'], capture_output=True).stdout, subprocess.run('exit 3', shell=True).returncode)
with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))
pid = os.fork()
if pid == 0: os._exit(4)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(subprocess.run(['unshare', '-U', 'echo', 'unshared'], capture_output=True).stdout)
os.posix_spawn('/bin/echo', ['echo', 'spawned'], {}); os.wait()
";
    for site in users().into_iter().map(Site::new) {
        let output = site.confined(["python3", "-c", program]).output().unwrap();
        let expected =
            "EPERM EPERM\nEPERM EPERM\nENOSYS\n['thread']\nb'run\\n' 3\n[1, 2]\n4\nb'unshared\\n'\nspawned\n";
        let mut lines: Vec<_> = out(&output).lines().map(str::to_owned).collect();
        let mut expected: Vec<_> = expected.lines().map(str::to_owned).collect();
        // What a process writes itself comes when it likes.
        lines.sort();
        expected.sort();
        assert_eq!(lines, expected, "{}", err(&output));
    }
}

#[test]
fn no_privilege_is_left_or_can_be_gained() {
    let dangerous =
        [2_u32, 16, 17, 19, 21, 22, 25, 27, 32, 33, 34, 38, 39, 40].iter().fold(0_u64, |set, bit| set | 1 << bit);
    for site in users().into_iter().map(Site::new) {
        let status = out(&site.shell("cat /proc/self/status"));
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        assert_eq!(field("NoNewPrivs:"), "1");
        assert_eq!(field("Seccomp:"), "2");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            let held = u64::from_str_radix(&field(set), 16).unwrap();
            assert_eq!(held & dangerous, 0, "{set} {held:x}");
            assert!(held == 0 || site.user.is_none(), "{set} {held:x}");
        }
    }
}

#[test]
fn disks_are_empty() {
    let look = "for disk in $(lsblk -pnlo NAME); do stat -c %F $disk; done";
    for site in users().into_iter().map(Site::new) {
        let bare = out(&site.bare(["sh", "-c", look]).output().unwrap());
        assert_eq!(out(&site.shell(look)), bare.replace("block special file", "character special file"));
        let output = site.shell("for disk in $(lsblk -pnlo NAME); do cat $disk | wc -c; done");
        assert!(out(&output).lines().count() == bare.lines().count(), "{output:?}");
        assert!(out(&output).lines().all(|size| size == "0"), "{output:?}");
    }
}

#[test]
fn known_doors_are_closed() {
    // In a mount namespace of its own, where `/run` has every door there is.
    let made = "mount -t tmpfs x /run && python3 -c 'import os, socket, sys
kept = []
for path in sys.argv[1:]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(); os.chmod(path, 0o777); os.set_inheritable(s.fileno(), True); kept.append(s)
os.execvp(\"sh\", [\"sh\", \"-c\", os.environ[\"THEN\"]])
' /run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock /run/dbus/system_bus_socket /run/systemd/private \
/run/user/$USER_ID/bus /run/user/$USER_ID/systemd/private /run/user/$USER_ID/podman/podman.sock /run/other.sock";
    let knock = "import os, socket
for folder, _, names in os.walk('/run'):
    for name in names:
        try: socket.socket(socket.AF_UNIX).connect(os.path.join(folder, name)); print(os.path.join(folder, name))
        except OSError: pass";
    for site in users().into_iter().map(Site::new) {
        // Who makes a user namespace is root in it.
        let user = site.user.unwrap_or(0);
        let as_user =
            site.user.map_or(String::new(), |user| format!("setpriv --reuid {user} --regid {user} --clear-groups "));
        let knocked = |prefix: &str| {
            let mut command = Command::new("unshare");
            command
                .args(if nix::unistd::geteuid().is_root() { &["-m"][..] } else { &["-Urm"][..] })
                .args(["sh", "-c", made]);
            command
                .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
                .env("USER_ID", user.to_string())
                .env("KNOCK", knock)
                .stdin(Stdio::null());
            command.env("THEN", format!("cd {}; {as_user}{prefix} python3 -c \"$KNOCK\"", site.path().display()));
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            out(&output).lines().count()
        };
        assert_eq!(knocked(""), 9);
        let prefix: Vec<String> = site.prefix().iter().map(|word| word.display().to_string()).collect();
        assert_eq!(knocked(&prefix.join(" ")), 1);
    }
}

#[test]
fn members_of_a_tree_can_be_debugged_inside_it() {
    let strace = Path::new("/usr/bin/strace");
    for site in users().into_iter().map(Site::new) {
        // Tracing as such is among what the intruder does in its own tree; this is the tool, where it is installed.
        if strace.exists() {
            let output = site
                .confined(["strace", "-f", "-e", "trace=openat", "sh", "-c", "cat /etc/hostname"])
                .output()
                .unwrap();
            assert!(output.status.success() && err(&output).contains("/etc/hostname"), "{output:?}");
        }
    }
}
