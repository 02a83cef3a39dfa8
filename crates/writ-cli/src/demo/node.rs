//! A node of the demonstration: a child process, as a person starts and stops it, or as a fault ends it.

use super::commands::{Finished, awaited, finished, shell};
use super::stage::Place;
use super::stop;
use crate::error::CliError;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const STARTS_WITHIN: Duration = Duration::from_secs(60);
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Copies are the same node, so that another thread can end it at its own moment.
#[derive(Clone, Default)]
pub(super) struct Node(Arc<Mutex<Option<Child>>>);

impl Node {
    /// Starts the node of a domain, and waits until it listens.
    pub(super) fn start(place: &Place, mut up: Command) -> Result<Self, CliError> {
        let (told, log) = (place.beside("node.out"), place.beside("node.log"));
        let file = |path| File::create(path).map_err(CliError::file(path));
        up.stdout(file(&told)?).stderr(file(&log)?).stdin(Stdio::null());
        let node = stop::ends(|| {
            let child = up.spawn().map_err(|error| CliError::Failed(format!("the node: {error}")))?;
            Ok(Self(Arc::new(Mutex::new(Some(child)))))
        })?;
        awaited("the node to listen", STARTS_WITHIN, || {
            if !node.lives() {
                let why = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(CliError::Failed(format!("the node did not start: {}", why.trim())));
            }
            let told = std::fs::read_to_string(&told).map_err(CliError::file(&told))?;
            Ok(told.contains('\n').then_some(()))
        })?;
        Ok(node)
    }

    /// Its process, while there is one.
    pub(super) fn pid(&self) -> Option<u32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Child::id)
    }

    pub(super) fn lives(&self) -> bool {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn stop(&self) -> Result<(), CliError> {
        let Some(mut child) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        let Finished { status, stderr, .. } = finished(shell(&format!("kill -TERM {}", child.id())))?;
        if status != Some(0) {
            child.kill().and_then(|()| child.wait()).map_err(|error| CliError::Failed(format!("the node: {error}")))?;
            return Err(CliError::Failed(format!("the node could not be stopped: {}", stderr.trim())));
        }
        let fails = |error| CliError::Failed(format!("the node: {error}"));
        let ended = awaited("the node to stop", ENDS_WITHIN, || child.try_wait().map_err(fails));
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(CliError::Failed(format!("the node ended with {status}"))),
            Err(error) => {
                child.kill().and_then(|()| child.wait()).map_err(fails)?;
                Err(error)
            }
        }
    }

    /// Ends it as a power cut would: when this returns, it does nothing more.
    pub(super) fn kill(&self) {
        if let Some(mut child) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // One that has ended already is what was wanted.
            child.kill().ok();
            child.wait().ok();
        }
    }
}
