//! The layout of `findings.json`: the committed schema and its description in words.
//!
//! Both are made from the code; `HILUM_UPDATE=1 cargo test -p hilum-findings` writes them anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use hilum_findings::{definitions, schema};
use serde_json::Value;

/// The fields of the contract that products and readers rely on. Fields may be added, never renamed or dropped.
const CONTRACT: &str = "
    schema_version product created software.name software.version software.commit
    models[].name models[].version models[].sha256 models[].card
    series.study_uid series.series_uid series.modality series.description series.slices series.spacing_mm
    series.orientation series.notes[].code series.notes[].severity series.notes[].text
    anatomy.lung_volume_ml.total anatomy.lung_volume_ml.right anatomy.lung_volume_ml.left
    anatomy.lobes[].name anatomy.lobes[].volume_ml anatomy.lobes[].mean_hu
    lesions.total_ml lesions.ground_glass_ml lesions.consolidation_ml lesions.percent_of_lung
    lesions.percent_high_opacity lesions.count
    lesions.components[].id lesions.components[].volume_ml lesions.components[].lobe lesions.components[].mean_hu
    lesions.components[].kind lesions.components[].centroid_lps_mm lesions.components[].slice_range
    lesions.lobes[].name lesions.lobes[].percent lesions.lobes[].percent_high_opacity lesions.lobes[].score_0_5
    lesions.lobes[].lss_0_4 lesions.lobes[].lhos_0_4
    lesions.slices[].index lesions.slices[].lesion_ml lesions.slices[].probability
    scores.ctss_0_25 scores.lss_0_20 scores.lhos_0_20 scores.severity_ct_0_4 scores.co_rads.grade
    scores.co_rads.reasons
    classification.probabilities.normal classification.probabilities.pneumonia_covid
    classification.probabilities.pneumonia_other classification.decision classification.calibrated
    hu_histogram.lung hu_histogram.lesion hu_histogram.bin_width_hu
    quality.usable quality.out_of_distribution.score quality.out_of_distribution.flag quality.reasons
    triage.priority triage.reason
    timings_s.load timings_s.lungs timings_s.lobes timings_s.lesions timings_s.classify timings_s.measure
    timings_s.report timings_s.total peak_memory_mb
";

#[test]
fn committed_schema_is_the_one_in_code() {
    check_or_update(&docs("findings.schema.json"), &schema());
}

#[test]
fn every_field_of_the_contract_is_there_and_required() {
    let fields = fields();
    for path in CONTRACT.split_whitespace() {
        let field = fields.iter().find(|field| field.path == path);
        assert!(field.is_some_and(|field| field.required), "{path} is missing or not required");
    }
    for field in &fields {
        assert!(field.required, "{} is not required", field.path);
        assert!(!field.text.is_empty(), "{} is not described", field.path);
    }
}

#[test]
fn definitions_speak_of_fields_that_exist() {
    let fields = fields();
    for definition in definitions() {
        let exists = fields.iter().any(|field| field.path == definition.field);
        assert!(exists, "{} is no field", definition.field);
        assert!(definition.source.is_some() || definition.assumption, "{} has no source", definition.name);
    }
}

#[test]
fn fields_are_described_in_words() {
    let path = docs("findings.md");
    let text = std::fs::read_to_string(&path).expect("docs/findings.md is committed");
    let mut table = String::from("| field | type | meaning |\n|---|---|---|\n");
    for field in fields() {
        writeln!(table, "| `{}` | {} | {} |", field.path, field.kind, field.text).unwrap();
    }
    let mut meanings = String::from("| field | name | definition | source |\n|---|---|---|---|\n");
    for definition in definitions() {
        let source = definition.source.as_deref().unwrap_or("none");
        let mark = if definition.assumption { " (in part an assumption)" } else { "" };
        let (field, name, text) = (&definition.field, &definition.name, &definition.text);
        writeln!(meanings, "| `{field}` | {name} | {text} | {source}{mark} |").unwrap();
    }
    let text = replaced(&replaced(&text, "fields", &table), "definitions", &meanings);
    check_or_update(&path, &text);
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn check_or_update(path: &Path, expected: &str) {
    if std::env::var_os("HILUM_UPDATE").is_some() {
        std::fs::write(path, expected).expect("the file is written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let name = path.file_name().unwrap_or_default().display();
    assert!(committed == expected, "docs/{name} is out of date: run HILUM_UPDATE=1 cargo test -p hilum-findings");
}

/// `text` with what stands between the two comments of that name replaced.
fn replaced(text: &str, name: &str, by: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&open).expect("the opening comment");
    let (_, after) = rest.split_once(&close).expect("the closing comment");
    format!("{before}{open}{by}{close}{after}")
}

struct Field {
    path: String,
    kind: String,
    text: String,
    required: bool,
}

/// Every field of the schema, depth first, in the order of the code.
fn fields() -> Vec<Field> {
    let schema: Value = serde_json::from_str(&schema()).expect("the schema is JSON");
    let mut fields = Vec::new();
    collect(&schema, &schema, "", &mut fields);
    fields
}

fn collect(root: &Value, object: &Value, path: &str, fields: &mut Vec<Field>) {
    let Some(properties) = object["properties"].as_object() else { return };
    let required = object["required"].as_array();
    for (name, property) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let (inner, or_null) = resolved(root, property);
        let is_list = inner["items"].is_object() && inner["maxItems"].is_null();
        let (element, _) = resolved(root, &inner["items"]);
        let kind = if is_list { format!("list of {}", kind(element)) } else { kind(inner) };
        let text = property["description"].as_str().or(inner["description"].as_str()).unwrap_or_default();
        fields.push(Field {
            path: path.clone(),
            kind: if or_null { format!("{kind} or null") } else { kind },
            text: text.replace('\n', " ").replace('|', "\\|"),
            required: required.is_some_and(|names| names.iter().any(|n| n == name.as_str())),
        });
        if is_list {
            collect(root, element, &format!("{path}[]"), fields);
        } else {
            collect(root, inner, &path, fields);
        }
    }
}

/// The schema behind a reference, and whether null is allowed beside it.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> (&'a Value, bool) {
    if let Some(options) = schema["anyOf"].as_array() {
        return (resolved(root, &options[0]).0, true);
    }
    let nullable = schema["type"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "null"));
    match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
        Some(name) => (&root["$defs"][name], nullable),
        None => (schema, nullable),
    }
}

fn kind(schema: &Value) -> String {
    let named = |kind: &Value| kind.as_str().unwrap_or("choice").to_owned();
    if let Some(choices) = schema["oneOf"].as_array() {
        let names: Vec<String> = choices.iter().map(|choice| format!("`{}`", named(&choice["const"]))).collect();
        return names.join(", ");
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => named(&kinds[0]),
        kind => named(kind),
    };
    match schema["maxItems"].as_u64() {
        Some(count) if schema["items"]["maxItems"].is_u64() => format!("{count} × {}", self::kind(&schema["items"])),
        Some(count) => format!("{count} {}s", self::kind(&schema["items"])),
        None => kind,
    }
}
