//! The layout of `findings.json`: the committed schema.

use std::path::Path;

#[test]
fn committed_schema_is_the_one_in_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings.schema.json");
    let schema = hilum_findings::schema();
    if std::env::var_os("HILUM_UPDATE").is_some() {
        std::fs::write(&path, &schema).expect("docs/findings.schema.json is written");
    }
    let committed = std::fs::read_to_string(&path).expect("docs/findings.schema.json is committed");
    assert!(committed == schema, "docs/findings.schema.json is out of date: run this test with HILUM_UPDATE=1");
}
