//! `hilum demo`: a phantom chest, its report, and how near the report comes to the truth.

use anyhow::Result;
use hilum_lung::LesionNetwork;
use hilum_report::Language;

use crate::analyze::{read_and_write, summary};
use crate::arguments::{DemoArguments, PhantomArguments};
use crate::progress::Progress;
use crate::{machine, models, phantom};

pub(crate) fn run(arguments: &DemoArguments, progress: &Progress) -> Result<()> {
    let threads = machine::set_threads(None)?;
    let study = arguments.out.join("phantom");
    progress.report("making a phantom chest CT", 0.0);
    let options = PhantomArguments::standard();
    let answers = phantom::write(&study, &options)?;
    let network = LesionNetwork::new(models::load(None)?, threads)?;
    let report = arguments.out.join("report");
    let findings = read_and_write(&study, None, &report, &network, Language::English, progress)?;
    progress.say(&format!("known: {answers}"));
    progress.say(&summary(&findings, &report));
    println!("{}", report.join("report.html").display());
    Ok(())
}
