//! Who asks, with which key, and how the node is reached.

use crate::args;
use crate::domain::Domain;
use crate::error::CliError;
use crate::keys::{principal_seed, read_key};
use std::path::Path;
use writ_client::blocking::Client;
use writ_client::{Endpoint, Timeouts};
use writ_protocol::entry::{AssertedPrincipal, PrincipalRef};
use writ_protocol::{Code, Name, Refusal};
use writ_tlog::SigningKey;

/// A principal and the key that shows it.
pub(crate) struct Signer {
    pub(crate) name: PrincipalRef,
    pub(crate) key: SigningKey,
}

/// The principal that was named, with its key; nothing when nobody was named.
pub(crate) fn signer(who: &args::As, domain: &Domain) -> Result<Option<Signer>, CliError> {
    let Some(text) = &who.principal else { return Ok(None) };
    let name = principal(text)?;
    let path = who.key.clone().unwrap_or_else(|| principal_seed(domain.dir(), &name));
    let key = read_key(&path).map_err(|error| {
        // Inside a governed execution no key can be read: nobody there becomes somebody else (Invariant 13).
        CliError::Refused(Refusal::new(
            Code::IdentityMismatch,
            format!("{text} is shown by its key, which cannot be used here: {error}"),
        ))
    })?;
    Ok(Some(Signer { name: PrincipalRef { id: name.id, kind: name.kind }, key }))
}

/// Who gives an order: whoever was named, or the only person whose key is in the domain's folder.
pub(crate) fn commander(who: &args::As, domain: &Domain) -> Result<Signer, CliError> {
    if let Some(signer) = signer(who, domain)? {
        return Ok(signer);
    }
    let folder = domain.dir().join("keys/principals/User");
    let refused = |why: String| CliError::Refused(Refusal::new(Code::Unauthenticated, why));
    let found = std::fs::read_dir(&folder).map_err(|error| {
        refused(format!(
            "an order needs the signature of a person's key, and {} cannot be read here ({error}); say --as and --key",
            folder.display()
        ))
    })?;
    let names: Vec<String> = found
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".seed").map(str::to_owned))
        .collect();
    match names.as_slice() {
        [name] => {
            let as_named = args::As { principal: Some(format!("User::{name}")), key: None };
            signer(&as_named, domain)?.ok_or_else(|| refused("nobody was named".to_owned()))
        }
        names => Err(CliError::Usage(format!("who orders it? say --as; {} people have keys here", names.len()))),
    }
}

/// `Type::id`.
pub(crate) fn principal(text: &str) -> Result<AssertedPrincipal, CliError> {
    let wrong = || {
        CliError::Usage(format!(
            "`{text}` is no principal: expected TYPE::ID, such as Agent::builder; a TYPE is User, Agent or Workload"
        ))
    };
    let (kind, id) = text.split_once("::").ok_or_else(wrong)?;
    if !["User", "Agent", "Workload"].contains(&kind) {
        return Err(wrong());
    }
    Ok(AssertedPrincipal { kind: Name::new(kind).map_err(|_| wrong())?, id: Name::new(id).map_err(|_| wrong())? })
}

/// Where the node is. Behind a local socket must be the owner of the domain's folder, or root.
pub(crate) fn endpoint(reach: &args::Reach, domain: &Domain) -> Result<Endpoint, CliError> {
    use std::os::unix::fs::MetadataExt;
    let endpoint = match &reach.node {
        Some(text) => Endpoint::parse(text).map_err(|error| CliError::Usage(error.to_string()))?,
        None => Endpoint::unix(&absolute(&domain.socket(None))?),
    };
    let request = std::time::Duration::from_secs(reach.timeout);
    let endpoint = endpoint.within(Timeouts { request, ..Timeouts::STANDARD });
    let owner = std::fs::metadata(domain.trust_root()).map(|found| found.uid());
    let endpoint = match owner {
        Ok(owner) => endpoint.owned_by([0, owner]),
        Err(_) => endpoint,
    };
    let endpoint = match &reach.ca {
        Some(ca) => endpoint.with_ca(ca),
        None => endpoint,
    };
    let endpoint = match (&reach.certificate, &reach.certificate_key) {
        (Some(certificate), Some(key)) if endpoint.to_string().starts_with("https://") => {
            endpoint.with_certificate(certificate, key)
        }
        // Asked otherwise, it would be as somebody else than the certificate names.
        (Some(_), Some(_)) => {
            return Err(CliError::Usage(
                "a certificate is shown to a node over https; say --node https://…".to_owned(),
            ));
        }
        (_, _) => endpoint,
    };
    match &reach.token {
        // Read each time, since whoever renews it writes it anew.
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(CliError::file(file))?;
            endpoint.with_token(text.trim()).map_err(|error| CliError::Usage(error.to_string()))
        }
        None => Ok(endpoint),
    }
}

/// A connection to the node.
pub(crate) fn connect(reach: &args::Reach, domain: &Domain) -> Result<Client, CliError> {
    Client::connect(&endpoint(reach, domain)?).map_err(|error| CliError::Refused(error.refusal()))
}

fn absolute(path: &Path) -> Result<std::path::PathBuf, CliError> {
    std::path::absolute(path).map_err(CliError::file(path))
}
