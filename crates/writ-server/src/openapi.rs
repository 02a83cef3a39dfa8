//! The interface as others read it: OpenAPI 3.1, made from the routes that are served. `api/openapi.json` is this, checked in.

use crate::api::status_codes;
use crate::route::{NODE_ROUTES, Route};
use hyper::Method;
use schemas::{entity_schemas, hold_schemas, lineage_schemas, mandate_schemas};
use serde_json::{Map, Value, json};
use writ_protocol::Code;
use writ_protocol::entry::Would;
use writ_protocol::statement::REQUEST_CONTENT_TYPE;

/// What a reader must know of one operation.
struct Operation {
    pattern: &'static str,
    id: &'static str,
    summary: &'static str,
    /// Name of the schema of the body, if it takes one.
    takes: Option<&'static str>,
    /// Name of the schema of what is answered with 200.
    gives: &'static str,
    /// Fields of the query: name and what it means.
    query: &'static [(&'static str, &'static str)],
    /// Whether a recorded refusal is among the answers.
    denies: bool,
}

mod advice;
mod schemas;

const OPERATIONS: &[Operation] = &[
    Operation {
        pattern: "/v1/authorize",
        id: "authorize",
        summary: "Ask for a writ. The answer is an entry of the ledger, permit, hold or denial, with its proof.",
        takes: Some("Asked"),
        gives: "Permit",
        query: &[],
        denies: true,
    },
    Operation {
        pattern: "/v1/shadow",
        id: "shadow",
        summary: "Ask what policy would answer, and have that recorded. Nothing comes of it: it is no writ, draws from no budget, and neither halts nor revocations have a part in it.",
        takes: Some("Asked"),
        gives: "Shadow",
        query: &[],
        denies: true,
    },
    Operation {
        pattern: "/v1/orders",
        id: "order",
        summary: "Give an order: revoke, halt, approve, reject, withdraw, erase, enrol a gateway, or give a mandate. It must be signed by a principal's key.",
        takes: Some("Asked"),
        gives: "Recorded",
        query: &[],
        denies: true,
    },
    Operation {
        pattern: "/v1/policies",
        id: "publish",
        summary: "Publish a policy set: a bundle that its authors have signed, and an order that names it, signed by a principal's key.",
        takes: Some("Publication"),
        gives: "Recorded",
        query: &[],
        denies: true,
    },
    Operation {
        pattern: "/v1/entities",
        id: "changeEntities",
        summary: "Change the entities: what is put and removed, and an order that names it, signed by a principal's key.",
        takes: Some("EntityChange"),
        gives: "Recorded",
        query: &[],
        denies: true,
    },
    Operation {
        pattern: "/v1/entities/snapshot",
        id: "entities",
        summary: "The entities in force beside those of the policy set: for the node's own user, over the local socket, outside every governed execution.",
        takes: None,
        gives: "Entities",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/v1/statements",
        id: "state",
        summary: "Have a gateway's signed statement recorded.",
        takes: Some("Statement"),
        gives: "Receipt",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/v1/control",
        id: "control",
        summary: "The control chain, as the evidence bundle of genesis in the newest tree.",
        takes: None,
        gives: "Control",
        query: &[("from", "the size of a tree the caller knows, for a consistency proof")],
        denies: false,
    },
    Operation {
        pattern: "/v1/feed",
        id: "feed",
        summary: "The same as server-sent events named `control`, at each change and about once a second while the tree grows.",
        takes: None,
        gives: "Events",
        query: &[("from", "the size of a tree the caller knows, for a consistency proof")],
        denies: false,
    },
    Operation {
        pattern: "/v1/status",
        id: "status",
        summary: "How the domain stands.",
        takes: None,
        gives: "Status",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/v1/gateways/{*name}",
        id: "gateway",
        summary: "Where a gateway's statements stand, and which of its executions have not ended.",
        takes: None,
        gives: "Gateway",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/v1/holds",
        id: "holds",
        summary: "What waits for approval, the oldest first. Values are behind commitments, as everywhere.",
        takes: None,
        gives: "Holds",
        query: &[("from", "show those from this index on; the answer before says so in `next`")],
        denies: false,
    },
    Operation {
        pattern: "/v1/holds/{index}",
        id: "hold",
        summary: "How far one hold has come.",
        takes: None,
        gives: "HoldState",
        query: &[("wait_ms", "answer once it is no longer pending, or after so long, 20,000 at most")],
        denies: false,
    },
    Operation {
        pattern: "/v1/mandates",
        id: "mandates",
        summary: "Who is for what: the mandates that have not ended, the newest first, 64 at most.",
        takes: None,
        gives: "Mandates",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/v1/mandates/{index}",
        id: "mandate",
        summary: "One mandate, and what is left of it.",
        takes: None,
        gives: "Mandate",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/v1/entries/{index}",
        id: "entry",
        summary: "An entry with its proof.",
        takes: None,
        gives: "Entry",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/v1/entries/{index}/bundle",
        id: "bundle",
        summary: "The evidence bundle of an entry.",
        takes: None,
        gives: "Bundle",
        query: &[(
            "disclose",
            "1 to put the values behind the commitments in: for the node's own user, over the local socket, outside every governed execution",
        )],
        denies: false,
    },
    Operation {
        pattern: "/v1/executions/{id}/lineage",
        id: "lineage",
        summary: "Where an execution comes from, what it has caused, and what it carries: what the ledger says, without values behind commitments.",
        takes: None,
        gives: "Lineage",
        query: &[(
            "descendants",
            "how many of what it has caused to show: 1000 at most, and unless told; the rest is counted",
        )],
        denies: false,
    },
    Operation {
        pattern: "/.well-known/authzen-configuration",
        id: "advice_configuration",
        summary: "Where the operations of the AuthZEN Authorization API 1.0 are, at the name by which this was asked.",
        takes: None,
        gives: "AdviceConfiguration",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/access/v1/evaluation",
        id: "evaluation",
        summary: "AuthZEN: may a subject do this to a resource? A deny is a 200 as well. The answer is recorded, and is no writ.",
        takes: Some("Evaluation"),
        gives: "AdviceDecision",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/access/v1/evaluations",
        id: "evaluations",
        summary: "AuthZEN: several such questions, at most 256; with none, the one that the defaults are.",
        takes: Some("Evaluations"),
        gives: "AdviceDecisions",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/access/v1/search/subject",
        id: "search_subject",
        summary: "AuthZEN: which subjects of a type may?",
        takes: Some("AdviceSearch"),
        gives: "AdviceFound",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/access/v1/search/resource",
        id: "search_resource",
        summary: "AuthZEN: to which resources of a type?",
        takes: Some("AdviceSearch"),
        gives: "AdviceFound",
        query: &[],
        denies: false,
    },
    Operation {
        pattern: "/access/v1/search/action",
        id: "search_action",
        summary: "AuthZEN: which actions?",
        takes: Some("AdviceSearch"),
        gives: "AdviceFound",
        query: &[],
        denies: false,
    },
];

