//! Ours, judged by the vectors: what each check of `vectors/README.md` calls.

use serde_json::{Value, json};
use writ_protocol::action::{Action, Opening, Variables};
use writ_protocol::cbor::{self, Decode, Encode, Value as Item};
use writ_protocol::entities::{EntityChange, EntityTree, Keyed};
use writ_protocol::entry::{Authors, Positive, RootMembers};
use writ_protocol::order::ExecutionState;
use writ_protocol::scope::{Asked, Scope};
use writ_protocol::statement::{
    Ask, Claim, Component, Request, RootCommand, Signed, SignedRequest, surroundings_digest,
};
use writ_protocol::{
    Bundle, Code, DomainId, Ed25519Key, Entry, Key, KeyPair, Label, Name, PolicyBundle, Refusal, TrustRoot,
    WritVerifier, checkpoint_refusal,
};
use writ_tlog::{
    ConsistencyProof, Hash, InclusionProof, LeafIndex, NoteVerifier, Origin, PinnedKeys, TreeSize, VerifyingKey,
    leaf_hash, verify_consistency, verify_inclusion,
};

/// Runs a case of a directory. Returns what stands in `expect` when all is well, or why the case cannot be run.
pub(crate) fn judge(directory: &str, case: &Value) -> Result<Value, String> {
    let check = case["check"].as_str().ok_or("`check` is no text")?;
    let input = Input(&case["input"]);
    if (directory, check) == ("cbor", "cbor") {
        return Ok(match cbor::check(&input.bytes("hex")) {
            Ok(()) => json!({ "ok": { "value": typed(&Item::from_cbor(&input.bytes("hex")).unwrap()) } }),
            Err(faulty) => json!({ "fault": faulty.fault.as_str() }),
        });
    }
    let run = match (directory, check) {
        ("entry", "entry") => entry,
        ("statement", "gateway") => gateway,
        ("statement", "root") => root,
        ("statement", "request") => request,
        ("statement", "presentation") => presentation,
        ("statement", "surroundings") => surroundings,
        ("action", "action") => action,
        ("action", "variables") => variables,
        ("action", "opening") => opening,
        ("scope", "contains") => contains,
        ("scope", "narrows") => narrows,
        ("ledger", "key") => key,
        ("ledger", "ed25519") => ed25519,
        ("ledger", "ml-dsa-44") => ml_dsa_44,
        ("ledger", "checkpoint") => checkpoint,
        ("ledger", "inclusion") => inclusion,
        ("ledger", "consistency") => consistency,
        ("writ", "writ") => writ,
        ("bundle", "bundle") => bundle,
        ("trust-root", "trust-root") => trust_root,
        ("policy-bundle", "policy-bundle") => policy_bundle,
        ("entities", "entities") => entities,
        _ => return Err(format!("no check `{check}` in {directory}")),
    };
    Ok(match run(&input) {
        Ok(results) => json!({ "ok": results }),
        Err(refusal) => json!({ "refused": refusal.code().as_str() }),
    })
}

/// The input of a case.
struct Input<'v>(&'v Value);

impl Input<'_> {
    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("`{field}` is no text"))
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        unhex(self.text(field)).unwrap_or_else(|| panic!("`{field}` is no hex"))
    }

    /// A file or message, as `text` or as `hex`.
    fn file(&self) -> Vec<u8> {
        if self.0["text"].is_string() { self.text("text").as_bytes().to_vec() } else { self.bytes("hex") }
    }

    fn number(&self, field: &str) -> u64 {
        self.0[field].as_u64().unwrap_or_else(|| self.text(field).parse().unwrap())
    }

    fn hash(&self, field: &str) -> Hash {
        Hash::from_slice(&self.bytes(field)).unwrap()
    }

    fn hashes(&self, field: &str) -> Vec<Hash> {
        let hash = |value: &Value| Hash::from_slice(&unhex(value.as_str().unwrap()).unwrap()).unwrap();
        self.0[field].as_array().unwrap().iter().map(hash).collect()
    }

    fn origin(&self) -> Origin {
        Origin::new(self.text("origin")).unwrap()
    }

    fn trust(&self) -> Result<TrustRoot, Refusal> {
        TrustRoot::parse(self.text("trust_root").as_bytes())
    }
}

fn typed(value: &Item) -> Value {
    match value {
        Item::Uint(value) => json!(["uint", value.to_string()]),
        Item::Nint(value) => json!(["nint", value.to_string()]),
        Item::Bytes(value) => json!(["bytes", hex(value)]),
        Item::Text(value) => json!(["text", value]),
        Item::Array(items) => json!(["array", items.iter().map(typed).collect::<Vec<_>>()]),
        Item::Map(pairs) => {
            json!(["map", pairs.iter().map(|(key, value)| json!([["text", key], typed(value)])).collect::<Vec<_>>()])
        }
        Item::Bool(value) => json!(["bool", value]),
        Item::Null => json!(["null"]),
        Item::Float(value) => json!(["float", hex(&value.to_be_bytes())]),
    }
}

