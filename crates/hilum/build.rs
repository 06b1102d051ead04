//! Tells the program which revision of its source it was built from.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=../../.git/HEAD");
    println!("cargo:rerun-if-changed=../../.git/refs/heads");
    let revision = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    if let Some(revision) = revision.ok().filter(|o| o.status.success()).and_then(|o| String::from_utf8(o.stdout).ok())
    {
        println!("cargo:rustc-env=HILUM_COMMIT={}", revision.trim());
    }
}
