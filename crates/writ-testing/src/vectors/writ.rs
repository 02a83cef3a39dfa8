use super::BASE_MS;
use super::assembly::{Assembly, ed25519_line, note, signed_by};
use super::case::{Case, Maker, hex};
use super::mutation::{Structure, text};
use crate::scenario::{Domain, Recorded};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use writ_ledger::Proposal;
use writ_protocol::Code::{
    self, Malformed, MissingWrit, NotAWrit, ProofInvalid, SignatureInvalid, UnknownAuthority, UnsupportedVersion,
};
use writ_protocol::EntryType;
use writ_protocol::cbor::Value::Uint;
use writ_tlog::{Checkpoint, InclusionProof, Origin, TlogProof};

struct Writs<'d> {
    domain: &'d Domain,
    assembly: Assembly<'d>,
    grant: Recorded,
}

pub(super) fn cases() -> Vec<Case> {
    let domain = Domain::new(BASE_MS);
    let (assembly, recorded) = Assembly::of_script(&domain);
    let grants: Vec<&Recorded> = recorded.iter().filter(|one| one.entry_type() == EntryType::Grant).collect();
    let grant = grants[2].clone();
    let writs = Writs { domain: &domain, assembly, grant };
    let mut maker = Maker::new("writ", "writ");
    writs.accepted(&mut maker);
    writs.no_writs(&mut maker);
    writs.forms(&mut maker);
    writs.hashes(&mut maker);
    writs.proofs(&mut maker);
    writs.checkpoints(&mut maker);
    writs.strange_entries(&mut maker);
    maker.done()
}