/// The document.
pub fn openapi() -> Value {
    let mut schemas = schemas();
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.extend(mandate_schemas().into_iter().map(|(name, schema)| (name.to_owned(), schema)));
        schemas.extend(hold_schemas().into_iter().map(|(name, schema)| (name.to_owned(), schema)));
        schemas.extend(entity_schemas().map(|(name, schema)| (name.to_owned(), schema)));
        schemas.extend(lineage_schemas().map(|(name, schema)| (name.to_owned(), schema)));
        schemas.extend(advice::schemas().map(|(name, schema)| (name.to_owned(), schema)));
    }
    let mut paths = Map::new();
    for route in NODE_ROUTES {
        // A route without its description is missing here, and the test that compares says so.
        if let Some(operation) = OPERATIONS.iter().find(|operation| operation.pattern == route.pattern) {
            let method = if route.method == Method::POST { "post" } else { "get" };
            paths.insert(path_of(route), json!({ method: described(operation) }));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Writ node",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Bytes are base64 with padding. Objects have no unknown and no repeated fields. Every answer that matters \
                            carries its proof: verify it with the domain's trust root before acting on it. On the local socket the kernel \
                            says who asks; elsewhere requests are signed, or their caller is known by a certificate of the connection \
                            or a token in `Authorization: Bearer`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn path_of(route: &Route) -> String {
    route.pattern.replace("{*", "{")
}

fn described(operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = operation
        .pattern
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let name = name.trim_start_matches('*');
            let schema = if name == "index" { "Index" } else { "Name" };
            json!({ "name": name, "in": "path", "required": true, "schema": reference(schema) })
        })
        .collect();
    parameters.extend(operation.query.iter().map(|(name, about)| {
        json!({ "name": name, "in": "query", "required": false, "description": about, "schema": reference("Index") })
    }));
    let mut responses = Map::new();
    responses.insert("200".to_owned(), answer(operation.gives));
    if operation.gives == "Permit" {
        responses.insert("202".to_owned(), answer("Hold"));
    }
    if operation.denies {
        responses.insert(
            "403".to_owned(),
            json!({
                "description": "Refused and recorded, or refused without an entry.",
                "content": { "application/json": { "schema": { "oneOf": [reference("Deny"), reference("Refused")] } } },
            }),
        );
    }
    responses.insert(
        "default".to_owned(),
        json!({
            "description": "Refused without an entry. The status follows from the code.",
            "content": if operation.pattern.starts_with("/v1/") {
                json!({ "application/json": { "schema": reference("Refused") } })
            } else {
                json!({ "text/plain": { "schema": { "type": "string" } } })
            },
        }),
    );
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if let (Some(takes), Some(fields)) = (operation.takes, described.as_object_mut()) {
        let mut content = json!({ "application/json": { "schema": reference(takes) } });
        if let ("Asked", Some(content)) = (takes, content.as_object_mut()) {
            content.insert(REQUEST_CONTENT_TYPE.to_owned(), json!({ "schema": {
                "type": "string",
                "format": "binary",
                "description": "The payload of spec/statement.md itself. Where a signature says who asks, the message has the headers \
                                Content-Digest, Signature-Input and Signature of that page (RFC 9421).",
            } }));
        }
        fields.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    described
}

