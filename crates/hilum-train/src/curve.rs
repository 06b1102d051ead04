//! The learning curve as a table.

use std::fmt::Write;
use std::path::Path;

use crate::TrainError;
use crate::checkpoint::write_atomically;
use crate::loss::LossParts;
use crate::plot;

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) step: u64,
    pub(crate) elapsed_s: f64,
    pub(crate) learning_rate: f32,
    pub(crate) loss: LossParts,
}

/// All steps so far.
pub(crate) struct Curve {
    /// Names of the network's outputs.
    channels: Vec<String>,
    /// Lines of an earlier part of the run, as they were written.
    earlier: Vec<String>,
    rows: Vec<Row>,
}

impl Curve {
    /// Takes up the curve of a resumed run: rows after its checkpoint are dropped, for those steps are done again.
    pub(crate) fn open(run_dir: &Path, step: u64, channels: &[String]) -> Result<Self, TrainError> {
        let path = run_dir.join("curve.csv");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) if step > 0 => text,
            Ok(_) => String::new(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(TrainError::file(path)(error)),
        };
        let belongs =
            |line: &&str| line.split(',').next().and_then(|s| s.parse::<u64>().ok()).is_some_and(|s| s <= step);
        let earlier = text.lines().skip(1).filter(belongs).map(str::to_string).collect();
        Ok(Self { channels: channels.to_vec(), earlier, rows: Vec::new() })
    }

    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Writes `curve.csv` and `curve.png`.
    pub(crate) fn write(&mut self, run_dir: &Path) -> Result<(), TrainError> {
        let mut text = String::from("step,elapsed_s,learning_rate,loss,cross_entropy");
        self.channels.iter().for_each(|channel| write!(text, ",dice_{channel}").expect("strings grow"));
        text.push('\n');
        for line in &self.earlier {
            text.push_str(line);
            text.push('\n');
        }
        for row in &self.rows {
            write!(text, "{},{:.1},{:.3e}", row.step, row.elapsed_s, row.learning_rate).expect("strings grow");
            write!(text, ",{:.5},{:.5}", row.loss.total, row.loss.cross_entropy).expect("strings grow");
            for dice in &row.loss.dice {
                match dice.is_nan() {
                    true => text.push(','),
                    false => write!(text, ",{dice:.4}").expect("strings grow"),
                }
            }
            text.push('\n');
        }
        write_atomically(&run_dir.join("curve.csv"), text.as_bytes())?;
        write_atomically(&run_dir.join("curve.png"), &plot::learning_curve(&text))
    }
}
