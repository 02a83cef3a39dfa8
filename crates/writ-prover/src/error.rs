use std::path::PathBuf;
use thiserror::Error;

/// Why something could not be proved, either way.
#[derive(Debug, Error)]
pub enum Unproved {
    /// There is no solver to ask.
    #[error("no solver: {} does not run: {source}; install cvc5 1.3.1 or later, or say where it is (--solver, WRIT_SOLVER; for the node, to `writ up`)", path.display())]
    NoSolver {
        /// What was to be run.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The one there is knows too little.
    #[error("the solver is too old: {} is cvc5 {found}, and 1.3.1 or later is needed; install that, or say where it is (--solver, WRIT_SOLVER; for the node, to `writ up`)", path.display())]
    SolverOld {
        /// What was run.
        path: PathBuf,
        /// The version that it says it is.
        found: String,
    },
    /// It did not answer in time.
    #[error("the solver gave no answer in time")]
    Late,
    /// It gave up.
    #[error("the solver could not decide {about}")]
    Undecided {
        /// What it was asked.
        about: String,
    },
    /// It ended, or said something that is no answer.
    #[error("the solver failed: {why}")]
    Failed {
        /// What it said, or how it ended.
        why: String,
    },
    /// The question cannot be put to it.
    #[error("{about} cannot be put to a solver: {why}")]
    Unsupported {
        /// What was to be asked.
        about: String,
        /// Why not.
        why: String,
    },
    /// The two sets do not speak of the same things.
    #[error("the set in force does not fit the schema of the new one, so the two cannot be compared: {why}")]
    OtherSchema {
        /// The first policy that does not fit.
        why: String,
    },
    /// It named a request for which the engine says otherwise.
    #[error("the solver named a request for {about} that the engine answers otherwise")]
    Refuted {
        /// What it was asked.
        about: String,
    },
}

impl Unproved {
    /// What to do about it. Without a proof the gate stays shut.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoSolver { .. } | Self::SolverOld { .. } => "without a proof the gate stays shut",
            Self::Late | Self::Undecided { .. } => {
                "write the policy smaller, or as several; without a proof the gate stays shut"
            }
            Self::Failed { .. } => "see that this cvc5 works; without a proof the gate stays shut",
            Self::Unsupported { .. } => "write the policy otherwise; without a proof the gate stays shut",
            Self::OtherSchema { .. } => {
                "keep what the set in force reads, or have its authors accept whatever is wider, uncompared: `writ policy sign --accept wider`"
            }
            Self::Refuted { .. } => {
                "solver and engine differ: write the policy otherwise, and report this; without a proof the gate stays shut"
            }
        }
    }
}
