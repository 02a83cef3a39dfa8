//! `writ authorize`: a writ for somebody else to present, or for later.

use crate::args;
use crate::domain::{Domain, read_trust_root};
use crate::error::{CliError, json_line, line};
use crate::explained::Detail;
use crate::keys::{SECRET_FILE, action_salt, must_be_new, random, write_new};
use crate::render::hex;
use crate::run::key_beside;
use crate::time::{now_ms, utc};
use crate::who::{connect, signer};
use serde_json::json;
use writ_client::blocking::Client;
use writ_client::{Answer, Asked, Held};
use writ_gateway_process::{Executable, OnHold, measure, measure_surroundings, on_hold};
use writ_protocol::action::Action;
use writ_protocol::entry::Audience;
use writ_protocol::statement::{Ask, Authorize, Request};
use writ_protocol::{Ed25519Key, Key, Name, Refusal, RequestKey, TrustRoot, WritVerifier};
use writ_tlog::{Algorithm, SigningKey};

/// Every gateway slot of a machine belongs to it.
const GROUP: &str = "process";

pub(crate) fn run(args: &args::Authorize, as_json: bool) -> Result<(), CliError> {
    let Some(output) = &args.output else { return crate::shadow::authorize(args, as_json) };
    let domain = Domain::of(&args.reach.place)?;
    let key_file = key_beside(output);
    for path in [output, &key_file] {
        must_be_new(path)?;
    }
    let trust = read_trust_root(&domain.trust_root())?;
    let origin = domain.origin()?;
    let signer = signer(&args.who, &domain)?;
    let seed: [u8; 32] = random()?;
    let request = request(args, &domain, &seed, signer.as_ref().map(|signer| signer.name.clone()))?;
    let client = connect(&args.reach, &domain)?;
    let ask = |request: &Request| {
        let asked = match &signer {
            Some(signer) => Asked::Signed(request.sign(&origin, &signer.key)),
            None => Asked::Bare(request.payload(&origin)),
        };
        client.authorize(&asked).map_err(|error| CliError::Refused(error.refusal()))
    };
    let (answer, salt) = match ask(&request)? {
        Answer::Hold(held) => {
            let resumed = resumed(args, &trust, &client, request, held)?;
            (ask(&resumed)?, Some(resumed.action_salt))
        }
        answer @ (Answer::Permit(_) | Answer::Deny(_) | Answer::Refused(_)) => (answer, None),
    };
    let permit = match answer {
        Answer::Permit(permit) => permit,
        Answer::Hold(held) => return Err(CliError::Held(Box::new(held))),
        Answer::Deny(denial) => {
            let detail = if args.explain { Detail::Everything } else { Detail::Obstacles };
            return Err(CliError::Denied(Box::new(denial), detail));
        }
        Answer::Refused(refused) => return Err(CliError::Refused(refused.refusal())),
    };
    // What is written down is what was verified, not what was answered.
    let writ = WritVerifier::new(trust).verify(permit.writ.as_bytes()).map_err(CliError::Refused)?;
    let salt = salt.map(|salt| format!("salt {}\n", hex(&salt))).unwrap_or_default();
    write_new(&key_file, format!("{}\n{salt}", hex(&seed)).as_bytes(), SECRET_FILE)?;
    write_new(output, permit.writ.as_bytes(), SECRET_FILE)?;
    let until = writ.grant().window.until_ms();
    let reasons: Vec<&str> = writ.grant().policy.reasons.as_slice().iter().map(Name::as_str).collect();
    if as_json {
        return json_line(&json!({
            "outcome": "permit",
            "index": writ.index().get(),
            "hash": hex(writ.entry().as_bytes()),
            "writ": output,
            "key": key_file,
            "until_ms": until,
            "permitted_by": reasons,
        }));
    }
    line(format_args!("writ: entry {}, good until {}", writ.index(), utc(until)))?;
    if args.explain {
        line(format_args!("  permitted   by {}; `writ replay {}` says why", reasons.join(", "), writ.index()))?;
    }
    line(format_args!("  writ        {}", output.display()))?;
    line(format_args!("  holder key  {}   whoever has both can use it, once", key_file.display()))
}

/// The request to go on with, once what was held is approved.
fn resumed(
    args: &args::Authorize,
    trust: &TrustRoot,
    client: &Client,
    request: Request,
    held: Held,
) -> Result<Request, CliError> {
    let OnHold { hold, action_salt } = on_hold(trust, &request.action, &held).map_err(CliError::Refused)?;
    if !held.approved {
        let Some(wait) = args.patience.wait else { return Err(CliError::Held(Box::new(held))) };
        crate::holds::waiting(&held);
        let found = client.hold(held.index, wait).map_err(|error| CliError::Refused(error.refusal()))?;
        if found.state == "pending" {
            return Err(CliError::Held(Box::new(held)));
        }
    }
    let Ask::Authorize(ask) = request.ask else { return Err(CliError::Failed("it asks for no writ".to_owned())) };
    Ok(Request {
        key: RequestKey::new(now_ms(), random()?),
        salt: random()?,
        time_ms: now_ms(),
        action_salt,
        ask: Ask::Authorize(Authorize { hold: Some(hold), ..ask }),
        ..request
    })
}

fn request(
    args: &args::Authorize,
    domain: &Domain,
    seed: &[u8; 32],
    principal: Option<writ_protocol::entry::PrincipalRef>,
) -> Result<Request, CliError> {
    let program = args.argv.first().ok_or_else(|| CliError::Usage("expected a command".to_owned()))?;
    let variables: Vec<_> = std::env::vars_os().collect();
    let executable = Executable::open(program, std::env::var_os("PATH").as_deref()).map_err(|error| {
        let refusal = error.refusal();
        let missing = if error.exit_status() == 127 { "there is no such program: " } else { "" };
        CliError::Refused(Refusal::new(refusal.code(), format!("{missing}{}", refusal.why())))
    })?;
    let cwd = std::env::current_dir().map_err(|error| CliError::Failed(format!("the working folder: {error}")))?;
    let exec = measure(&executable, &args.argv, &variables, cwd.as_os_str()).map_err(CliError::Refused)?;
    let holder = SigningKey::from_seed(Algorithm::Ed25519, seed);
    let shape = |error: writ_protocol::cbor::ShapeError| CliError::Failed(error.to_string());
    let key = RequestKey::new(now_ms(), random()?);
    Ok(Request {
        key,
        salt: random()?,
        time_ms: now_ms(),
        principal,
        action_salt: action_salt(seed, &key),
        action: Action::Exec(exec).encode().map_err(CliError::Refused)?,
        ask: Ask::Authorize(Authorize {
            hold: None,
            admit: None,
            holder: Ed25519Key::new(Key::from(holder.verifying_key())).map_err(shape)?,
            audience: Audience::Group(Name::new(GROUP).map_err(shape)?),
            mandate: args.mandate.map(|index| crate::mandates::named(&args.reach, domain, index)).transpose()?,
            surroundings: measure_surroundings(&domain.slots()).map_err(CliError::Refused)?,
        }),
    })
}
