//! A Python of our own below the target folder, with packages from PyPI: for peers and checks, never for the product.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// A virtual environment.
pub(crate) struct Python {
    folder: PathBuf,
}

impl Python {
    /// Makes the environment `name` with these packages, or takes the one that is there with exactly them.
    pub(crate) fn with(target: &Path, name: &str, packages: &[&str]) -> Result<Self> {
        let folder = target.join("python").join(name);
        let (list, wanted) = (folder.join("hilum-packages.txt"), packages.join("\n"));
        if std::fs::read_to_string(&list).is_ok_and(|there| there == wanted) {
            return Ok(Self { folder });
        }
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        crate::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .context("python3 with its module venv is needed")?;
        let python = Self { folder };
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        crate::run(python.command().args(pip).args(packages)).context("the packages could not be installed")?;
        std::fs::write(list, wanted)?;
        Ok(python)
    }

    /// Its interpreter.
    pub(crate) fn command(&self) -> Command {
        Command::new(self.folder.join("bin/python"))
    }

    /// The library inside the package `onnxruntime`.
    pub(crate) fn onnxruntime_library(&self) -> Result<PathBuf> {
        for version in std::fs::read_dir(self.folder.join("lib"))? {
            let Ok(files) = std::fs::read_dir(version?.path().join("site-packages/onnxruntime/capi")) else { continue };
            for file in files {
                let path = file?.path();
                if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.")) {
                    return Ok(path);
                }
            }
        }
        anyhow::bail!("{} holds no library of ONNX Runtime", self.folder.display())
    }
}
