//! A real ledger to serve, in a folder that goes away with it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use writ_ledger::{Draft, Ledger, LedgerSigner, Options, Place, Proposal, Reader, Receipt};
use writ_protocol::action::{Action, ActionKind, Command, CommitmentKind, Opening, Order};
use writ_protocol::entry::{
    ActionRef, Ascending, Genesis, Halt, Limits, Policy, Positive, Principal, RequestRef, RootMembers,
};
use writ_protocol::{ClusterId, DomainId, Label, Name, OrderId, RequestKey};
use writ_tlog::{Origin, sha256};

const NOW_MS: u64 = 1_700_000_000_000;

/// Keeps folders of one process apart.
static MADE: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Kept {
    folder: PathBuf,
    place: Place,
}

impl Kept {
    /// A ledger with genesis, and that many entries beside the seals.
    pub(crate) fn with_entries(entries: u64) -> Self {
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("writ-server-log-{}-{made}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let place = Place::new(folder.join("store.db"), folder.join("mark"));
        Ledger::create(&place, &genesis(), &signer()).unwrap();
        let kept = Self { folder, place };
        let ledger = kept.open();
        let (answer, answered) = std::sync::mpsc::channel();
        for number in 0..entries {
            let answer = answer.clone();
            ledger.submit(halt(number), move |receipt| answer.send(receipt).unwrap()).unwrap();
        }
        drop(answer);
        assert!(answered.into_iter().all(|receipt| receipt.is_ok()));
        ledger.close().unwrap();
        kept
    }

    pub(crate) fn store(&self) -> &Path {
        &self.place.store
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open(self.store()).unwrap()
    }

    pub(crate) fn open(&self) -> Ledger {
        Ledger::open(&self.place, signer(), Options::new(|| NOW_MS)).unwrap()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

/// Appends one entry; the number has not been used before.
pub(crate) fn append(ledger: &Ledger, number: u64) -> Receipt {
    ledger.append(halt(number)).unwrap()
}

fn origin() -> Origin {
    Origin::new("writ.example/ledger/served").unwrap()
}

fn signer() -> LedgerSigner {
    LedgerSigner::from_seeds(origin(), &[1; 32], &[2; 32])
}

fn genesis() -> Genesis {
    let member = LedgerSigner::from_seeds(origin(), &[3; 32], &[4; 32]).key_pair().unwrap();
    let minute = Positive::new(60_000).unwrap();
    Genesis {
        domain: DomainId::new(NOW_MS, [1; 10]),
        cluster: ClusterId::new(NOW_MS, [2; 10]),
        home: origin(),
        keys: signer().key_pair().unwrap(),
        root: RootMembers::new(1, vec![member]).unwrap(),
        limits: Limits { depth_max: 1, kill_ms_max: minute, freeze_ms_max: minute, window_ms_max: minute },
        time_ms: NOW_MS,
    }
}

/// The entry that is the least work to make.
fn halt(number: u64) -> Proposal {
    let ten = |label: &str| *sha256(format!("{label} {number}").as_bytes()).as_bytes().first_chunk().unwrap();
    let key = RequestKey::new(NOW_MS, ten("request"));
    let order = Action::Order(Order { command: Command::Halt, reason: Label::new("incident").unwrap() });
    let opening = |kind, value| Opening { kind, salt: *sha256(key.as_bytes()).as_bytes(), value };
    let action = opening(CommitmentKind::Action, order.encode().unwrap());
    let facts = opening(CommitmentKind::Facts, b"{}".to_vec());
    let halt = Halt {
        by: Principal {
            id: Name::new("alice").unwrap(),
            key: None,
            auth: Label::new("asserted").unwrap(),
            kind: Name::new("User").unwrap(),
        },
        id: OrderId::new(NOW_MS, ten("order")),
        facts: facts.commitment(),
        action: ActionRef { kind: ActionKind::Order, digest: action.commitment() },
        policy: Policy {
            set: sha256(b"set"),
            epoch: 1,
            reasons: Ascending::new([]),
            entities: None,
            semantics: Label::new("cedar").unwrap(),
        },
        reason: Label::new("incident").unwrap(),
        control: Genesis::CONTROL,
        request: RequestRef { key, digest: sha256(key.as_bytes()) },
        time_ms: NOW_MS,
    };
    Proposal::new(Draft::Halt(halt)).with_openings([action, facts])
}
