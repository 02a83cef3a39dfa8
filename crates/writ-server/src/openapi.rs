//! The interface as others read it: OpenAPI 3.1, made from the routes that are served. `api/openapi.json` is this, checked in.

use crate::api::status_codes;
use crate::route::{NODE_ROUTES, Route};
use hyper::Method;
use serde_json::{Map, Value, json};
use writ_protocol::Code;
use writ_protocol::entry::Would;

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
        summary: "Give an order: revoke, halt, approve or reject. It must be signed by a principal's key.",
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
        query: &[],
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
];

/// The document.
pub fn openapi() -> Value {
    let mut schemas = schemas();
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.extend(hold_schemas().into_iter().map(|(name, schema)| (name.to_owned(), schema)));
        schemas.extend(lineage_schemas().map(|(name, schema)| (name.to_owned(), schema)));
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
            "content": { "application/json": { "schema": reference("Refused") } },
        }),
    );
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if let (Some(takes), Some(fields)) = (operation.takes, described.as_object_mut()) {
        let body = json!({ "required": true, "content": { "application/json": { "schema": reference(takes) } } });
        fields.insert("requestBody".to_owned(), body);
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

/// What waits, and what was answered to it.
fn hold_schemas() -> [(&'static str, Value); 5] {
    let (index, boolean) = (reference("Index"), json!({ "type": "boolean" }));
    let proof = || text("The entry with its proof, as a C2SP tlog-proof.");
    [
        (
            "Hold",
            object(
                "A request that waits for approval. Whoever asked asks again once it is approved, with another request that names the hold and has its action salt.",
                &[
                    ("outcome", json!({ "const": "hold" })),
                    ("index", index.clone()),
                    ("repeated", boolean.clone()),
                    ("approved", json!({ "type": "boolean", "description": "Whether enough have approved it." })),
                    ("needs", list(reference("Need"))),
                    ("until_ms", index.clone()),
                    ("why", text("Why, for a person.")),
                    ("policies", list(reference("Clause"))),
                    ("action_salt", bytes("The salt of the action digest that is approved.")),
                    ("next", text("What to do.")),
                    ("proof", proof()),
                ],
            ),
        ),
        ("Need", object("So many approvals of a group.", &[("group", reference("Name")), ("count", index.clone())])),
        ("Holds", object("What waits.", &[("holds", list(reference("HoldState")))])),
        (
            "HoldState",
            object(
                "A hold as it is recorded.",
                &[
                    ("index", index.clone()),
                    ("id", text("Its id.")),
                    ("state", json!({ "enum": ["pending", "approved", "rejected", "lapsed", "resolved"] })),
                    ("principal", text("Who waits.")),
                    ("needs", list(reference("Need"))),
                    ("policies", list(reference("Name"))),
                    ("answers", list(reference("HoldAnswer"))),
                    ("asked_ms", index.clone()),
                    ("until_ms", index.clone()),
                    (
                        "resolved",
                        json!({ "type": ["integer", "null"], "description": "The grant or denial that came of it." }),
                    ),
                ],
            ),
        ),
        (
            "HoldAnswer",
            object(
                "What somebody answered.",
                &[
                    ("by", text("Who.")),
                    ("verdict", json!({ "enum": ["approve", "reject"] })),
                    ("groups", list(reference("Name"))),
                    ("index", index.clone()),
                ],
            ),
        ),
    ]
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
        "Receipt": object("A recorded statement.", &[
            ("index", index.clone()), ("repeated", boolean.clone()), ("proof", proof()),
        ]),
        "Entry": object("An entry.", &[("index", index.clone()), ("proof", proof())]),
        "Control": object("The control chain.", &[
            ("size", index.clone()), ("bundle", bytes("The bundle of genesis: all control entries and the closing seal.")),
            ("consistency", list(bytes("A hash of the consistency proof from `from` to `size`."))),
        ]),
        "Gateway": object("A gateway as it is recorded.", &[
            ("epoch", index.clone()), ("last_seq", index.clone()), ("groups", list(reference("Name"))), ("open", list(reference("Open"))),
        ]),
        "Open": object("An execution that has not ended.", &[
            ("execution", text("Its id.")), ("writ", text("The entry hash of its grant, hexadecimal.")),
            ("state", json!({ "enum": ["spent", "started"] })),
        ]),
        "Status": { "type": "object", "description": "Fields may be added.", "additionalProperties": true },
    })
}

/// What is told of a lineage.
fn lineage_schemas() -> [(&'static str, Value); 2] {
    let (index, boolean) = (reference("Index"), json!({ "type": "boolean" }));
    let lineage = object(
        "From the origin down to the execution, and then what that has caused, each after its parent.",
        &[
            ("members", list(reference("Kin"))),
            (
                "left_out",
                json!({ "type": "integer", "description": "How many descendants are not shown; what these have caused is not counted." }),
            ),
            ("carries", list(text("A label that the whole lineage carries."))),
        ],
    );
    let kin = object(
        "A grant in a lineage.",
        &[
            ("index", index.clone()),
            ("writ", text("Its entry hash, hexadecimal.")),
            ("id", text("The id of the writ.")),
            ("subject", boolean.clone()),
            ("depth", index.clone()),
            ("parent", json!({ "type": ["integer", "null"], "description": "The index of the grant that caused it." })),
            ("principal", text("Who acts: Type::id.")),
            ("auth", text("How they were known.")),
            ("policies", list(reference("Name"))),
            ("epoch", index.clone()),
            ("labels", list(text("A label it was granted with."))),
            (
                "gained",
                list(object(
                    "Labels that a gateway has added.",
                    &[("index", index.clone()), ("labels", list(text("A label.")))],
                )),
            ),
            (
                "executions",
                list(object(
                    "An execution of it.",
                    &[
                        ("id", text("Its id.")),
                        ("state", json!({ "enum": ["spent", "started", "ended"] })),
                        ("result", json!({ "type": ["string", "null"], "description": "How it ended." })),
                    ],
                )),
            ),
            ("caused", json!({ "type": "integer", "description": "How many grants it has caused." })),
        ],
    );
    [("Lineage", lineage), ("Kin", kin)]
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
