//! The engine's tests where something special is needed: a sanitizer, another processor. Not part of `test`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{cargo_path, run, target};

/// Unit and integration tests of the crate with all `unsafe` code; each in a target folder of its own.
fn engine_tests(root: &Path, name: &str, triple: &str) -> Command {
    let mut command = Command::new(cargo_path());
    command.args(["test", "-p", "hilum-nn", "--lib", "--tests", "--target", triple]);
    command.env("CARGO_TARGET_DIR", target(root).join(name)).current_dir(root);
    command
}

/// AddressSanitizer comes with every toolchain, but its flag counts as unstable.
pub(crate) fn sanitize(root: &Path) -> Result<()> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut tests = engine_tests(root, "sanitize", &triple);
    run(tests.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address"))
}

pub(crate) fn arm(root: &Path) -> Result<()> {
    let mut tests = engine_tests(root, "arm", "aarch64-unknown-linux-gnu");
    run(tests
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu"))
}
