//! `hilum demo`: a phantom chest, its report, and how near the report comes to the truth.

use anyhow::Result;
use hilum_lung::LesionNetwork;
use hilum_phantom::PhantomOptions;
use hilum_report::Language;

use crate::analyze::{Job, read_and_write, summary};
use crate::arguments::DemoArguments;
use crate::dicom_results::ResultArguments;
use crate::progress::Progress;
use crate::{machine, models, phantom};

pub(crate) fn run(arguments: &DemoArguments, progress: &Progress) -> Result<()> {
    let threads = machine::set_threads(None)?;
    let study = arguments.out.join("phantom");
    progress.report("making a phantom chest CT", 0.0);
    let written = phantom::write(&study, &PhantomOptions::default())?;
    let network = LesionNetwork::new(models::load_and_say(None, progress)?, threads)?;
    let report = arguments.out.join("report");
    let job = Job {
        input: &study.join("series"),
        series_uid: None,
        priors: &[],
        other_patient_id: false,
        out: &report,
        language: Language::English,
        results: &ResultArguments::default(),
    };
    let findings = read_and_write(&job, &network, progress)?;
    if let Some(truth) = written.answers {
        let found = &findings.anatomy.lung_volume_ml.total;
        progress.say(&format!(
            "known   lungs {:.0} ml, opacity {:.1} % of the lung ({:.1} ml)\nfound   lungs {:.0} ml",
            truth.lung_volume_ml.total,
            truth.percent_of_lung,
            truth.lesion_ml,
            found.unwrap_or(f64::NAN),
        ));
    }
    progress.say(&summary(&findings, &report));
    println!("{}", report.join("report.html").display());
    Ok(())
}
