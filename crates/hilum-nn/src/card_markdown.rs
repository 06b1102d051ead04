//! A model card for people: the same statements as in the TOML, as Markdown.

use std::fmt::Write;

use crate::card::ModelCard;
use crate::graph::Dims;

/// Deepest heading of Markdown.
const DEEPEST: usize = 6;

impl ModelCard {
    /// The card as Markdown, to be read beside the TOML, which stays what programs read: what the model is for, what it learned
    /// from and under which licence, how its input is prepared, what was measured, and its limits.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("strings grow");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Self { name, version, licence, intended_use, input, network, .. } = self;
        writeln!(text, "# {} {}\n", line(name), line(version))?;
        writeln!(text, "Made from `card.toml`, which is what Hilum reads.\n")?;
        writeln!(text, "**Licence**: {}\n\n**Intended use**: {}\n", line(licence), line(intended_use))?;
        writeln!(text, "**Weights**: `{}`, SHA-256 `{}`\n", self.weights.file, self.weights.sha256)?;

        writeln!(text, "## Input\n")?;
        let (low, high) = (input.window_low_hu, input.window_high_hu);
        writeln!(text, "- HU of {low} to {high} become grey values of 0 to 1; what lies beyond is cut off.")?;
        let [least, most] = input.pixel_mm_range;
        writeln!(text, "- Pixels of {} mm; it was trained to bear {least} to {most} mm.", input.pixel_mm)?;
        let [slices, rows, columns] = input.size_divisor;
        match network.dims {
            Dims::Two if network.input_channels > 1 => {
                let (channels, mm) = (network.input_channels, input.neighbour_mm);
                writeln!(text, "- A slice between its neighbours: {channels} slices about {mm} mm apart.")?;
            }
            Dims::Two => writeln!(text, "- One slice at a time.")?,
            Dims::Three => writeln!(text, "- Slabs of slices; their number is a multiple of {slices}.")?,
        }
        writeln!(text, "- Rows are a multiple of {rows}, columns of {columns}.\n")?;

        writeln!(text, "## Output\n\nProbabilities are the sigmoid of the logits.\n")?;
        writeln!(text, "| channel | meaning | threshold |\n|---|---|---|")?;
        for output in &self.outputs {
            writeln!(text, "| {} | {} | {} |", cell(&output.name), cell(&output.meaning), output.threshold)?;
        }

        writeln!(text, "\n## Network\n")?;
        let dims = if network.dims == Dims::Two { "Two" } else { "Three" };
        let channels = network.channels.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        writeln!(text, "{dims}-dimensional U-Net with {channels} channels in its stages.")?;

        writeln!(text, "\n## Data\n\n| set | licence | part |\n|---|---|---|")?;
        for data in &self.data {
            writeln!(text, "| {} | {} | {} |", cell(&data.name), cell(&data.licence), cell(&data.part))?;
        }
        if !self.training.is_empty() {
            writeln!(text, "\n## Training")?;
            table(text, 3, &self.training)?;
        }
        writeln!(text, "\n## Results")?;
        match self.results.is_empty() {
            true => writeln!(text, "\nNothing was measured yet: `hilum evaluate … --into card.toml` does.")?,
            false => table(text, 3, &self.results)?,
        }
        self.write_trust(text)?;
        writeln!(text, "\n## Limits\n")?;
        self.limits.iter().try_for_each(|limit| writeln!(text, "- {}", line(limit)))
    }

    fn write_trust(&self, text: &mut String) -> std::fmt::Result {
        if self.trust.is_some() || self.familiar.is_some() || self.int8.is_some() {
            writeln!(text, "\n## How far it can be believed\n")?;
        }
        if let Some(trust) = &self.trust {
            writeln!(
                text,
                "- The true lesion volume lay between those at thresholds {} logits higher and lower in {:.0} % of {} patients. \
                 Measured on {}.",
                trust.volume_offset_logits,
                100.0 * trust.volume_coverage,
                trust.volume_patients,
                line(&trust.measured_on)
            )?;
        }
        if let Some(familiar) = &self.familiar {
            writeln!(
                text,
                "- A scan is unlike what it learned from beyond a distance of {:.2}; the farthest patient left out lay at {:.2}. \
                 Measured on {}.",
                familiar.limit,
                familiar.largest_left_out,
                line(&familiar.measured_on)
            )?;
        }
        if let Some(int8) = &self.int8 {
            let changes = int8.dice_change.iter().map(|(name, change)| format!("{} {change:+.4}", line(name)));
            let changes = changes.collect::<Vec<_>>().join(", ");
            writeln!(
                text,
                "- 8-bit convolutions change the mean Dice: {changes}. Measured on {}.",
                line(&int8.measured_on)
            )?;
        }
        Ok(())
    }
}

