//! `cargo xtask transfer`: what starting from another model is worth, by the number of cases.
//!
//! One network learns lungs and lesions on COVID-19-CT-Seg and MedSeg. On COVID-SemiSeg, which it has never seen and which tells
//! ground-glass from consolidation, networks then learn from 5, 10, 25 and 40 pictures, each once from that network and
//! once from scratch, everything else alike; ten other pictures are held out. The set does not say which pictures are of
//! one patient.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::{built_hilum, data, run};

/// How long to learn.
#[derive(Args)]
pub(crate) struct TransferArguments {
    /// Steps of the network that is started from
    #[arg(long, default_value_t = 1600, value_name = "N")]
    first_steps: u64,
    /// Steps on the pictures
    #[arg(long, default_value_t = 400, value_name = "N")]
    steps: u64,
    /// Runs of each, with other random numbers
    #[arg(long, default_value_t = 3, value_name = "N")]
    seeds: u64,
    /// Processor cores of a training; all that there are unless said
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Run folders; what is there is not learned again
    #[arg(long, default_value = "target/transfer", value_name = "DIR")]
    out: PathBuf,
}

const CASES: [usize; 4] = [5, 10, 25, 40];
const CHANNELS: [&str; 2] = ["lesion", "consolidation"];

pub(crate) fn transfer(root: &Path, arguments: &TransferArguments) -> Result<()> {
    let (hilum, data) = (built_hilum(root)?, data(root));
    let out = root.join(&arguments.out);
    std::fs::create_dir_all(&out)?;
    let train = |name: &str, config: &str| -> Result<PathBuf> {
        let (path, folder) = (out.join(format!("{name}.toml")), out.join(name));
        std::fs::write(&path, config)?;
        let mut command = Command::new(&hilum);
        command.arg("train").arg(&path).arg("--out").arg(&folder).arg("--cache").arg(out.join("cache"));
        command.args(arguments.threads.map(|threads| format!("--threads={threads}")));
        run(command.env("HILUM_DATA", &data))?;
        Ok(folder.join("card.toml"))
    };
    let first = train("first", &first_config(root, arguments.first_steps)?)?;

    let pictures = pictures(&data.join("covid-semiseg-50"))?;
    let (held_out, learned) = pictures.split_at(10);
    let mut results = Vec::new();
    for cases in CASES {
        for start in [None, Some(first.as_path())] {
            let mut dice = [Vec::new(), Vec::new()];
            for seed in 0..arguments.seeds {
                let how = if start.is_some() { "carried" } else { "scratch" };
                let name = format!("{how}-{cases}-{seed}");
                let sides = [&learned[..cases], held_out, &learned[cases..]];
                let card = train(&name, &second_config(root, arguments.steps, seed, sides, start)?)?;
                let json = out.join(format!("{name}.json"));
                let mut command = Command::new(&hilum);
                command.arg("evaluate").arg(data.join("covid-semiseg-50")).arg("--model").arg(&card);
                command.arg("--split").arg(out.join(format!("{name}.toml"))).arg("--out").arg(&json).arg("--mirror");
                run(&mut command)?;
                let evaluation: Value = serde_json::from_str(&std::fs::read_to_string(&json)?)?;
                for (channel, dice) in CHANNELS.iter().zip(&mut dice) {
                    dice.push(mean_slice_dice(&evaluation, channel).with_context(|| format!("{name}: no {channel}"))?);
                }
            }
            results.push((cases, start.is_some(), dice));
        }
    }
    std::fs::write(root.join("docs/pictures/transfer.svg"), plot(&results))?;
    std::fs::write(root.join("docs/transfer.md"), page(&results, arguments))?;
    Ok(())
}

