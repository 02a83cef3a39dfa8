//! What the parts of the interface look like that are described apart.

use super::{bytes, list, object, reference, text};
use serde_json::{Value, json};

/// What somebody is for.
pub(super) fn mandate_schemas() -> [(&'static str, Value); 2] {
    let index = reference("Index");
    let mandate = object(
        "A mandate as it is recorded. Paths and arguments that are not UTF-8 are told with replacement characters; the entry has their bytes.",
        &[
            ("index", index.clone()),
            ("entry", text("Its entry hash, hexadecimal.")),
            ("id", text("Its id.")),
            ("state", json!({ "enum": ["open", "not begun", "ended", "used up", "revoked"] })),
            ("by", text("Who gave it: Type::id.")),
            ("to", text("Whom it is for: Type::id.")),
            ("above", list(index.clone())),
            (
                "scope",
                json!({ "type": "object", "description": "The constraints that it has.", "additionalProperties": true }),
            ),
            (
                "used",
                json!({ "type": ["integer", "null"], "description": "Executions granted, where it counts them." }),
            ),
            ("given_ms", index.clone()),
            ("revoked", json!({ "type": ["integer", "null"], "description": "The entry that revokes it." })),
        ],
    );
    [("Mandates", object("Mandates.", &[("mandates", list(reference("Mandate")))])), ("Mandate", mandate)]
}

fn hold(index: &Value, boolean: &Value) -> Value {
    let proof = || text("The entry with its proof, as a C2SP tlog-proof.");
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
    )
}

/// What waits, and what was answered to it.
pub(super) fn hold_schemas() -> [(&'static str, Value); 5] {
    let (index, boolean) = (reference("Index"), json!({ "type": "boolean" }));
    [
        ("Hold", hold(&index, &boolean)),
        ("Need", object("So many approvals of a group.", &[("group", reference("Name")), ("count", index.clone())])),
        (
            "Holds",
            object(
                "What waits, 256 at most.",
                &[
                    ("holds", list(reference("HoldState"))),
                    (
                        "next",
                        json!({ "type": ["integer", "null"], "description": "Ask with `from` for those from this index on." }),
                    ),
                ],
            ),
        ),
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
                    ("verdict", json!({ "enum": ["approve", "reject", "withdraw"] })),
                    (
                        "counts",
                        json!({ "type": "boolean", "description": "Whether it counts: whoever approved is trusted still, and in these groups. A no always counts." }),
                    ),
                    ("groups", list(reference("Name"))),
                    ("index", index.clone()),
                ],
            ),
        ),
    ]
}

/// Of entities.
pub(super) fn entity_schemas() -> [(&'static str, Value); 2] {
    [
        (
            "EntityChange",
            object(
                "A change of entities.",
                &[
                    ("change", bytes("The change of spec/entities.md.")),
                    ("signed", bytes("The envelope of spec/statement.md, kind order, whose action makes this change.")),
                ],
            ),
        ),
        (
            "Entities",
            object(
                "Entities.",
                &[
                    (
                        "epoch",
                        json!({ "type": "integer", "minimum": 0, "description": "0 where there never were any." }),
                    ),
                    (
                        "snapshot",
                        json!({ "type": "string", "pattern": "^[0-9a-f]{64}$", "description": "What a change of just these names as its base." }),
                    ),
                    (
                        "entities",
                        json!({ "type": "array", "items": { "type": "object", "description": "An entity in Cedar's JSON form." } }),
                    ),
                ],
            ),
        ),
    ]
}

/// What is told of a lineage.
pub(super) fn lineage_schemas() -> [(&'static str, Value); 2] {
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
            (
                "mandate",
                json!({ "type": ["integer", "null"], "description": "The index of the mandate that it is under." }),
            ),
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
