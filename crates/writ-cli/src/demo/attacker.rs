//! What an attacker does with a library where the program itself refuses to be one: odd requests, forged files, a gateway's key misused.

use super::found::Found;
use super::stage::Stage;
use crate::error::CliError;
use crate::keys::{action_salt, random};
use crate::time::now_ms;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use writ_client::blocking::Client;
use writ_client::{Answer, Asked, GatewayPlace, StateAnswer};
use writ_gateway_process::{Executable, Slot, measure_surroundings};
use writ_protocol::action::{Action, Exec, ExecFields, Interpreter, Stdin, Variables};
use writ_protocol::cbor::ShapeError;
use writ_protocol::entry::{Admitted, Audience, Positive, PrincipalRef};
use writ_protocol::statement::{Ask, Authorize, Claim, GatewayStatement, Request};
use writ_protocol::{Code, Ed25519Key, ExecutionId, Key, Name, Refusal, RequestKey, Verified, Writ, WritVerifier};
use writ_tlog::{Algorithm, SigningKey, sha256};

/// The key of a seed.
pub(super) fn key(seed: &[u8; 32]) -> SigningKey {
    SigningKey::from_seed(Algorithm::Ed25519, seed)
}

fn public(key: &SigningKey) -> Result<Ed25519Key, CliError> {
    Ed25519Key::new(Key::from(key.verifying_key())).map_err(shape)
}

pub(super) fn name(text: &str) -> Result<Name, CliError> {
    Name::new(text).map_err(shape)
}

fn shape(error: ShapeError) -> CliError {
    CliError::Failed(error.to_string())
}

/// A request for a writ as `writ authorize` would make it, before an attacker changes it.
pub(super) struct Wish {
    pub(super) principal: Option<PrincipalRef>,
    pub(super) ask: Authorize,
    argv: Vec<String>,
    /// From it comes the salt of the action digest.
    seed: [u8; 32],
}

impl Wish {
    /// For any gateway of this machine, with a new holder's key, which is the seed.
    pub(super) fn new(stage: &Stage, argv: Vec<String>) -> Result<Self, CliError> {
        let seed = random()?;
        let ask = Authorize {
            mandate: None,
            hold: None,
            admit: None,
            holder: public(&key(&seed))?,
            audience: Audience::Group(name("process")?),
            surroundings: measure_surroundings(&stage.place.domain.slots()).map_err(CliError::Refused)?,
        };
        Ok(Self { principal: None, ask, argv, seed })
    }

    /// With a holder whose key whoever has the seed does not have.
    pub(super) fn held_by(mut self, holder: &SigningKey) -> Result<Self, CliError> {
        self.ask.holder = public(holder)?;
        Ok(self)
    }

    fn request(&self, stage: &Stage) -> Result<Request, CliError> {
        let key = RequestKey::new(now_ms(), random()?);
        Ok(Request {
            key,
            salt: random()?,
            time_ms: now_ms(),
            principal: self.principal.clone(),
            action_salt: action_salt(&self.seed, &key),
            action: measured(stage, &self.argv)?.encode().map_err(CliError::Refused)?,
            ask: Ask::Authorize(self.ask.clone()),
        })
    }

    /// Asks without a signature.
    pub(super) fn bare(&self, stage: &Stage) -> Result<Answer, CliError> {
        asked(stage, &Asked::Bare(self.request(stage)?.payload(&stage.origin)))
    }

    /// Asks with the signature of a key.
    pub(super) fn signed(&self, stage: &Stage, key: &SigningKey) -> Result<Answer, CliError> {
        asked(stage, &Asked::Signed(self.request(stage)?.sign(&stage.origin, key)))
    }

    /// Asks, gets a writ, and keeps it in files.
    pub(super) fn granted(&self, stage: &Stage, name: &str) -> Result<String, CliError> {
        match self.bare(stage)? {
            Answer::Permit(permit) => stage.keep_writ(name, permit.writ.as_bytes(), &self.seed),
            answer @ (Answer::Hold(_) | Answer::Deny(_) | Answer::Refused(_)) => {
                Err(CliError::Failed(format!("no writ for {name}: {answer:?}")))
            }
        }
    }
}

fn asked(stage: &Stage, asked: &Asked) -> Result<Answer, CliError> {
    stage.client()?.authorize(asked).map_err(|error| CliError::Refused(error.refusal()))
}

/// The answer as an outcome.
pub(super) fn outcome(answer: &Answer) -> Found {
    match answer {
        Answer::Permit(_) => Found::Done,
        Answer::Hold(held) => {
            Found::Refused { code: Code::ApprovalPending.as_str().to_owned(), index: Some(held.index) }
        }
        Answer::Deny(denial) => Found::Refused { code: denial.code.as_str().to_owned(), index: Some(denial.index) },
        Answer::Refused(refused) => Found::Refused { code: refused.code.as_str().to_owned(), index: None },
    }
}

