//! A process that answers one line for each line, and the processor time it takes for it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

/// A contestant that waits for its turn.
pub(crate) struct Contestant {
    pub(crate) name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// One turn.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// By the contestant's own clock.
    pub(crate) wall_s: f64,
    /// Of all its threads, by the kernel's count: what the work cost, whoever else used the machine.
    pub(crate) cpu_s: f64,
    /// What else it answered, to compare results.
    pub(crate) rest: Vec<f64>,
}

impl Contestant {
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} could not be started: {command:?}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("the output is piped")?);
        Ok(Self { name: name.to_owned(), child, input, output })
    }

    /// Sends a line and gives the words of the answer.
    pub(crate) fn ask(&mut self, line: &str) -> Result<Vec<String>> {
        let input = self.input.as_mut().context("the input is piped")?;
        writeln!(input, "{line}").with_context(|| format!("{} has ended", self.name))?;
        input.flush()?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        match answer.trim_end().split_once(' ').unwrap_or((answer.trim_end(), "")) {
            ("ok", words) => Ok(words.split_whitespace().map(str::to_owned).collect()),
            ("error", why) => bail!("{}: {why}", self.name),
            _ => bail!("{} has ended, or answered `{}`", self.name, answer.trim_end()),
        }
    }

    /// Gives it a turn: the first word of its answer is seconds.
    pub(crate) fn turn(&mut self, line: &str) -> Result<Turn> {
        let before = self.cpu_s()?;
        let words = self.ask(line)?;
        let cpu_s = self.cpu_s()? - before;
        let mut numbers = words.iter().map(|word| word.parse::<f64>()).collect::<Result<Vec<_>, _>>()?;
        if numbers.is_empty() {
            bail!("{} answered without a time", self.name);
        }
        let wall_s = numbers.remove(0);
        Ok(Turn { wall_s, cpu_s, rest: numbers })
    }

    /// Seconds its living threads have run so far (proc(5), `schedstat`).
    fn cpu_s(&self) -> Result<f64> {
        let mut nanoseconds = 0_u64;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end between being listed and being read.
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
            nanoseconds += text.split_whitespace().next().context("schedstat is empty")?.parse::<u64>()?;
        }
        Ok(nanoseconds as f64 / 1e9)
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        self.input = None; // at the end of its input it leaves
        let _ = self.child.wait();
    }
}
