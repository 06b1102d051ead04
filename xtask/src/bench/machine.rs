//! The machine that was measured on, and whether it had other work.

use anyhow::{Context, Result};

/// A machine at one moment.
pub(crate) struct Machine {
    processor: String,
    instructions: Vec<&'static str>,
    cores: usize,
    memory_gb: f64,
    /// Tasks that wanted a core, mean of the last minute.
    load: f64,
    date: String,
    commit: String,
}

impl Machine {
    pub(crate) fn now() -> Result<Self> {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").context("only Linux tells what is needed here")?;
        let field = |name: &str| {
            let line = cpu.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(": ")).map_or_else(|| "unknown".into(), |(_, value)| value.to_owned())
        };
        let flags = field("flags");
        let memory = std::fs::read_to_string("/proc/meminfo")?;
        let kib: f64 = memory.split_whitespace().nth(1).context("/proc/meminfo is empty")?.parse()?;
        let load = std::fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            processor: field("model name"),
            instructions: ["avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni"]
                .into_iter()
                .filter(|name| flags.split(' ').any(|flag| flag == *name))
                .collect(),
            cores: std::thread::available_parallelism()?.get(),
            memory_gb: kib * 1024.0 / 1e9,
            load: load.split(' ').next().context("/proc/loadavg is empty")?.parse()?,
            date: output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            commit: output("git", &["rev-parse", "--short", "HEAD"]),
        })
    }

    /// One paragraph about the measurement that follows.
    pub(crate) fn sentence(&self, rounds: usize) -> String {
        let noise = if self.load < 0.5 {
            "The machine had no other work.".to_owned()
        } else {
            format!(
                "**Preliminary:** other work was going on (load {:.1} on {} cores before the start), so the figures are \
                 noisy: ratios of processor time suffer least, wall times say little.",
                self.load, self.cores
            )
        };
        format!(
            "Measured {} at revision {} on {}, {} cores ({}), {:.0} GB. {rounds} rounds in which every contestant had one \
             turn; medians, in brackets the lowest and highest. {noise}",
            self.date,
            self.commit,
            self.processor,
            self.cores,
            self.instructions.join(", "),
            self.memory_gb
        )
    }
}

/// What a program prints, or `unknown`.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output();
    let text = output.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    text.unwrap_or_else(|| "unknown".into())
}