/// The action that a command of the stage would be measured as.
fn measured(stage: &Stage, argv: &[String]) -> Result<Action, CliError> {
    let variables = stage.variables();
    let path = variables.iter().find(|(name, _)| name == "PATH").map(|(_, value)| OsStr::new(value));
    let program = argv.first().map(OsString::from).unwrap_or_default();
    let executable = Executable::open(&program, path).map_err(|error| CliError::Refused(error.refusal()))?;
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let fields = ExecFields {
        cwd: bytes(&stage.dir),
        argv: argv.iter().map(|argument| argument.as_bytes().to_vec()).collect(),
        path: bytes(executable.path()),
        variables: Variables::new(variables.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
            .map_err(shape)?,
        stdin: Stdin::Null,
        executable: *executable.digest(),
        interpreter: executable.interpreter().map(|(path, digest)| Interpreter { path: bytes(path), digest: *digest }),
    };
    Ok(Action::Exec(Exec::new(fields).map_err(shape)?))
}

/// A part of a writ's file.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// The last signature of the checkpoint.
    Signature,
    /// The first hash of the inclusion proof, which stands below the index.
    Proof,
}

/// Changes a letter in the middle of a part of a writ's file.
pub(super) fn forge(writ: &str, part: Part) -> Result<(), CliError> {
    let path = Path::new(writ);
    let text = std::fs::read_to_string(path).map_err(CliError::file(path))?;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = match part {
        Part::Signature => lines.iter().rposition(|line| line.starts_with("— ")),
        Part::Proof => lines.iter().position(|line| line.starts_with("index ")).map(|at| at + 1),
    };
    let line = at.and_then(|at| lines.get_mut(at));
    let line = line.ok_or_else(|| CliError::Failed(format!("{writ} has no such line to forge")))?;
    let begins = line.rfind(' ').map_or(0, |blank| blank + 1);
    let middle = begins + (line.len() - begins) / 2;
    let letter = if line.get(middle..=middle) == Some("A") { "B" } else { "A" };
    line.replace_range(middle..=middle, letter);
    std::fs::write(path, lines.join("\n") + "\n").map_err(CliError::file(path))
}

/// Somebody who has got hold of a gateway's key.
pub(super) struct StolenGateway {
    slot: Slot,
    client: Client,
    epoch: Positive,
    seq: u64,
}

impl StolenGateway {
    pub(super) fn take(stage: &Stage) -> Result<Self, CliError> {
        let slot = Slot::take(&stage.place.domain.slots()).map_err(|error| CliError::Failed(error.to_string()))?;
        let client = stage.client()?;
        let place = client.gateway(slot.name().as_str()).map_err(|error| CliError::Refused(error.refusal()))?;
        let GatewayPlace { epoch, last_seq, .. } = place;
        Ok(Self { slot, client, epoch: Positive::new(epoch).unwrap_or(Positive::ONE), seq: last_seq })
    }

    /// Says something as the gateway, with the number that is due.
    pub(super) fn say(&mut self, stage: &Stage, claim: Claim, watcher: Option<u32>) -> Result<Found, CliError> {
        let seq = Positive::new(self.seq.saturating_add(1)).unwrap_or(Positive::ONE);
        let (gateway, epoch) = (self.slot.name().clone(), self.epoch);
        let statement = GatewayStatement { gateway, epoch, seq, time_ms: now_ms(), claim };
        let signed = statement.sign(&stage.origin, self.slot.key());
        match self.client.state(&signed, watcher).map_err(|error| CliError::Refused(error.refusal()))? {
            StateAnswer::Recorded(_) => {
                self.seq = seq.get();
                Ok(Found::Done)
            }
            StateAnswer::Refused(refused) => Ok(Found::Refused { code: refused.code.as_str().to_owned(), index: None }),
        }
    }

    /// Gets a writ for itself that is spent at once, as `writ run` does.
    pub(super) fn own_writ(&self, stage: &Stage, argv: Vec<String>) -> Result<(Verified<Writ>, ExecutionId), CliError> {
        let execution = ExecutionId::new(now_ms(), random()?);
        let nonce: [u8; 32] = random()?;
        let mut wish = Wish::new(stage, argv)?.held_by(self.slot.key())?;
        wish.ask.admit = Some(Admitted { nonce: sha256(&nonce), execution });
        wish.ask.audience = Audience::Gateway { gateway: self.slot.name().clone(), epoch: self.epoch };
        let Answer::Permit(permit) = wish.bare(stage)? else {
            return Err(CliError::Failed("the gateway got no writ of its own".to_owned()));
        };
        let verified: Result<_, Refusal> = WritVerifier::new(stage.trust.clone()).verify(permit.writ.as_bytes());
        Ok((verified.map_err(CliError::Refused)?, execution))
    }
}
