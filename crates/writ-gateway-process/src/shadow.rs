//! Shadow: what would run is measured and asked about, and then runs as it would have run without all this.
//!
//! Nothing here is a gateway: no slot is taken, nothing is verified to be allowed, nothing is confined, and whoever starts something so starts
//! it with what they could do anyway. So it is no way round Invariant 1: where executions are governed, what is started here is inside, as
//! everything else is.

use crate::executable::{Executable, ExecutableError};
use crate::measure::measure;
use crate::run::{Signer, random, wall_ms};
use crate::slot::first_name;
use crate::surroundings;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use writ_client::blocking::Client;
use writ_client::{Asked, Endpoint, ShadowAnswer, Shadowed};
use writ_protocol::action::Action;
use writ_protocol::entry::{Body, EntryRef};
use writ_protocol::statement::{Ask, Request, Shadowing};
use writ_protocol::{Code, Name, Refusal, RequestKey, TrustRoot, WritVerifier};
use writ_tlog::Origin;

/// Every slot of a machine belongs to this group; it stands for them where none can be seen.
const GROUP: &str = "process";

/// What is to be asked about, and on whose behalf.
pub struct Shadow {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// As whom; otherwise as whoever this process's user is.
    pub principal: Option<Signer>,
    /// The mandate that it would run under, unless it is that of what causes it.
    pub mandate: Option<EntryRef>,
    /// Where the node is.
    pub endpoint: Endpoint,
    /// What to believe.
    pub trust: TrustRoot,
    /// The ledger.
    pub origin: Origin,
    /// The folder with this machine's gateway slots, of which none is taken.
    pub slots: PathBuf,
}

/// Asks what policy would answer to exactly what `run` would ask for. That this is recorded was verified; why it is so the node says. A refusal
/// means that nothing is known of it.
pub fn shadow(asked: &Shadow) -> Result<Shadowed, Refusal> {
    let request = request(asked)?;
    let sent = match &asked.principal {
        Some(signer) => request.sign(&asked.origin, &signer.key),
        None => request.payload(&asked.origin),
    };
    let commitment = request.opening(&sent).commitment();
    let sent = if asked.principal.is_some() { Asked::Signed(sent) } else { Asked::Bare(sent) };
    let client = Client::connect(&asked.endpoint).map_err(|error| error.refusal())?;
    let told = match client.shadow(&sent).map_err(|error| error.refusal())? {
        ShadowAnswer::Recorded(told) => told,
        ShadowAnswer::Deny(denial) => {
            return Err(Refusal::new(denial.code, format!("{}; entry {}", denial.why, denial.index)));
        }
        ShadowAnswer::Refused(refused) => return Err(refused.refusal()),
    };
    let logged = WritVerifier::new(asked.trust.clone()).verify_logged(told.proof.as_bytes())?;
    let other =
        || Refusal::new(Code::EvidenceInvalid, "the node answered with an entry that does not answer this request");
    let Body::Shadow(shadow) = &logged.entry.body else { return Err(other()) };
    let answers = shadow.request.key == request.key && shadow.request.digest == commitment;
    if !answers || shadow.would != told.would || logged.index.get() != told.index {
        return Err(other());
    }
    Ok(told)
}

fn request(asked: &Shadow) -> Result<Request, Refusal> {
    let program = asked.argv.first().ok_or_else(|| Refusal::malformed("expected a program to run"))?;
    let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let path = variables.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    let executable = Executable::open(program, path).map_err(|error: ExecutableError| error.refusal())?;
    let cwd = std::env::current_dir()
        .map_err(|error| Refusal::new(Code::IntegrityFailure, format!("the working folder cannot be read: {error}")))?;
    let exec = measure(&executable, &asked.argv, &variables, cwd.as_os_str())?;
    let gateway = first_name(&asked.slots).map_or_else(|| Name::new(GROUP), Ok)?;
    Ok(Request {
        key: RequestKey::new(wall_ms(), random()?),
        salt: random()?,
        time_ms: wall_ms(),
        principal: asked.principal.as_ref().map(|signer| signer.name.clone()),
        action_salt: random()?,
        action: Action::Exec(exec).encode()?,
        ask: Ask::Shadow(Shadowing {
            gateway,
            mandate: asked.mandate.clone(),
            surroundings: surroundings::measure(&asked.slots)?,
        }),
    })
}

/// Becomes the program: same process, streams, folder and environment, found as a shell finds it. Comes back with the reason if it cannot.
pub fn replace(argv: &[OsString]) -> std::io::Error {
    match argv {
        [program, arguments @ ..] => Command::new(program).args(arguments).exec(),
        [] => std::io::Error::from(std::io::ErrorKind::InvalidInput),
    }
}
