use crate::compile::complaint;
use crate::error::{PolicyError, Problem};
use crate::scan::{Language, statements};
use crate::snapshot::{SCHEMA, Snapshot};
use cedar_policy::{Schema, SchemaFragment};

const BASE: &str = include_str!("base.cedarschema");
const BASE_NAME: &str = "base.cedarschema";

/// The whole schema as text, for editors: the base schema, and what the domain adds to it.
pub fn schema_text(snapshot: &Snapshot) -> String {
    let own = snapshot.file(SCHEMA).map(String::from_utf8_lossy).unwrap_or_default();
    format!("{BASE}\n{own}")
}

/// The base schema and what the domain adds to it.
pub(crate) fn compile(snapshot: &Snapshot) -> Result<Schema, PolicyError> {
    let mut fragments = vec![fragment(BASE_NAME, BASE)?];
    if let Some(bytes) = snapshot.file(SCHEMA) {
        let text = std::str::from_utf8(bytes).map_err(|_| PolicyError::file(SCHEMA, Problem::NotUtf8))?;
        statements(text, Language::Schema)
            .map_err(|fault| PolicyError::at(SCHEMA, text, fault.offset, fault.problem))?;
        fragments.push(fragment(SCHEMA, text)?);
    }
    // The engine refuses whatever is declared twice, and names that take the place of the base schema's.
    Schema::from_schema_fragments(fragments)
        .map_err(|error| PolicyError::file(SCHEMA, Problem::Schema(complaint(&error).0)))
}

fn fragment(file: &str, text: &str) -> Result<SchemaFragment, PolicyError> {
    match SchemaFragment::from_cedarschema_str(text) {
        Ok((fragment, _)) => Ok(fragment),
        Err(error) => {
            let (message, offset) = complaint(&error);
            Err(PolicyError::at(file, text, offset, Problem::Schema(message)))
        }
    }
}
