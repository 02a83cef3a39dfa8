//! Authors of policies, and what they sign.

use super::domain::Domain;
use super::secrets::Secret;
use std::collections::BTreeMap;
use writ_ledger::{Draft, Proposal};
use writ_protocol::action::CommitmentKind;
use writ_protocol::cbor::Bytes;
use writ_protocol::entry::{Activation, Ascending, Authors, Gate, Gates, Positive};
use writ_protocol::statement::{Manifest, ManifestFields, RootCommand};
use writ_protocol::{Ed25519Key, Label, SetPath, encode_policy_set};
use writ_tlog::{Algorithm, Hash, sha256};

/// How long before its making, and how long after it, a manifest of the story may be put in force.
const WINDOW_MS: u64 = 3_600_000;

/// The key of an author.
pub fn author(number: usize) -> Secret {
    Secret::new(Algorithm::Ed25519, &format!("policy author {number}"))
}

/// Three authors, of whom so many must sign.
pub fn authors(threshold: u64) -> Authors {
    let keys = (0..3).map(|number| Ed25519Key::new(author(number).public()).unwrap()).collect();
    Authors::new(threshold, keys).unwrap()
}

/// Files as a bundle has them.
pub fn set_files(files: &[(&str, &[u8])]) -> BTreeMap<SetPath, Vec<u8>> {
    files.iter().map(|(path, bytes)| (SetPath::new(path).unwrap(), bytes.to_vec())).collect()
}

/// The digest of a set of files.
pub fn set_digest(files: &BTreeMap<SetPath, Vec<u8>>) -> Hash {
    sha256(&encode_policy_set(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))))
}

impl Domain {
    /// The root pins the authors of policies: two of three must sign.
    pub fn pin_authors(&self) -> Proposal {
        self.root_order(RootCommand::PolicyAuthors(authors(2)))
    }

    /// What authors say of a set of files that replaces another.
    pub fn manifest(
        &self,
        epoch: u64,
        set: Hash,
        replaces: Option<Hash>,
        files: &BTreeMap<SetPath, Vec<u8>>,
    ) -> ManifestFields {
        let time_ms = self.now_ms();
        ManifestFields {
            set,
            epoch: Positive::new(epoch).unwrap(),
            files: Manifest::list(files),
            domain: self.id(),
            accepts: Ascending::new([]),
            from_ms: time_ms - WINDOW_MS,
            time_ms,
            replaces,
            until_ms: time_ms + WINDOW_MS,
        }
    }

    /// A manifest with the signatures of authors.
    pub fn sign_manifest(&self, manifest: &ManifestFields, signers: &[usize]) -> Vec<u8> {
        let secrets: Vec<Secret> = signers.iter().map(|number| author(*number)).collect();
        let keys: Vec<_> = secrets.iter().map(Secret::signing_key).collect();
        Manifest::new(manifest.clone()).unwrap().sign(self.origin(), &keys)
    }

    /// What a manifest of the story says of the policy set of an epoch, which replaces the one before it.
    pub fn manifest_of(&self, epoch: u64) -> ManifestFields {
        let content = self.policy_set(epoch);
        let replaces = (epoch > 1).then(|| sha256(&self.policy_set(epoch - 1)));
        self.manifest(epoch, sha256(&content), replaces, &set_files(&[("policy.cedar", &content)]))
    }

    /// Puts the policy set of an epoch in force with a manifest, whatever it says.
    pub fn activate_signed(&self, epoch: u64, manifest: &[u8]) -> Proposal {
        let (activation, content) = self.activation(epoch);
        let gate = |name: &str, passed| Gate { gate: Label::new(name).unwrap(), passed };
        let gates = Gates::new(vec![gate("files", 1), gate("fixtures", 0)]).unwrap();
        let report = self.opening(CommitmentKind::Text, b"files: passed, 1\nfixtures: passed, 0\n".to_vec());
        let activation = Activation {
            manifest: Some(Bytes(manifest.to_vec())),
            gates,
            report: Some(report.commitment()),
            ..activation
        };
        Proposal::new(Draft::Policy(activation)).with_openings(vec![content, report])
    }
}