/// Names of the pictures in a fixed order that mixes them.
fn pictures(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder.join("Imgs")).context("COVID-SemiSeg is not among the data")? {
        names.extend(file?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    // A multiplicative hash (Knuth) of the number, so that neighbours in the set, often of one patient, are not neighbours here.
    names.sort_by_key(|name| name.parse::<u32>().map_or(0, |n| (n + 1).wrapping_mul(2_654_435_761)));
    Ok(names)
}

/// A configuration from `[section]` on, until the next of `until`.
fn part<'a>(text: &'a str, section: &str, until: &str) -> Result<&'a str> {
    let from = text.find(section).with_context(|| format!("no {section} in the recipe"))?;
    let to = text[from..].find(until).with_context(|| format!("no {until} in the recipe"))?;
    Ok(&text[from..from + to])
}

/// What the network of MiniSeg's size learns by a committed recipe, from other data.
fn config(root: &Path, recipe: &str, seed: u64, steps: u64, data: &str, split: &str) -> Result<String> {
    let small = std::fs::read_to_string(root.join("benches/recipes/miniseg-size.toml"))?;
    let recipe = std::fs::read_to_string(root.join(recipe))?;
    let network = part(&small, "[network]", "[schedule]")?;
    let how = part(&recipe, "[schedule]", "[[data]]")?;
    let steps_of =
        |line: &str| if line.starts_with("max_steps") { format!("max_steps = {steps}") } else { line.into() };
    let how = how.lines().map(steps_of).collect::<Vec<String>>().join("\n");
    let card = part(&recipe, "[card]", "[[card.data]]")?;
    Ok(format!(
        "name = \"transfer\"\nversion = \"0\"\nseed = {seed}\n\n{network}{how}\n{data}\n{split}\n{card}\
         [[card.data]]\nname = \"see the split\"\nlicence = \"non-commercial\"\npart = \"the training side\"\n"
    ))
}

fn first_config(root: &Path, steps: u64) -> Result<String> {
    let data = "[[data]]\nlayout = \"covid19-ct-seg\"\nfolder = \"covid19-ct-seg-20\"\nupside_down = [\"radiopaedia_*\"]\nweight = 0.65\n\n\
                [[data]]\nlayout = \"nifti-pairs\"\nfolder = \"medseg-9\"\nprefix = \"medseg-\"\nupside_down = [\"*\"]\nweight = 0.35\nlesion_share = 0.55\n";
    let split = "[split]\ntrain = [\"c*\", \"r*\", \"medseg-*\"]\n";
    config(root, "benches/recipes/miniseg-size.toml", 1, steps, data, split)
}

fn second_config(
    root: &Path,
    steps: u64,
    seed: u64,
    [learned, held_out, unused]: [&[String]; 3],
    start: Option<&Path>,
) -> Result<String> {
    let data = "[[data]]\nlayout = \"covid-semi-seg\"\nfolder = \"covid-semiseg-50\"\nweight = 1.0\n";
    // Pictures that are not used stand on a side of their own, which nothing looks at.
    let mut split = format!("[split]\ntrain = {learned:?}\nhold_out = {held_out:?}\nvalidation = {unused:?}\n");
    if let Some(start) = start {
        write!(split, "\n[start]\nfrom = {:?}\n", start.display().to_string())?;
    }
    let recipe = config(root, "models/pneumonia-ct/kinds.toml", seed, steps, data, &split)?;
    // After few steps from few pictures nothing is consolidated as surely as that.
    Ok(recipe.replace("threshold = 0.75", "threshold = 0.2"))
}

fn mean_slice_dice(evaluation: &Value, channel: &str) -> Option<f64> {
    let summary = evaluation["summary"].as_array()?.iter().find(|entry| entry["channel"] == channel)?;
    summary["slice_dice"]["mean"].as_f64()
}