fn answer(schema: &str) -> Value {
    match schema {
        "Bundle" => json!({
            "description": "The bundle.",
            "content": { "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } },
        }),
        "Events" => json!({
            "description": "Events named `control`, each with a Control object.",
            "content": { "text/event-stream": { "schema": reference("Control") } },
        }),
        schema => json!({
            "description": "Done.",
            "content": { "application/json": { "schema": reference(schema) } },
        }),
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// An object with exactly these fields; those with a question mark may be absent.
fn object(about: &str, fields: &[(&str, Value)]) -> Value {
    let name = |field: &str| field.trim_end_matches('?').to_owned();
    let required: Vec<String> =
        fields.iter().filter(|(field, _)| !field.ends_with('?')).map(|(field, _)| name(field)).collect();
    let properties: Map<String, Value> = fields.iter().map(|(field, schema)| (name(field), schema.clone())).collect();
    json!({
        "type": "object",
        "description": about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

fn bytes(about: &str) -> Value {
    json!({ "type": "string", "contentEncoding": "base64", "description": about })
}

fn explanation() -> Value {
    json!({
        "type": ["object", "null"],
        "description": "Where it was asked for and policy refused: what the policies that speak of the request say, clause by clause with the values \
                        that they read of it, and the smallest change that would be permitted (docs/reference/policy.md).",
    })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn schemas() -> Value {
    let (index, boolean) = (reference("Index"), json!({ "type": "boolean" }));
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let wouldbe: Vec<&str> = Would::ALL.iter().map(|would| would.as_str()).collect();
    let proof = || text("The entry with its proof, as a C2SP tlog-proof.");
    let constant = |value: &str| json!({ "const": value });
    let statuses: Map<String, Value> =
        status_codes().map(|(code, status)| (code.as_str().to_owned(), status.as_u16().into())).collect();
    let explain =
        ("explain?", json!({ "type": "boolean", "description": "Whether a refusal by policy is to be explained." }));
    json!({
        "Index": { "type": "integer", "minimum": 0, "format": "int64" },
        "Name": { "type": "string", "pattern": "^[A-Za-z0-9._/:@-]{1,128}$" },
        "Code": { "type": "string", "enum": codes, "x-status-without-entry": statuses },
        "Asked": {
            "description": "Exactly one of the two: a request that nobody has signed, for a caller who is known by the local socket, a certificate or a token; or a signed one.",
            "oneOf": [
                object("A bare request.", &[("request", bytes("The payload of spec/statement.md, kind authorize or shadow.")), explain.clone()]),
                object("A signed request.", &[("signed", bytes("The envelope of spec/statement.md, kind authorize, shadow or order.")), explain]),
            ],
        },
        "Publication": object("A policy set to publish.", &[
            ("bundle", bytes("The bundle of spec/policy-bundle.md.")),
            ("signed", bytes("The envelope of spec/statement.md, kind order, whose action publishes this bundle.")),
        ]),
        "Statement": object("What a gateway says.", &[
            ("statement", bytes("The signed envelope of spec/statement.md.")),
            ("watcher?", json!({ "type": "integer", "minimum": 1, "description": "With `started`: the process that the execution descends from." })),
        ]),
        "Permit": object("A writ.", &[
            ("outcome", constant("permit")), ("index", index.clone()), ("repeated", boolean.clone()), ("writ", proof()),
        ]),
        "Shadow": object("What policy would have answered.", &[
            ("outcome", constant("shadow")), ("would", json!({ "enum": wouldbe })), ("index", index.clone()), ("repeated", boolean.clone()),
            ("why", json!({ "type": ["string", "null"], "description": "Why it would have been refused, for a person." })),
            ("policies", list(reference("Clause"))), ("explanation", explanation()),
            ("next", json!({ "type": ["string", "null"], "description": "What to do, if it would have been refused." })), ("proof", proof()),
        ]),
        "Recorded": object("An order that is in force.", &[
            ("outcome", constant("recorded")), ("index", index.clone()), ("repeated", boolean.clone()), ("proof", proof()),
        ]),
        "Deny": object("A refusal that was recorded.", &[
            ("outcome", constant("deny")), ("code", reference("Code")), ("index", index.clone()), ("repeated", boolean.clone()),
            ("why", text("Why, for a person.")), ("policies", list(reference("Clause"))), ("explanation", explanation()), ("next", text("What to do.")), ("proof", proof()),
        ]),
        "Clause": object("A policy that decided.", &[
            ("id", reference("Name")), ("file", text("Its file.")), ("line", index.clone()),
            ("effect", json!({ "enum": ["permit", "forbid"] })), ("text", text("Its text.")),
        ]),
        "Refused": object("A refusal without an entry.", &[
            ("outcome", constant("refused")), ("code", reference("Code")), ("why", text("Why, for a person.")), ("next?", text("What to do.")),
        ]),
        "Receipt": object("A recorded statement.", &[("index", index.clone()), ("repeated", boolean.clone()), ("proof", proof())]),
        "Entry": object("An entry.", &[("index", index.clone()), ("proof", proof())]),
        "Control": object("The control chain.", &[
            ("size", index.clone()), ("bundle", bytes("The bundle of genesis: all control entries and the closing seal.")),
            ("consistency", list(bytes("A hash of the consistency proof from `from` to `size`."))),
        ]),
        "Gateway": object("A gateway as it is recorded.", &[
            ("epoch", index.clone()), ("last_seq", index.clone()), ("groups", list(reference("Name"))), ("open", list(reference("Open"))),
            ("key", text("The fingerprint of its key.")), ("revoked", boolean.clone()), ("by_order", boolean),
        ]),
        "Open": object("An execution that has not ended.", &[
            ("execution", text("Its id.")), ("writ", text("The entry hash of its grant, hexadecimal.")),
            ("state", json!({ "enum": ["spent", "started"] })),
        ]),
        "Status": { "type": "object", "description": "Fields may be added.", "additionalProperties": true },
    })
}

#[cfg(test)]
mod tests {
    use super::{OPERATIONS, openapi};
    use crate::route::NODE_ROUTES;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let routes: Vec<_> = NODE_ROUTES.iter().map(|route| route.pattern).collect();
        let described: Vec<_> = OPERATIONS.iter().map(|operation| operation.pattern).collect();
        assert_eq!(routes, described);
        let document = openapi();
        assert_eq!(document["paths"].as_object().unwrap().len(), NODE_ROUTES.len());
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = openapi();
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_checked_in_document_is_this_one() {
        let checked_in: serde_json::Value = serde_json::from_str(include_str!("../../../api/openapi.json")).unwrap();
        assert!(checked_in == openapi(), "run `cargo run -p writ-testing --bin openapi -- api/openapi.json`");
    }
}