/// Free keys: plain values as a list, tables of plain values as rows of one table, all others under a heading of their own.
fn table(text: &mut String, level: usize, entries: &toml::Table) -> std::fmt::Result {
    let plain: Vec<_> = entries.iter().filter(|(_, value)| !value.is_table()).collect();
    if !plain.is_empty() {
        text.push('\n');
    }
    for (key, value) in plain {
        writeln!(text, "- {}: {}", words(key), line(&shown(value)))?;
    }
    let tables = || entries.iter().filter_map(|(key, value)| Some((key, value.as_table()?)));
    let is_row = |table: &toml::Table| !table.is_empty() && table.values().all(|value| !value.is_table());
    let rows: Vec<_> = tables().filter(|(_, table)| is_row(table)).collect();
    // A column for every key, in the order they come in.
    let mut columns: Vec<&String> = Vec::new();
    for key in rows.iter().flat_map(|(_, row)| row.keys()) {
        if !columns.contains(&key) {
            columns.push(key);
        }
    }
    if !rows.is_empty() {
        let heads = columns.iter().map(|key| cell(&words(key))).collect::<Vec<_>>().join(" | ");
        writeln!(text, "\n| | {heads} |\n|---|{}", "---|".repeat(columns.len()))?;
    }
    for (key, row) in rows {
        let cells = columns.iter().map(|column| row.get(*column).map_or_else(String::new, |value| cell(&shown(value))));
        writeln!(text, "| {} | {} |", cell(&words(key)), cells.collect::<Vec<_>>().join(" | "))?;
    }
    for (key, below) in tables().filter(|(_, table)| !is_row(table)) {
        writeln!(text, "\n{} {}", "#".repeat(level.min(DEEPEST)), words(key))?;
        table(text, level + 1, below)?;
    }
    Ok(())
}

fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Float(number) => {
            let rounded = format!("{number:.4}");
            rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        toml::Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn words(key: &str) -> String {
    line(&key.replace('_', " "))
}

/// A text on one line, which cannot begin a structure of its own.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('<', "&lt;")
}

fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> ModelCard {
        ModelCard::from_toml(include_str!("../../../models/pneumonia-ct/card.toml")).unwrap()
    }

    #[test]
    fn every_statement_of_the_card_is_there() {
        let card = card();
        let text = card.to_markdown();
        let data = card.data.iter().flat_map(|data| [&data.name, &data.licence, &data.part]);
        let own = [&card.licence, &card.intended_use, &card.weights.sha256];
        for statement in own.into_iter().chain(&card.limits).chain(data).chain(card.outputs.iter().map(|o| &o.meaning))
        {
            assert!(text.contains(statement.as_str()), "{statement}\n{text}");
        }
        for part in [
            "HU of -1250 to 250",
            "Pixels of 1.4 mm",
            "| lesion | infection: ground-glass opacity or consolidation | 0.3 |",
            "- hold out: c003, c010, r40\n",
            "### covid19 ct seg 20",
            "in 93 % of 14 patients",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn free_keys_become_lists_tables_and_headings() {
        let entries = "a_b = 0.25\n[x]\ndice = 0.5\n[y]\ndice = 0.75\nsd = [0.1, 0.2]\n[z.deep]\nn = 1\n";
        let mut text = String::new();
        table(&mut text, 3, &toml::from_str(entries).unwrap()).unwrap();
        let expected = "\n- a b: 0.25\n\n| | dice | sd |\n|---|---|---|\n| x | 0.5 |  |\n| y | 0.75 | 0.1, 0.2 |\n\n### z\n\n\
                        | | n |\n|---|---|\n| deep | 1 |\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn texts_of_a_foreign_card_stay_in_their_place() {
        let mut card = card();
        card.limits = vec!["one\n# two <script>".into()];
        card.outputs[0].meaning = "a | b".into();
        let text = card.to_markdown();
        assert!(text.ends_with("- one # two &lt;script>\n"), "{text}");
        assert!(text.contains("| lung | a \\| b | 0.5 |"), "{text}");
    }
}
