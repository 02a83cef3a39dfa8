//! Seeds of keys in files: one line of hex each, readable by their owner alone.

use crate::error::CliError;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use writ_protocol::entry::AssertedPrincipal;
use writ_tlog::{Algorithm, SigningKey};

pub(crate) const SECRET_FILE: u32 = 0o600;
pub(crate) const SECRET_FOLDER: u32 = 0o700;

/// Where the seed of a principal's key lies in a domain's folder.
pub(crate) fn principal_seed(dir: &Path, principal: &AssertedPrincipal) -> PathBuf {
    let kind = principal.kind.as_str();
    // Names may hold `/`: one name is one file.
    let id = principal.id.as_str().replace('/', "%");
    dir.join("keys").join("principals").join(kind).join(format!("{id}.seed"))
}

/// Reads the seed of a key. A file that others can read is refused: its key may be anybody's by now.
pub(crate) fn read_seed(path: &Path) -> Result<[u8; 32], CliError> {
    must_be_secret(path)?;
    let text = crate::domain::read(path, 128)?;
    let line = text.strip_suffix(b"\n").unwrap_or(&text);
    std::str::from_utf8(line)
        .ok()
        .and_then(seed_of)
        .ok_or_else(|| CliError::Failed(format!("{}: expected one line of 64 hexadecimal digits", path.display())))
}

/// Reads the key of a writ's holder, and the salt of its action digest where that is not derived from the key: after a hold it is the hold's.
pub(crate) fn read_holder(path: &Path) -> Result<([u8; 32], Option<[u8; 32]>), CliError> {
    must_be_secret(path)?;
    let text = crate::domain::read(path, 256)?;
    let text = std::str::from_utf8(&text).unwrap_or_default();
    let (seed, rest) = text.split_once('\n').unwrap_or((text, ""));
    let salt = rest.strip_suffix('\n').unwrap_or(rest).strip_prefix("salt ");
    let wrong = || CliError::Failed(format!("{}: expected one line of 64 hexadecimal digits", path.display()));
    match (seed_of(seed), salt.map(seed_of)) {
        (Some(seed), Some(Some(salt))) => Ok((seed, Some(salt))),
        (Some(seed), None) if rest.is_empty() => Ok((seed, None)),
        (_, _) => Err(wrong()),
    }
}

pub(crate) fn must_be_secret(path: &Path) -> Result<(), CliError> {
    let found = std::fs::metadata(path).map_err(CliError::file(path))?;
    if found.mode() & 0o077 != 0 {
        let typed = crate::render::quoted(path);
        let path = path.display();
        return Err(CliError::Failed(format!("{path} can be read by others: `chmod 600 {typed}`, or replace the key")));
    }
    Ok(())
}

/// The Ed25519 key of a seed file.
pub(crate) fn read_key(path: &Path) -> Result<SigningKey, CliError> {
    Ok(SigningKey::from_seed(Algorithm::Ed25519, &read_seed(path)?))
}

/// Draws a seed and keeps it in a new file.
pub(crate) fn write_secret(path: &Path) -> Result<[u8; 32], CliError> {
    let seed = random()?;
    write_new(path, format!("{}\n", crate::render::hex(&seed)).as_bytes(), SECRET_FILE)?;
    Ok(seed)
}

/// What a command writes for a person never takes the place of a file that is there.
pub(crate) fn must_be_new(path: &Path) -> Result<(), CliError> {
    match path.symlink_metadata() {
        Ok(_) => Err(CliError::Usage(format!("{} exists already; choose another file", path.display()))),
        Err(_) => Ok(()),
    }
}

/// Writes a file that must not be there yet, durably.
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(CliError::file(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(CliError::file(path))
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CliError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CliError::Failed("the system gives no randomness".to_owned()))?;
    Ok(bytes)
}

/// A seed, as its file has it.
pub(crate) fn seed_of(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// The salt of an action digest, derived by its holder: with the holder's key and the writ, nothing else has to be handed over.
pub(crate) fn action_salt(seed: &[u8; 32], request: &writ_protocol::RequestKey) -> [u8; 32] {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, seed);
    let mut context = aws_lc_rs::hmac::Context::with_key(&key);
    context.update(b"writ action salt");
    context.update(request.as_bytes());
    let mut salt = [0; 32];
    salt.copy_from_slice(context.sign().as_ref());
    salt
}
