//! Progress on standard error: a bar on a terminal, plain lines elsewhere, JSON lines on request.

use std::io::IsTerminal;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};

use crate::arguments::OutputArguments;

/// Where progress goes. Shared by threads.
pub(crate) struct Progress {
    form: Form,
}

enum Form {
    Silent,
    Bar(ProgressBar),
    Lines(Mutex<Last>),
    Json(Mutex<Last>),
}

/// What was said last, so that lines stay few: one per stage and per tenth of it.
#[derive(Default)]
struct Last {
    stage: String,
    tenth: u32,
}

impl Progress {
    pub(crate) fn new(output: &OutputArguments) -> Self {
        let form = if output.quiet {
            Form::Silent
        } else if output.json_progress {
            Form::Json(Mutex::default())
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(1000);
            let style = ProgressStyle::with_template("{msg:36} {bar:40} {percent:>3} %  {elapsed}");
            bar.set_style(style.expect("the template is valid"));
            Form::Bar(bar)
        } else {
            Form::Lines(Mutex::default())
        };
        Self { form }
    }

    /// What went wrong with a part of the work, said even where nothing but errors is asked for.
    pub(crate) fn complain(&self, line: &str) {
        match &self.form {
            Form::Silent => eprintln!("{line}"),
            _ => self.say(line),
        }
    }

    /// Whether nothing but errors is asked for.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.form, Form::Silent)
    }

    /// `stage` has come to `fraction` (0 to 1) of its work.
    pub(crate) fn report(&self, stage: &str, fraction: f32) {
        let fraction = fraction.clamp(0.0, 1.0);
        match &self.form {
            Form::Silent => {}
            Form::Bar(bar) => {
                bar.set_message(stage.to_owned());
                bar.set_position((fraction * 1000.0) as u64);
            }
            Form::Lines(last) => {
                if changed(last, stage, fraction, 2) {
                    eprintln!("{stage}: {:.0} %", fraction * 100.0);
                }
            }
            Form::Json(last) => {
                if changed(last, stage, fraction, 10) {
                    eprintln!("{}", serde_json::json!({ "stage": stage, "fraction": fraction }));
                }
            }
        }
    }

    /// As [`Progress::report`], with a detail that changes often and is shown on a bar only.
    pub(crate) fn report_within(&self, stage: &str, detail: &str, fraction: f32) {
        match &self.form {
            Form::Bar(_) => self.report(&format!("{stage}: {detail}"), fraction),
            _ => self.report(stage, fraction),
        }
    }

    /// A line for people, above any bar.
    pub(crate) fn say(&self, line: &str) {
        match &self.form {
            Form::Silent => {}
            Form::Bar(bar) => bar.println(line),
            Form::Lines(_) => eprintln!("{line}"),
            Form::Json(_) => eprintln!("{}", serde_json::json!({ "message": line })),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

/// Whether `stage` is new or has passed another of `parts` equal parts.
fn changed(last: &Mutex<Last>, stage: &str, fraction: f32, parts: u32) -> bool {
    let mut last = last.lock().expect("progress never panics while it holds the lock");
    let part = (fraction * parts as f32) as u32;
    let new = last.stage != stage || part > last.tenth;
    if new {
        *last = Last { stage: stage.to_owned(), tenth: part };
    }
    new
}
