//! Ctrl-C: at whatever moment the demonstration is interrupted, it leaves no node and no folder.
//!
//! What is to be taken away is known here, and a thread waits for the signal. From then on that thread alone acts: whoever else comes by
//! waits for the end of the process, so that nothing is judged, or made, of what is being taken away.

use super::node::Node;
use crate::error::{BEFORE_LEAVING, CliError};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

/// What a shell makes of SIGINT.
const INTERRUPTED: i32 = 130;
/// Commands that were under way may leave a file once more.
const TRIES: usize = 100;
const TRY_EVERY: Duration = Duration::from_millis(20);

static STOPPING: AtomicBool = AtomicBool::new(false);
static LEFT: Mutex<Left> = Mutex::new(Left { folder: None, nodes: Vec::new() });

struct Left {
    folder: Option<PathBuf>,
    nodes: Vec<Node>,
}

/// Begins to wait for the signal; when this returns, it is caught. A reader that goes away ends it as well.
pub(super) fn watch() -> Result<(), CliError> {
    // There is one demonstration in a process: nobody has set it before.
    BEFORE_LEAVING.set(clear).ok();
    let failed = |why: String| CliError::Failed(format!("signals: {why}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        runtime.block_on(async {
            let stop = writ_server::stop_signal();
            tell.send(stop.as_ref().map(|_| ()).map_err(ToString::to_string)).ok();
            if let Ok(stop) = stop {
                stop.await;
                take_away();
            }
        });
    });
    told.recv().map_err(|error| failed(error.to_string()))?.map_err(failed)
}

/// A folder that is gone after an interruption.
pub(super) fn takes_away(folder: &Path) {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner).folder = Some(folder.to_owned());
}

/// A node that is ended by an interruption, also by one that comes while it is started.
pub(super) fn ends(start: impl FnOnce() -> Result<Node, CliError>) -> Result<Node, CliError> {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    let node = start()?;
    left.nodes.push(node.clone());
    Ok(node)
}

/// Goes on, unless everything is being taken away.
pub(super) fn here() {
    while STOPPING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Before something is called wrong: on a terminal, the signal reaches every command, and one may end before it has arrived here.
pub(super) fn settle() {
    std::thread::sleep(Duration::from_millis(100));
    here();
}

fn take_away() {
    STOPPING.store(true, Ordering::SeqCst);
    clear();
    std::process::exit(INTERRUPTED);
}

/// Ends every node and removes the folder, unless it is to be kept.
fn clear() {
    let left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    left.nodes.iter().for_each(Node::kill);
    if let Some(folder) = &left.folder {
        for _ in 0..TRIES {
            fs::remove_dir_all(folder).ok();
            if !folder.exists() {
                break;
            }
            std::thread::sleep(TRY_EVERY);
        }
    }
}