fn entry(input: &Input<'_>) -> Result<Value, Refusal> {
    let bytes = input.bytes("hex");
    let entry = Entry::decode(&bytes, &input.origin())?;
    // Decoding and encoding are inverse, or there would be two encodings.
    assert_eq!(entry.encode()?, bytes);
    Ok(json!({ "type": entry.body.entry_type().as_str(), "hash": hex(leaf_hash(&bytes).as_bytes()) }))
}

fn gateway(input: &Input<'_>) -> Result<Value, Refusal> {
    let key = Ed25519Key::new(Key::from_bytes(&input.bytes("key"))?)?;
    let bytes = input.bytes("hex");
    let statement = Signed::decode(&bytes)?.verify_gateway(&key, &input.origin())?;
    let kind = match statement.claim {
        Claim::Spent { .. } => "spent",
        Claim::Started { .. } => "started",
        Claim::Ended { .. } => "ended",
        Claim::Labelled { .. } => "labelled",
        Claim::Refused { .. } => "refused",
        Claim::Heartbeat { .. } => "heartbeat",
    };
    let (epoch, seq) = (statement.epoch.get(), statement.seq.get());
    Ok(json!({ "kind": kind, "gateway": statement.gateway.as_str(), "epoch": epoch, "seq": seq }))
}

fn root(input: &Input<'_>) -> Result<Value, Refusal> {
    let key = |value: &Value| Key::from_bytes(&unhex(value.as_str().unwrap()).unwrap());
    let pair = |pair: &Value| KeyPair::new(key(&pair[0])?, key(&pair[1])?);
    let members = input.0["members"].as_array().unwrap().iter().map(pair).collect::<Result<_, _>>()?;
    let members = RootMembers::new(input.number("threshold"), members)?;
    let domain = DomainId::from_bytes(input.bytes("domain").try_into().unwrap());
    let bytes = input.bytes("hex");
    let kind = match Signed::decode(&bytes)?.verify_root(&members, domain, &input.origin())?.order {
        RootCommand::Halt(_) => "halt",
        RootCommand::Resume(_) => "resume",
        RootCommand::LedgerKeys(_) => "ledger-keys",
        RootCommand::RootKeys(_) => "root-keys",
        RootCommand::PolicyAuthors(_) => "policy-authors",
    };
    Ok(json!({ "kind": kind }))
}

fn request(input: &Input<'_>) -> Result<Value, Refusal> {
    let (bytes, origin) = (input.bytes("hex"), input.origin());
    let request = if input.0["key"].is_string() {
        let key = Ed25519Key::new(Key::from_bytes(&input.bytes("key"))?)?;
        SignedRequest::decode(&bytes)?.verify(&key, &origin)?
    } else {
        let request = Request::read(&bytes, &origin)?;
        // Reading and writing are inverse, or there would be two encodings.
        assert_eq!(request.payload(&origin), bytes);
        request
    };
    let (kind, surroundings) = match &request.ask {
        Ask::Authorize(ask) => ("authorize", Some(surroundings_digest(&ask.surroundings)?)),
        Ask::Shadow(ask) => ("shadow", Some(surroundings_digest(&ask.surroundings)?)),
        Ask::Order => ("order", None),
    };
    let (_, opened) = request.action()?;
    Ok(json!({
        "kind": kind,
        "request": hex(request.opening(&bytes).commitment().as_bytes()),
        "action": hex(opened.commitment().as_bytes()),
        "surroundings": surroundings.map(|digest| hex(digest.as_bytes())),
    }))
}

fn presentation(input: &Input<'_>) -> Result<Value, Refusal> {
    let key = Ed25519Key::new(Key::from_bytes(&input.bytes("key"))?)?;
    let bytes = input.bytes("hex");
    let presented = Signed::decode(&bytes)?.verify_presentation(&key, &input.origin())?;
    Ok(json!({
        "writ": hex(presented.writ.as_bytes()),
        "gateway": presented.gateway.as_str(),
        "epoch": presented.epoch.get(),
        "nonce": hex(&presented.nonce),
        "action": hex(presented.action.as_bytes()),
    }))
}

fn surroundings(input: &Input<'_>) -> Result<Value, Refusal> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let component = |pair: &Value| {
        let name = Label::new(text(&pair[0])).map_err(Refusal::malformed)?;
        Ok::<_, Refusal>(Component { name, value: text(&pair[1]) })
    };
    let components = input.0["components"].as_array().unwrap().iter().map(component).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "digest": hex(surroundings_digest(&components)?.as_bytes()) }))
}

