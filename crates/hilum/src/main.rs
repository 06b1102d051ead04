//! The Hilum command line: arguments in, exit code out. It holds no logic of its own.

mod analyze;
mod arguments;
mod demo;
mod device;
mod dicom;
mod dicom_deidentify;
mod dicom_results;
mod doctor;
mod evaluate;
mod machine;
mod models;
mod models_calibrate;
mod outcome;
mod output;
mod phantom;
mod prior;
mod progress;
mod schema;
mod train;
mod whole_scans;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

/// Training and analysis make and drop arrays of many megabytes. The system's allocator hands each of them back to the kernel,
/// which has to clear the pages again for the next: a quarter of the time of a training step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let progress = progress::Progress::new(&arguments.output);
    let done = match &arguments.command {
        Command::Analyze(a) => analyze::run(a, &progress),
        Command::Demo(a) => demo::run(a, &progress),
        Command::Phantom(a) => phantom::run(a, &progress),
        Command::Train(a) => train::run(a, &progress),
        Command::Evaluate(a) => evaluate::run(a, &progress),
        Command::Models(a) => models::run(a, &progress),
        Command::Dicom(a) => dicom::run(a, &progress),
        Command::Schema(a) => schema::run(a),
        Command::Doctor(a) => doctor::run(a),
        Command::DecodeWorker => machine::decode_worker(),
    };
    outcome::exit_code(done)
}