/// Number of cases, whether carried over, Dice of each channel by seed.
type Results = [(usize, bool, [Vec<f64>; 2])];

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn page(results: &Results, arguments: &TransferArguments) -> String {
    let mut text = format!(
        "# What starting from another model is worth\n\n\
         Written by `cargo xtask transfer`. A network of MiniSeg's size (0.09 million parameters) learned lungs and lesions on COVID-19-CT-Seg and MedSeg ({} steps); on \
         COVID-SemiSeg, which it had never seen and which tells ground-glass from consolidation, networks learned from that one and from \
         scratch ({} steps each by the recipe of [kinds.toml](../models/pneumonia-ct/kinds.toml), everything else alike, seeds: {}). Mean Dice \
         over those of ten held-out pictures that show the structure in truth or prediction, mirror image averaged, from a \
         probability of .35 (lesion) and .2 (consolidation) on; range over seeds in brackets. The set does not say which pictures are of one patient, and ten pictures are few: differences of some hundredths \
         mean nothing.\n\n![Dice by number of cases](pictures/transfer.svg)\n\n\
         | pictures | lesion, from scratch | lesion, carried over | consolidation, from scratch | consolidation, carried over |\n\
         |---|---|---|---|---|\n",
        arguments.first_steps, arguments.steps, arguments.seeds
    );
    for cases in CASES {
        let cell = |carried: bool, channel: usize| {
            let found = results.iter().find(|(n, c, _)| *n == cases && *c == carried).expect("every pair was run");
            let values = &found.2[channel];
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            format!("{:.3} ({low:.3} to {high:.3})", mean(values))
        };
        let cells = [(false, 0), (true, 0), (false, 1), (true, 1)].map(|(carried, channel)| cell(carried, channel));
        writeln!(text, "| {cases} | {} |", cells.join(" | ")).expect("strings grow");
    }
    text
}

/// A line per channel and start over the number of cases (logarithmic).
fn plot(results: &Results) -> String {
    let x = |cases: usize| 60.0 + 480.0 * (cases as f64 / 5.0).ln() / 8.0_f64.ln();
    let y = |dice: f64| 300.0 - 260.0 * dice;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 350\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"720\" height=\"350\" fill=\"white\"/>\n",
    );
    for tenth in [0, 2, 4, 6, 8, 10] {
        let (dice, at) = (f64::from(tenth) / 10.0, y(f64::from(tenth) / 10.0));
        writeln!(svg, "<path d=\"M60 {at}H540\" stroke=\"#ddd\"/><text x=\"30\" y=\"{}\">{dice:.1}</text>", at + 4.0)
            .expect("strings grow");
    }
    for cases in CASES {
        writeln!(svg, "<text x=\"{}\" y=\"320\" text-anchor=\"middle\">{cases}</text>", x(cases))
            .expect("strings grow");
    }
    svg.push_str("<text x=\"300\" y=\"342\" text-anchor=\"middle\">pictures learned from</text><text x=\"12\" y=\"22\">Dice</text>\n");
    for (channel, name) in CHANNELS.iter().enumerate() {
        for carried in [false, true] {
            let colour = ["#0072b2", "#d55e00"][channel];
            let dash = if carried { "" } else { " stroke-dasharray=\"6 4\"" };
            let of: Vec<_> = results.iter().filter(|(_, c, _)| *c == carried).collect();
            let points: Vec<String> =
                of.iter().map(|(n, _, d)| format!("{:.1},{:.1}", x(*n), y(mean(&d[channel])))).collect();
            writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>",
                points.join(" ")
            )
            .expect("strings grow");
            for (cases, _, dice) in &of {
                for value in &dice[channel] {
                    writeln!(
                        svg,
                        "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"{colour}\"/>",
                        x(*cases),
                        y(*value)
                    )
                    .expect("strings grow");
                }
            }
            let last = of.last().map_or(0.0, |(_, _, d)| mean(&d[channel]));
            let how = if carried { "carried over" } else { "from scratch" };
            writeln!(svg, "<text x=\"548\" y=\"{:.1}\" fill=\"{colour}\">{name}, {how}</text>", y(last) + 4.0)
                .expect("strings grow");
        }
    }
    svg.push_str("</svg>\n");
    svg
}
