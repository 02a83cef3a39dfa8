//! Capabilities that a governed tree never has: with them it could see through its confinement, whoever it runs as.

use nix::errno::Errno;

/// Numbers as in `linux/capability.h`.
const DROPPED: &[libc::c_int] = &[
    2,  // DAC_READ_SEARCH: opens files by handle, past every cover
    16, // SYS_MODULE
    17, // SYS_RAWIO
    19, // SYS_PTRACE
    21, // SYS_ADMIN: would take covers away
    22, // SYS_BOOT
    25, // SYS_TIME: the ledger's clock
    27, // MKNOD: raw disks
    32, // MAC_OVERRIDE
    33, // MAC_ADMIN
    34, // SYSLOG
    38, // PERFMON
    39, // BPF
    40, // CHECKPOINT_RESTORE
];
const LAST: libc::c_int = 63;
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up the dangerous ones, or all of them, for this process and whatever it executes.
pub(crate) fn give_up(all: bool) -> Result<(), Errno> {
    for capability in 0..=LAST {
        if all || DROPPED.contains(&capability) {
            // SAFETY: PR_CAPBSET_DROP takes a number and touches no memory.
            let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
            // The kernel knows fewer than 64, and who has none cannot drop any: what counts is checked below.
            if done != 0 && Errno::last() != Errno::EINVAL && Errno::last() != Errno::EPERM {
                return Err(Errno::last());
            }
        }
    }
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: header and sets have the layout of version 3 and live through the call.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) } != 0 {
        return Err(Errno::last());
    }
    let keep = |capability: libc::c_int| !all && !DROPPED.contains(&capability);
    for (word, set) in (0..).step_by(32).zip(sets.iter_mut()) {
        let mask = (0..32).filter(|bit| keep(word + bit)).fold(0_u32, |mask, bit| mask | 1 << bit);
        set.effective &= mask;
        set.permitted &= mask;
        set.inheritable &= mask;
    }
    // SAFETY: as above.
    if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) } != 0 {
        return Err(Errno::last());
    }
    Ok(())
}
