//! What is measured of the place where an execution would run. Each component is claimed: nothing here proves itself to others.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use writ_protocol::statement::Component;
use writ_protocol::{Code, Label, Refusal};
use writ_tlog::sha256;

/// The components of this machine, ascending by name.
pub fn measure(slots: &Path) -> Result<Vec<Component>, Refusal> {
    let missing = |what: &str| {
        Refusal::new(Code::IntegrityFailure, format!("{what} cannot be read, so this place cannot be measured"))
    };
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(|_| missing(path));
    let boot = read("/proc/sys/kernel/random/boot_id")?;
    let kernel = read("/proc/sys/kernel/osrelease")?;
    // A machine id is meant to be kept private: only its hash leaves the machine.
    let host = fs::read("/etc/machine-id").or_else(|_| fs::read("/proc/sys/kernel/hostname"));
    let host = sha256(&host.map_err(|_| missing("/etc/machine-id"))?);
    let host: String = host.as_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    // A folder that cannot be seen counts as the weaker place.
    let owner = fs::metadata(slots).map(|found| found.uid());
    let other = owner.is_ok_and(|owner| owner != nix::unistd::geteuid().as_raw());
    let uid = if other { "other" } else { "same" };
    let mut components = Vec::new();
    for (name, value) in [
        ("boot", boot.as_str()),
        // Any slot of this machine will do: they are one gateway to whoever is handed a writ.
        ("gateway", "process"),
        ("host", host.as_str()),
        ("kernel", kernel.as_str()),
        ("release", env!("CARGO_PKG_VERSION")),
        ("tier", "root"),
        ("uid", uid),
    ] {
        components.push(Component { name: Label::new(name)?, value: value.to_owned() });
    }
    components.sort();
    Ok(components)
}
