//! What was measured, as the section `results` of a model's card.

use toml::{Table, Value};

use crate::evaluate::{ChannelSummary, Evaluation};
use crate::metrics::MeanSd;
use crate::subgroups::key;

impl Evaluation {
    /// The evaluation for [`ModelCard::results`](hilum_nn::ModelCard::results): the key it belongs under, which is the data set's name,
    /// and what stands there. Only what people look for in a card; the rest is in the evaluation itself.
    #[must_use]
    pub fn card_results(&self) -> (String, Table) {
        let mut results = Table::new();
        results.insert("weights_sha256".into(), self.sha256.clone().into());
        results.insert("patients".into(), integer(self.patients.len()));
        results.insert("protocol".into(), self.protocol.join(" ").into());
        for summary in &self.summary {
            let mut channel = channel(summary);
            let of_patients = self.patients.iter().filter_map(|patient| {
                let result = patient.channels.iter().find(|result| result.channel == summary.channel)?;
                Some((patient.patient.clone(), number(result.dice)))
            });
            channel.insert("dice_of_patient".into(), Value::Table(of_patients.collect()));
            results.insert(key(&summary.channel), channel.into());
        }
        if let Some(detection) = &self.slice_detection {
            let mut slices = Table::new();
            slices.insert("with_lesion".into(), integer(detection.positive));
            slices.insert("without_lesion".into(), integer(detection.negative));
            slices.insert("auc".into(), number(detection.auc));
            insert_interval(&mut slices, "auc_95", detection.auc_95);
            results.insert("slices".into(), slices.into());
        }
        let mut subgroups = Table::new();
        for group in &self.subgroups {
            let mut own = Table::new();
            own.insert("meaning".into(), group.meaning.clone().into());
            own.insert("patients".into(), integer(group.patients));
            own.extend(group.summary.iter().map(|summary| (key(&summary.channel), channel(summary).into())));
            subgroups.insert(group.name.clone(), own.into());
        }
        if !subgroups.is_empty() {
            results.insert("subgroups".into(), subgroups.into());
        }
        (key(&self.data_set), results)
    }
}

fn channel(summary: &ChannelSummary) -> Table {
    let mut table = Table::new();
    if let Some(MeanSd { count, .. }) = summary.dice {
        table.insert("patients".into(), integer(count));
    }
    let ChannelSummary { dice, slice_dice, sensitivity, precision, volume_error, surface_dice, hd95_mm, .. } = summary;
    for (name, value) in [
        ("dice", dice),
        ("slice_dice", slice_dice),
        ("sensitivity", sensitivity),
        ("precision", precision),
        ("volume_error", volume_error),
        ("surface_dice", surface_dice),
        ("hd95_mm", hd95_mm),
    ] {
        if let Some(MeanSd { mean, .. }) = value {
            table.insert(format!("{name}_mean"), number(*mean));
        }
    }
    if let Some(MeanSd { sd, count: 2.., .. }) = dice {
        table.insert("dice_sd".into(), number(*sd));
    }
    insert_interval(&mut table, "dice_95", summary.dice_95);
    table
}

fn insert_interval(table: &mut Table, name: &str, interval: Option<[f64; 2]>) {
    if let Some(interval) = interval {
        table.insert(name.into(), Value::Array(interval.map(number).to_vec()));
    }
}

fn integer(count: usize) -> Value {
    Value::Integer(count as i64)
}

/// To four digits behind the point: more than any of these numbers can be believed to.
fn number(value: f64) -> Value {
    Value::Float((value * 1e4).round() / 1e4)
}
