//! The page `docs/performance.md`: what a run measured takes the place of what stood there for the same section.

use std::path::Path;

use anyhow::{Context, Result};

/// Puts the text of a section between its two marks.
pub(crate) fn put(page: &Path, section: &str, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(page).with_context(|| format!("{} is missing", page.display()))?;
    let new = with(&old, section, text).with_context(|| format!("{} has no marks for {section}", page.display()))?;
    Ok(std::fs::write(page, new)?)
}

fn with(page: &str, section: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {section}: begin -->"), format!("<!-- {section}: end -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::with;

    #[test]
    fn only_the_section_changes() {
        let page = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n<!-- y: begin -->\n<!-- y: end -->\n";
        let new = with(page, "x", "new").unwrap();
        assert_eq!(new, "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n<!-- y: begin -->\n<!-- y: end -->\n");
        assert_eq!(with(&new, "x", "new").unwrap(), new);
        assert_eq!(with(page, "z", "new"), None);
    }
}
