//! `writ policy new`: a folder to begin with, which passes every gate.

use super::args;
use crate::error::{CliError, json_line, line};
use crate::render::quoted;
use crate::starter;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};

pub(crate) fn run(args: &args::New, as_json: bool) -> Result<(), CliError> {
    let dir = &args.dir;
    if dir.exists() {
        return Err(CliError::Usage(format!("{} exists already; choose a folder that does not", dir.display())));
    }
    fs::DirBuilder::new().mode(crate::keys::SECRET_FOLDER).create(dir).map_err(CliError::file(dir))?;
    let uid = fs::metadata(dir).map_err(CliError::file(dir))?.uid();
    let user = args.user.clone().unwrap_or_else(|| crate::init::user_name(uid));
    if let Err(error) = starter::working_folder(dir, &user, uid) {
        // Half a folder would be in the way of the next try.
        fs::remove_dir_all(dir).ok();
        return Err(error);
    }
    if as_json {
        return json_line(&json!({ "dir": dir, "user": format!("User::{user}") }));
    }
    line(format_args!("{}: policies for the first day, with fixtures", dir.display()))?;
    line(format_args!("\nnext: writ policy test {}", quoted(dir)))
}
