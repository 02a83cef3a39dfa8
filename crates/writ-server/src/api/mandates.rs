//! Who is for what: mandates as they are recorded, and what is left of them.

use super::{evidence, refused};
use crate::authority_node::AuthorityNode;
use crate::exchange::Reply;
use hyper::StatusCode;
use serde_json::{Map, Value, json};
use writ_ledger::{LedgerError, Mandated, Reader, View};
use writ_protocol::entry::{AssertedPrincipal, EntryRef};
use writ_protocol::scope::{File, Path, Program, Scope};
use writ_protocol::{Code, Name, Refusal};
use writ_tlog::{Hash, LeafIndex};

/// So many are told at most, the newest first; older ones are asked for one by one.
const MANDATES_MAX: u64 = 64;

/// Mandates that have not ended, the newest first.
pub(crate) async fn all(node: &AuthorityNode) -> Reply {
    let now_ms = node.authority().now_ms();
    let read = move |reader: &Reader, view: &View| {
        let found = reader.mandates(now_ms, MANDATES_MAX)?.into_iter().map(|index| told(reader, view, index, now_ms));
        found.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()
    };
    match node.read(read).await {
        Ok(mandates) => Reply::json(StatusCode::OK, &json!({ "mandates": mandates })),
        Err(error) => refused(&evidence::refusal(&error)),
    }
}

/// One mandate.
pub(crate) async fn one(node: &AuthorityNode, index: u64) -> Reply {
    let now_ms = node.authority().now_ms();
    let read = move |reader: &Reader, view: &View| told(reader, view, LeafIndex::new(index), now_ms);
    match node.read(read).await {
        Ok(Some(mandate)) => Reply::json(StatusCode::OK, &mandate),
        Ok(None) => refused(&Refusal::new(Code::MissingWrit, format!("entry {index} is no mandate"))),
        Err(error) => refused(&evidence::refusal(&error)),
    }
}

fn told(reader: &Reader, view: &View, index: LeafIndex, now_ms: u64) -> Result<Option<Value>, LedgerError> {
    let Some(Mandated { entry, mandate, drawn, .. }) = reader.mandated(index)? else { return Ok(None) };
    let named = EntryRef { entry, index: index.get(), ledger: reader.origin().clone() };
    let chain = reader.mandate_chain(&named)?.unwrap_or_default();
    let above = chain.iter().skip(1).map(|(reference, _)| reference.index).collect::<Vec<_>>();
    let revoked = reader.mandate_revoked(&view.control, &named)?;
    let scope = &mandate.scope;
    // What one above has left is left here too.
    let mut used_up = false;
    for (reference, _) in &chain {
        let found = reader.mandated(LeafIndex::new(reference.index))?;
        let left = found.and_then(|found| Some((found.mandate.scope.uses?.get(), found.drawn?)));
        used_up |= left.is_some_and(|(uses, drawn)| drawn >= uses);
    }
    let state = match (revoked, scope.lasts(now_ms).map_err(|refusal| refusal.code()), used_up) {
        (Some(_), _, _) => "revoked",
        (None, Err(Code::NotYetValid), _) => "not begun",
        (None, Err(_), _) => "ended",
        (None, Ok(()), true) => "used up",
        (None, Ok(()), false) => "open",
    };
    Ok(Some(json!({
        "index": index.get(),
        "entry": hex(&entry),
        "id": mandate.id.to_string(),
        "state": state,
        "by": shown(&mandate.by.asserted()),
        "to": shown(&mandate.to),
        "above": above,
        "scope": scope_of(scope),
        "used": drawn,
        "given_ms": mandate.time_ms,
        "revoked": revoked.map(LeafIndex::get),
    })))
}

fn shown(who: &AssertedPrincipal) -> String {
    format!("{}::{}", who.kind, who.id)
}

fn hex(hash: &Hash) -> String {
    hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn path(path: &Path) -> String {
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}

/// A scope with the constraints that it has.
fn scope_of(scope: &Scope) -> Value {
    let mut told = Map::new();
    told.insert("from_ms".to_owned(), json!(scope.window.from_ms()));
    told.insert("until_ms".to_owned(), json!(scope.window.until_ms()));
    let mut put = |name: &str, value: Option<Value>| {
        told.extend(value.map(|value| (name.to_owned(), value)));
    };
    put("uses", scope.uses.map(|uses| json!(uses.get())));
    put("depth", scope.depth.map(|depth| json!(depth)));
    put("folders", scope.folders.as_ref().map(|all| all.as_slice().iter().map(path).collect()));
    put("contents", scope.contents.as_ref().map(|all| all.as_slice().iter().map(hex).collect()));
    put("gateways", scope.gateways.as_ref().map(|all| all.as_slice().iter().map(Name::as_str).collect()));
    put("programs", scope.programs.as_ref().map(|all| all.as_slice().iter().map(program).collect()));
    let places = scope.surroundings.as_ref().map(|places| {
        let values = |place: &writ_protocol::scope::Place| {
            place.values.as_slice().iter().map(|value| value.0.clone()).collect::<Vec<_>>()
        };
        let one = |place: &writ_protocol::scope::Place| json!({ "name": place.name.as_str(), "values": values(place) });
        places.as_slice().iter().map(one).collect()
    });
    put("surroundings", places);
    Value::Object(told)
}

fn program(program: &Program) -> Value {
    let (kind, file) = match &program.file {
        File::Exact(file) => ("exact", file),
        File::Beneath(file) => ("beneath", file),
    };
    let mut told = Map::new();
    told.insert(kind.to_owned(), json!(path(file)));
    let argv = program.argv.as_ref().map(|argv| {
        argv.as_slice().iter().map(|word| Value::from(String::from_utf8_lossy(word).into_owned())).collect::<Value>()
    });
    told.extend(argv.map(|argv| ("argv".to_owned(), argv)));
    Value::Object(told)
}