fn action(input: &Input<'_>) -> Result<Value, Refusal> {
    let bytes = input.bytes("hex");
    let action = Action::decode(&bytes)?;
    assert_eq!(action.encode()?, bytes);
    Ok(json!({ "kind": action.kind().as_str() }))
}

fn variables(input: &Input<'_>) -> Result<Value, Refusal> {
    let bytes = |value: &Value| unhex(value.as_str().unwrap()).unwrap();
    let pairs: Vec<_> =
        input.0["pairs"].as_array().unwrap().iter().map(|pair| (bytes(&pair[0]), bytes(&pair[1]))).collect();
    let variables = Variables::new(pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())))?;
    Ok(json!({ "digest": hex(variables.digest().as_bytes()) }))
}

fn opening(input: &Input<'_>) -> Result<Value, Refusal> {
    let opening = Opening::from_cbor(&input.bytes("hex"))?;
    if opening.commitment() != input.hash("commitment") {
        return Err(Refusal::new(Code::CommitmentMismatch, "the opening opens another commitment"));
    }
    opening.judge_value()?;
    Ok(json!({ "kind": opening.kind.as_str() }))
}

fn scope(bytes: &[u8]) -> Result<Scope, Refusal> {
    let scope = Scope::from_cbor(bytes)?;
    assert_eq!(scope.to_cbor(), bytes);
    Ok(scope)
}

fn contains(input: &Input<'_>) -> Result<Value, Refusal> {
    let scope = scope(&input.bytes("hex"))?;
    let Action::Exec(exec) = Action::decode(&input.bytes("action"))? else { panic!("expected an execution") };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pairs = input.0["surroundings"].as_array().unwrap().iter();
    let surroundings: Vec<_> = pairs.map(|pair| (Label::new(text(&pair[0])).unwrap(), text(&pair[1]))).collect();
    scope.contains(&Asked {
        exec: &exec,
        now_ms: input.number("now_ms"),
        depth: input.number("depth"),
        gateway: &Name::new(input.text("gateway")).unwrap(),
        surroundings: &surroundings,
    })?;
    Ok(json!({}))
}

fn narrows(input: &Input<'_>) -> Result<Value, Refusal> {
    let (child, parent) = (scope(&input.bytes("hex"))?, scope(&input.bytes("parent"))?);
    child.narrows(&parent)?;
    Ok(json!({}))
}

fn key(input: &Input<'_>) -> Result<Value, Refusal> {
    let key = Key::from_bytes(&input.bytes("hex"))?;
    Ok(json!({ "fingerprint": hex(key.fingerprint().0.as_bytes()) }))
}

fn ed25519(input: &Input<'_>) -> Result<Value, Refusal> {
    signature(input, VerifyingKey::ed25519(&input.bytes("key")).map_err(Refusal::malformed)?)
}

fn ml_dsa_44(input: &Input<'_>) -> Result<Value, Refusal> {
    signature(input, VerifyingKey::ml_dsa_44(&input.bytes("key")).map_err(Refusal::malformed)?)
}

fn signature(input: &Input<'_>, key: VerifyingKey) -> Result<Value, Refusal> {
    let verified = key.verify(&input.bytes("message"), &input.bytes("signature"));
    verified.map_err(|error| Refusal::new(Code::SignatureInvalid, error.to_string()))?;
    Ok(json!({}))
}

fn checkpoint(input: &Input<'_>) -> Result<Value, Refusal> {
    let vkey = |value: &Value| NoteVerifier::from_vkey(value.as_str().unwrap()).map_err(Refusal::malformed);
    let vkeys = input.0["vkeys"].as_array().unwrap().iter().map(vkey).collect::<Result<_, _>>()?;
    let pinned = PinnedKeys::new(input.origin(), vkeys).map_err(Refusal::malformed)?;
    let opened = pinned.open(&input.file()).map_err(|error| checkpoint_refusal(&error))?;
    let head = opened.checkpoint();
    Ok(json!({ "size": head.size.to_string(), "root": hex(head.root.as_bytes()) }))
}

fn inclusion(input: &Input<'_>) -> Result<Value, Refusal> {
    let (index, size) = (LeafIndex::new(input.number("index")), TreeSize::new(input.number("size")));
    let proof = InclusionProof::new(input.hashes("proof"));
    let verified = verify_inclusion(&input.hash("leaf"), index, size, &input.hash("root"), &proof);
    verified.map_err(|error| Refusal::new(Code::ProofInvalid, error.to_string()))?;
    Ok(json!({}))
}

fn consistency(input: &Input<'_>) -> Result<Value, Refusal> {
    let (old, new) = (TreeSize::new(input.number("old_size")), TreeSize::new(input.number("size")));
    let proof = ConsistencyProof::new(input.hashes("proof"));
    let verified = verify_consistency(old, &input.hash("old_root"), new, &input.hash("root"), &proof);
    verified.map_err(|error| Refusal::new(Code::ProofInvalid, error.to_string()))?;
    Ok(json!({}))
}

