//! How a run ends: the exit codes of the contract.

use std::process::ExitCode;

/// An input that Hilum will not read, with a sentence for the person who sent it.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// A request that cannot be meant, found after the arguments were parsed.
#[derive(Debug)]
pub(crate) struct WrongUsage(pub(crate) String);

impl std::fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// A path that must be there, before anything is done with it.
pub(crate) fn must_exist(path: &std::path::Path) -> anyhow::Result<()> {
    if path.exists() { Ok(()) } else { Err(WrongUsage(format!("there is no {}", path.display())).into()) }
}

/// Says what went wrong on standard error and gives the exit code: 0 done, 1 our fault, 2 wrong usage, 3 refused.
pub(crate) fn exit_code(done: anyhow::Result<()>) -> ExitCode {
    let Err(error) = done else { return ExitCode::SUCCESS };
    if let Some(refused) = error.downcast_ref::<Refused>() {
        eprintln!("Refused: {refused}");
        return ExitCode::from(3);
    }
    eprintln!("error: {error:#}");
    ExitCode::from(if error.is::<WrongUsage>() { 2 } else { 1 })
}