impl Writs<'_> {
    fn input(&self, writ: &[u8]) -> Value {
        let trust_root = self.domain.trust_root().to_string();
        match std::str::from_utf8(writ) {
            Ok(text) => json!({ "text": text, "trust_root": trust_root }),
            Err(_) => json!({ "hex": hex(writ), "trust_root": trust_root }),
        }
    }

    fn proved(&self) -> TlogProof {
        self.assembly.proved(self.grant.index.get())
    }

    fn accepted(&self, maker: &mut Maker) {
        let results = |recorded: &Recorded, size: u64| {
            json!({
                "index": recorded.index.get(),
                "size": size,
                "hash": hex(recorded.hash.as_bytes()),
                "id": hex(recorded.grant().id.as_bytes()),
            })
        };
        let input = self.input(&self.proved().encode());
        maker.accept(
            "middle_of_tree",
            "A writ in the middle of a tree.",
            input,
            results(&self.grant, self.assembly.size()),
        );
        let mut small = Assembly::new(self.domain);
        let grant = small.push(self.domain.grant(&small.standing()).to_group(self.domain.group()).proposal());
        let input = self.input(&small.proved(2).encode());
        maker.accept("last_of_three", "A writ that is the last of three entries.", input, results(&grant, 3));
        // A tree of one entry has an empty proof.
        let bytes = small.entry(2).to_vec();
        let mut tree = writ_tlog::Tree::new();
        tree.push(grant.hash);
        let head = Checkpoint { origin: self.domain.origin().clone(), size: tree.size(), root: tree.root() };
        let proof = TlogProof {
            extra: Some(bytes),
            index: writ_tlog::LeafIndex::new(0),
            proof: InclusionProof::new(Vec::new()),
            checkpoint: signed_by(&head, self.domain.ledger_keys()),
        };
        let alone = Recorded { index: writ_tlog::LeafIndex::new(0), ..grant };
        maker.accept(
            "alone",
            "A writ alone in its tree, with an empty proof.",
            self.input(&proof.encode()),
            results(&alone, 1),
        );
    }

    /// Every other type of entry, validly proved.
    fn no_writs(&self, maker: &mut Maker) {
        for entry_type in EntryType::ALL.iter().copied().filter(|entry_type| *entry_type != EntryType::Grant) {
            let decode = |bytes: &[u8]| writ_protocol::Entry::decode(bytes, self.domain.origin()).unwrap();
            let mut entries = (0..self.assembly.size())
                .filter(|index| decode(self.assembly.entry(*index)).body.entry_type() == entry_type);
            let writ = self.assembly.proved(entries.next().unwrap()).encode();
            let name = entry_type.as_str();
            let about = format!("A proved entry of type {name}.");
            maker.refuse(&format!("not_a_writ_{}", name.replace('-', "_")), &about, self.input(&writ), NotAWrit);
        }
    }

    fn forms(&self, maker: &mut Maker) {
        let good = String::from_utf8(self.proved().encode()).unwrap();
        let mut bad = |name: &str, about: &str, writ: &str, code: Code| {
            maker.refuse(name, about, self.input(writ.as_bytes()), code)
        };
        bad("empty", "Nothing was presented.", "", MissingWrit);
        let extra = STANDARD.encode(self.proved().extra.unwrap());
        let index = format!("index {}\n", self.grant.index);
        bad("no_extra", "No line with the entry.", &good.replacen(&format!("extra {extra}\n"), "", 1), Malformed);
        bad(
            "empty_extra",
            "An empty line for the entry.",
            &good.replacen(&format!("extra {extra}"), "extra ", 1),
            Malformed,
        );
        bad(
            "two_extra",
            "Two lines for the entry.",
            &good.replacen(&format!("extra {extra}\n"), &format!("extra {extra}\nextra {extra}\n"), 1),
            Malformed,
        );
        bad("header", "Another first line.", &good.replacen("tlog-proof@v1", "tlog-proof@v2", 1), Malformed);
        bad("header_missing", "No first line.", good.split_once('\n').unwrap().1, Malformed);
        bad("index_leading_zero", "An index with a leading zero.", &good.replacen("index ", "index 0", 1), Malformed);
        bad("index_missing", "No index.", &good.replacen(&index, "", 1), Malformed);
        bad("index_negative", "A negative index.", &good.replacen("index ", "index -", 1), Malformed);
        bad(
            "index_before_extra",
            "The lines in another order.",
            &good.replacen(&format!("extra {extra}\n{index}"), &format!("{index}extra {extra}\n"), 1),
            Malformed,
        );
    }

    fn hashes(&self, maker: &mut Maker) {
        let good = String::from_utf8(self.proved().encode()).unwrap();
        let mut bad = |name: &str, about: &str, writ: &str, code: Code| {
            maker.refuse(name, about, self.input(writ.as_bytes()), code);
        };
        let extra = STANDARD.encode(self.proved().extra.unwrap());
        let index = format!("index {}\n", self.grant.index);
        let hash = self.proved().proof.hashes()[0].to_base64();
        bad(
            "hash_short",
            "A hash of the proof without its last characters.",
            &good.replacen(&hash, &hash[..40], 1),
            Malformed,
        );
        bad(
            "hash_not_canonical",
            "A hash of the proof without padding.",
            &good.replacen(&hash, hash.trim_end_matches('='), 1),
            Malformed,
        );
        bad(
            "hash_31",
            "A hash of the proof of 31 bytes.",
            &good.replacen(&hash, &STANDARD.encode([7; 31]), 1),
            Malformed,
        );
        bad(
            "extra_not_canonical",
            "The entry in the URL alphabet, which is not that of base64.",
            &good.replacen(&extra, &extra.replace('+', "-").replace('/', "_"), 1),
            Malformed,
        );
        bad(
            "extra_line_break",
            "The entry over two lines.",
            &good.replacen(&extra[..64], &format!("{}\n", &extra[..64]), 1),
            Malformed,
        );
        bad("crlf", "Lines that end with carriage returns.", &good.replace('\n', "\r\n"), Malformed);
        bad("no_checkpoint", "No checkpoint.", good.split_once("\n\n").unwrap().0, Malformed);
        bad("trailing_bytes", "Bytes follow the checkpoint.", &format!("{good}more"), Malformed);
        bad("trailing_newline", "A newline follows the checkpoint.", &format!("{good}\n"), Malformed);
        bad("leading_newline", "A newline before the first line.", &format!("\n{good}"), Malformed);
        let hashes = format!("{hash}\n").repeat(64);
        bad(
            "64_hashes",
            "More hashes than a proof can have.",
            &good.replacen(&index, &format!("{index}{hashes}"), 1),
            Malformed,
        );
        let entry = self.proved().extra.unwrap();
        maker.refuse("entry_alone", "The entry without a proof.", self.input(&entry), Malformed);
        let large = STANDARD.encode(vec![0; 400_000]);
        let large = good.replacen(&extra, &large, 1);
        assert!(large.len() > 524_288);
        maker.refuse("too_large", "More than 524,288 bytes.", self.input(large.as_bytes()), Malformed);
    }

    fn proofs(&self, maker: &mut Maker) {
        let mut bad = |name: &str, about: &str, proof: TlogProof| {
            maker.refuse(name, about, self.input(&proof.encode()), ProofInvalid)
        };
        let good = || self.proved();
        let entry = Structure::of(&good().extra.unwrap()).set("4/uses", Uint(1000)).bytes();
        bad("entry_changed", "The entry permits more than was granted.", TlogProof { extra: Some(entry), ..good() });
        let next = writ_tlog::LeafIndex::new(self.grant.index.get() + 1);
        bad("index_other", "Another index.", TlogProof { index: next, ..good() });
        let beyond = writ_tlog::LeafIndex::new(self.assembly.size());
        bad("index_is_size", "An index beyond the tree.", TlogProof { index: beyond, ..good() });
        let mut hashes = good().proof.hashes().to_vec();
        hashes.pop();
        bad("proof_short", "A hash is missing.", TlogProof { proof: InclusionProof::new(hashes.clone()), ..good() });
        bad("proof_empty", "No hash at all.", TlogProof { proof: InclusionProof::new(Vec::new()), ..good() });
        let longer = [good().proof.hashes(), &hashes[..1]].concat();
        bad("proof_long", "A hash too many.", TlogProof { proof: InclusionProof::new(longer), ..good() });
        let mut swapped = good().proof.hashes().to_vec();
        swapped.swap(0, 1);
        bad(
            "proof_swapped",
            "Two hashes in the wrong order.",
            TlogProof { proof: InclusionProof::new(swapped), ..good() },
        );
        let older = Assembly::new(self.domain);
        bad(
            "checkpoint_older",
            "The checkpoint of a tree before it was granted.",
            TlogProof { checkpoint: older.note(), ..good() },
        );
    }

    fn checkpoints(&self, maker: &mut Maker) {
        let good = String::from_utf8(self.proved().encode()).unwrap();
        let root = self.assembly.checkpoint().root.to_base64();
        let changed =
            good.replacen(&format!("\n{root}\n"), &format!("\n{}\n", crate::scenario::digest("root").to_base64()), 1);
        maker.refuse(
            "checkpoint_changed",
            "The root of the checkpoint is changed.",
            self.input(changed.as_bytes()),
            SignatureInvalid,
        );
        let head = self.assembly.checkpoint();
        let one = note(&head.body(), &[ed25519_line(&head, &self.domain.ledger_keys().ed25519)]);
        let writ = TlogProof { checkpoint: one, ..self.proved() };
        maker.refuse(
            "checkpoint_without_ml_dsa",
            "The ML-DSA-44 key has not signed.",
            self.input(&writ.encode()),
            SignatureInvalid,
        );
        let other = Checkpoint { origin: Origin::new("writ.example/ledger/other").unwrap(), ..head.clone() };
        let writ = TlogProof { checkpoint: signed_by(&other, self.domain.ledger_keys()), ..self.proved() };
        maker.refuse(
            "checkpoint_other_origin",
            "A checkpoint of a ledger that is not pinned.",
            self.input(&writ.encode()),
            UnknownAuthority,
        );
        let stranger = crate::scenario::SecretPair::new("stranger");
        let writ = TlogProof { checkpoint: signed_by(&head, &stranger), ..self.proved() };
        maker.refuse(
            "checkpoint_other_keys",
            "A checkpoint signed with keys that are not pinned.",
            self.input(&writ.encode()),
            SignatureInvalid,
        );
        let mut rotated = self.domain.pinned_ledger();
        rotated.rotate(10, stranger.key_pair()).unwrap();
        let trust_root = writ_protocol::TrustRoot::new(self.domain.id(), rotated).to_string();
        let old = json!({ "text": good, "trust_root": trust_root });
        maker.refuse(
            "checkpoint_old_keys",
            "Signed with keys that were replaced at a smaller size.",
            old,
            SignatureInvalid,
        );
    }

    /// Entries that only a dishonest ledger proves.
    fn strange_entries(&self, maker: &mut Maker) {
        let grant = Structure::of(&self.proved().extra.unwrap());
        for (name, about, entry, code) in [
            (
                "grant_version_2",
                "A proved grant of a version that this reader does not know.",
                grant.clone().set("2", Uint(2)),
                UnsupportedVersion,
            ),
            (
                "grant_other_origin",
                "A proved grant of another ledger.",
                grant.clone().set("3", text("writ.example/ledger/other")),
                UnknownAuthority,
            ),
            ("grant_malformed", "A proved grant without uses.", grant.clone().remove("4/uses"), Malformed),
            (
                "grant_as_statement",
                "A proved statement in the place of an entry.",
                grant.clone().set("0", text("writ.statement")),
                Malformed,
            ),
            (
                "type_unknown",
                "A proved entry of a type that this reader does not know.",
                grant.set("1", text("warrant")),
                UnsupportedVersion,
            ),
        ] {
            let mut assembly = Assembly::new(self.domain);
            let index = assembly.raw(entry.bytes());
            maker.refuse(name, about, self.input(&assembly.proved(index).encode()), code);
        }
        let mut assembly = Assembly::new(self.domain);
        let Proposal { draft, .. } = self.domain.speaker(0, 1).heartbeat(&assembly.standing());
        let writ_ledger::Draft::Statement(statement) = draft else { panic!("a statement") };
        let index = assembly.raw(statement);
        maker.refuse(
            "statement_bare",
            "A proved statement that no entry carries.",
            self.input(&assembly.proved(index).encode()),
            Malformed,
        );
    }
}
