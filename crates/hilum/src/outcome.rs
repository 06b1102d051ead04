//! How a run ends: the exit codes of the contract.

use std::process::ExitCode;

use hilum_nn::CardError;
use hilum_train::TrainError;

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
    ExitCode::from(error.chain().find_map(known).unwrap_or(1))
}

/// The exit code of what is not our fault.
fn known(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    if cause.is::<WrongUsage>() {
        return Some(2);
    }
    if cause.is::<CardError>() {
        return Some(3);
    }
    match cause.downcast_ref::<TrainError>()? {
        TrainError::Device { .. }
        | TrainError::Config(_)
        | TrainError::Leakage(_)
        | TrainError::Unassigned(_)
        | TrainError::NoCases(_)
        | TrainError::Checkpoint { .. } => Some(2),
        TrainError::File { reason, .. } if [NotFound, NotADirectory, PermissionDenied].contains(&reason.kind()) => {
            Some(2)
        }
        TrainError::Data { .. } | TrainError::Card(_) | TrainError::Weights(_) => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn what_is_wrong_with_the_request_or_the_data_is_no_fault_of_ours() {
        let code = |error: anyhow::Error| error.chain().find_map(known);
        assert_eq!(code(TrainError::Unassigned("d".into()).into()), Some(2));
        let data = TrainError::Data { path: "a.nii".into(), reason: "cut short".into() };
        assert_eq!(code(Err::<(), _>(data).context("while reading").unwrap_err()), Some(3));
        assert_eq!(code(Err::<(), _>(WrongUsage("no".into())).context("asked for").unwrap_err()), Some(2));
        assert_eq!(code(TrainError::Diverged(7).into()), None);
    }
}
