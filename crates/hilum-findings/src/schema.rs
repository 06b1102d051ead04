//! The JSON Schema of `findings.json`.

use schemars::generate::SchemaSettings;

use crate::Findings;

/// The JSON Schema (draft 2020-12) of `findings.json` as indented JSON, ending in a line feed: what `hilum schema
/// findings` prints and `docs/findings.schema.json` holds. Every field is required; values may be null where so stated.
#[must_use]
pub fn schema() -> String {
    let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Findings>();
    let mut schema = serde_json::Value::from(schema);
    // Another crate may switch on serde_json's `preserve_order`; the committed file must not depend on that.
    schema.sort_all_objects();
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}
