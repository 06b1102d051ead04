//! House rules that a search can hold: each failure says what to do.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Which Hilum crates a crate may lean on. Arrows point down this table only.
const LAYERS: [(&str, &[&str]); 11] = [
    ("hilum-volume", &[]),
    ("hilum-imaging", &["hilum-volume"]),
    ("hilum-dicom", &["hilum-volume"]),
    ("hilum-network", &["hilum-dicom"]),
    ("hilum-nn", &[]),
    ("hilum-train", &["hilum-nn", "hilum-volume", "hilum-imaging", "hilum-dicom"]),
    ("hilum-findings", &["hilum-volume", "hilum-imaging"]),
    ("hilum-phantom", &["hilum-volume", "hilum-dicom"]),
    ("hilum-lung", &["hilum-volume", "hilum-imaging", "hilum-dicom", "hilum-nn", "hilum-findings"]),
    ("hilum-report", &["hilum-volume", "hilum-imaging", "hilum-findings"]),
    (
        "hilum",
        &[
            "hilum-volume",
            "hilum-imaging",
            "hilum-dicom",
            "hilum-network",
            "hilum-nn",
            "hilum-train",
            "hilum-findings",
            "hilum-phantom",
            "hilum-lung",
            "hilum-report",
        ],
    ),
];

/// A source file longer than this has a second noun in it.
const LINES_MAX: usize = 900;

/// Checks every rule and lists all that is broken.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut broken = Vec::new();
    let allowed: BTreeMap<_, _> = LAYERS.into_iter().collect();
    for entry in std::fs::read_dir(root.join("crates"))? {
        let folder = entry?.path();
        let name = folder.file_name().context("a crate has a name")?.to_string_lossy().into_owned();
        let Some(allowed) = allowed.get(name.as_str()) else {
            broken.push(format!(
                "crates/{name} is not in the table of layers: add it to xtask/src/tidy.rs and ARCHITECTURE.md"
            ));
            continue;
        };
        for dependency in dependencies(&std::fs::read_to_string(folder.join("Cargo.toml"))?) {
            if dependency.starts_with("hilum") && !allowed.contains(&dependency.as_str()) {
                broken.push(format!("{name} leans on {dependency}, which its layer does not allow: move the code down or pass the value in"));
            }
        }
        sources(&folder.join("src"), &mut |path, text| {
            let shown = path.strip_prefix(root).unwrap_or(path).display();
            if text.lines().count() > LINES_MAX {
                broken.push(format!(
                    "{shown} has more than {LINES_MAX} lines: look for the second noun and give it its own file"
                ));
            }
            if !text.starts_with("//!") {
                broken.push(format!("{shown} does not start with a `//!` header: say what it owns"));
            }
        })?;
    }
    if broken.is_empty() { Ok(()) } else { bail!("house rules are broken:\n- {}", broken.join("\n- ")) }
}

/// Names in `[dependencies]` of a manifest; development dependencies may reach anywhere.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if inside && let Some((name, _)) = line.split_once(['=', '.']) {
            names.push(name.trim().to_owned());
        }
    }
    names
}

fn sources(folder: &Path, visit: &mut impl FnMut(&Path, &str)) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, visit)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            visit(&path, &std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::dependencies;

    #[test]
    fn reads_only_the_dependencies_section() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nhilum-nn.workspace = true\nserde = \"1\"\n[dev-dependencies]\nhilum-train = \"1\"\n";
        assert_eq!(dependencies(manifest), ["hilum-nn", "serde"]);
    }
}