fn writ(input: &Input<'_>) -> Result<Value, Refusal> {
    let mut verifier = WritVerifier::new(input.trust()?);
    let file = input.file();
    let verified = verifier.verify(&file);
    // Under a checkpoint that was verified before the answer must be the same.
    assert_eq!(verified, verifier.verify(&file));
    let writ = verified?;
    Ok(json!({
        "index": writ.index().get(),
        "size": writ.size().get(),
        "hash": hex(writ.entry().as_bytes()),
        "id": hex(writ.grant().id.as_bytes()),
    }))
}

fn bundle(input: &Input<'_>) -> Result<Value, Refusal> {
    let story = Bundle::verify(&input.bytes("hex"), &input.trust()?)?;
    let execution = |one: &writ_protocol::bundle::StoryExecution| {
        let state = match one.state {
            ExecutionState::Spent => "spent",
            ExecutionState::Started => "started",
            ExecutionState::Ended(_) => "ended",
        };
        let result = one.result().map(|result| result.to_string());
        json!({ "execution": hex(one.id.as_bytes()), "state": state, "result": result })
    };
    Ok(json!({
        "subject": story.subject.get(),
        "type": story.subject_type.as_str(),
        "executions": story.executions.iter().map(execution).collect::<Vec<_>>(),
        "revoked_at": story.revoked_at.map(LeafIndex::get),
        "halted_at": story.halted_at.map(LeafIndex::get),
        "openings": story.openings.len(),
    }))
}

fn trust_root(input: &Input<'_>) -> Result<Value, Refusal> {
    let trust = TrustRoot::parse(&input.file())?;
    // A file has one form.
    assert_eq!(trust.to_string().into_bytes(), input.file());
    let ledgers: Vec<_> = trust.ledgers().iter().map(|ledger| ledger.origin().as_str()).collect();
    Ok(json!({ "domain": hex(trust.domain().as_bytes()), "ledgers": ledgers }))
}

fn policy_bundle(input: &Input<'_>) -> Result<Value, Refusal> {
    let (bytes, origin) = (input.bytes("hex"), input.origin());
    let bundle = PolicyBundle::decode(&bytes, &origin)?;
    // A bundle has one form.
    assert_eq!(PolicyBundle::assemble(bundle.signed(), bundle.files()), bytes);
    let author = |key: &Value| Ed25519Key::new(Key::from_bytes(&unhex(key.as_str().unwrap()).unwrap())?);
    let authors = input.0["authors"].as_array().unwrap().iter().map(author).collect::<Result<_, _>>()?;
    let authors = Authors::new(input.number("threshold"), authors)?;
    let domain = DomainId::from_bytes(input.bytes("domain").try_into().unwrap());
    let manifest = Signed::decode(bundle.signed())?.verify_manifest(&authors, domain, &origin)?;
    let active = Positive::new(input.number("epoch")).map(|epoch| (epoch, input.hash("set")));
    manifest.follows(active, input.number("now_ms"))?;
    let files: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    Ok(json!({ "epoch": manifest.epoch.get(), "set": hex(manifest.set.as_bytes()), "files": files }))
}

struct Leaf(Hash, Hash);

impl Keyed for Leaf {
    fn key(&self) -> &Hash {
        &self.0
    }

    fn leaf(&self) -> &Hash {
        &self.1
    }
}

fn entities(input: &Input<'_>) -> Result<Value, Refusal> {
    let (mut tree, mut told) = (EntityTree::default(), Vec::new());
    let mut before = tree.root();
    for bytes in input.0["changes"].as_array().unwrap() {
        let bytes = unhex(bytes.as_str().unwrap()).unwrap();
        let change = EntityChange::decode(&bytes)?;
        // A change has one form.
        assert_eq!(change.encode().as_ref(), Ok(&bytes));
        if change.base.is_some_and(|base| base != before) {
            return Err(Refusal::new(Code::FactsChanged, "a change of another snapshot"));
        }
        for uid in &change.removed {
            tree = tree.without(&uid.key());
        }
        for put in &change.put {
            tree = tree.with(Leaf(put.uid().key(), put.leaf()).into());
        }
        let root = tree.root();
        before = change.snapshot(&root);
        told.push(json!({
            "root": hex(root.as_bytes()), "snapshot": hex(before.as_bytes()), "count": tree.len(),
        }));
    }
    Ok(json!({ "snapshots": told }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sixteen bytes at once: together the vectors have millions.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for digits in text.as_bytes().chunks(32) {
        let number = u128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        bytes.extend_from_slice(number.to_be_bytes().get(16 - digits.len() / 2..)?);
    }
    text.len().is_multiple_of(2).then_some(bytes)
}
