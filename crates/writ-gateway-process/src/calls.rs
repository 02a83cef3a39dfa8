//! System calls by which a governed tree would reach out of itself where neither covers nor Landlock look: limits set on another process, which
//! could keep its gateway from ending it; input put into the terminal, which the shell outside would read as its own; and namespaces of control
//! groups. Also those by which an interpreter opens its script.

use nix::errno::Errno;

/// The numbers of these calls, for each way in which this kind of processor calls the kernel.
#[cfg(target_arch = "x86_64")]
const WAYS: &[Way] = &[
    Way {
        audit: 0xc000_003e,
        prlimit: 302,
        ioctl: 16,
        unshare: 272,
        clone: 56,
        clone3: 435,
        forks: &[57, 58],
        open: Some(2),
        openat: 257,
        openat2: 437,
    },
    Way {
        audit: 0x4000_0003,
        prlimit: 340,
        ioctl: 54,
        unshare: 310,
        clone: 120,
        clone3: 435,
        forks: &[2, 190],
        open: Some(5),
        openat: 295,
        openat2: 437,
    },
];
#[cfg(target_arch = "aarch64")]
const WAYS: &[Way] = &[
    Way {
        audit: 0xc000_00b7,
        prlimit: 261,
        ioctl: 29,
        unshare: 97,
        clone: 220,
        clone3: 435,
        forks: &[],
        open: None,
        openat: 56,
        openat2: 437,
    },
    Way {
        audit: 0x4000_0028,
        prlimit: 369,
        ioctl: 54,
        unshare: 337,
        clone: 120,
        clone3: 435,
        forks: &[2, 190],
        open: Some(5),
        openat: 322,
        openat2: 437,
    },
];

/// Set in the numbers of x32, a third way on x86-64 that no distribution uses; there it does not exist.
#[cfg(target_arch = "x86_64")]
const FOREIGN: u32 = 0x4000_0000;
#[cfg(target_arch = "aarch64")]
const FOREIGN: u32 = 0x8000_0000;

/// In a control-group namespace of its own, a tree could mount the groups afresh, past the read-only `/sys`, and freeze or kill its gateway.
const NEW_CGROUP: u32 = 0x0200_0000;

/// Requests that put input into a terminal.
const INPUT: [u32; 2] = [0x5412, 0x541c];

struct Way {
    audit: u32,
    prlimit: u32,
    ioctl: u32,
    unshare: u32,
    clone: u32,
    clone3: u32,
    forks: &'static [u32],
    open: Option<u32>,
    openat: u32,
    openat2: u32,
}

/// A call that opens a file by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    /// The folder that a relative name starts from, where the call can tell one.
    pub(crate) folder: Option<i32>,
    /// Where the name is in the memory of the caller.
    pub(crate) name: u64,
}

fn way_and_number(audit: u32, number: u64) -> Option<(&'static Way, u32)> {
    let way = WAYS.iter().find(|way| way.audit == audit)?;
    Some((way, u32::try_from(number).ok()?))
}

/// Whether a call opens a file, and by which name.
#[expect(clippy::cast_possible_truncation, reason = "the kernel takes the low half for a descriptor too")]
pub(crate) fn opening(audit: u32, number: u64, arguments: &[u64; 6]) -> Option<Opening> {
    let (way, number) = way_and_number(audit, number)?;
    let [first, second, ..] = *arguments;
    if way.open == Some(number) {
        return Some(Opening { folder: None, name: first });
    }
    let at_folder = [way.openat, way.openat2].contains(&number);
    at_folder.then_some(Opening { folder: Some(first as i32), name: second })
}

/// Whether a call starts a process or a thread. `clone3` does not exist in a tree.
pub(crate) fn starts_another(audit: u32, number: u64) -> bool {
    way_and_number(audit, number).is_some_and(|(way, number)| number == way.clone || way.forks.contains(&number))
}

/// Offsets into what the filter sees of a call; both kinds of processor have the low half of an argument first.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST: u32 = 16;
const SECOND: u32 = 24;
const THIRD: u32 = 32;
const UPPER: u32 = 4;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const END: u32 = libc::BPF_RET | libc::BPF_K;

/// Bars them for this process and all that it will start. Privileges must have been given up for good before.
pub(crate) fn bar() -> Result<(), Errno> {
    let mut filter = Vec::new();
    for way in WAYS {
        filter.extend(of_one_way(way)?);
    }
    // A way that is not known has calls that are not known.
    filter.push(step(END, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs()));
    let length = u16::try_from(filter.len()).map_err(|_| Errno::E2BIG)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    // SAFETY: the program has as many steps as it says, and lives through the call.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if done == 0 { Ok(()) } else { Err(Errno::last()) }
}

/// What is decided for calls of one way; others fall through to its end.
fn of_one_way(way: &Way) -> Result<Vec<libc::sock_filter>, Errno> {
    let allow = step(END, libc::SECCOMP_RET_ALLOW);
    let deny = step(END, libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs());
    let absent = step(END, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs());
    let body = [
        step(LOAD, NUMBER),
        jump(ANY_BIT, FOREIGN, 0, 1),
        absent,
        // Its flags are behind a pointer; whoever is told that it does not exist uses `clone`.
        jump(EQUAL, way.clone3, 0, 1),
        absent,
        jump(EQUAL, way.unshare, 1, 0),
        jump(EQUAL, way.clone, 0, 4),
        step(LOAD, FIRST),
        jump(ANY_BIT, NEW_CGROUP, 0, 1),
        deny,
        allow,
        jump(EQUAL, way.prlimit, 0, 7),
        // Process 0 is the caller itself, and without new limits it only reads.
        step(LOAD, FIRST),
        jump(EQUAL, 0, 4, 0),
        step(LOAD, THIRD),
        jump(EQUAL, 0, 0, 8),
        step(LOAD, THIRD + UPPER),
        jump(EQUAL, 0, 0, 6),
        allow,
        jump(EQUAL, way.ioctl, 0, 3),
        step(LOAD, SECOND),
        jump(EQUAL, INPUT[0], 2, 0),
        jump(EQUAL, INPUT[1], 1, 0),
        allow,
        deny,
    ];
    let length = u8::try_from(body.len()).map_err(|_| Errno::E2BIG)?;
    let mut steps = vec![step(LOAD, ARCHITECTURE), jump(EQUAL, way.audit, 0, length)];
    steps.extend(body);
    Ok(steps)
}

fn step(code: u32, value: u32) -> libc::sock_filter {
    jump(code, value, 0, 0)
}

fn jump(code: u32, value: u32, holds: u8, else_: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt: holds, jf: else_, k: value }
}
