//! One line in, one line out.

use std::io::{BufRead, Write};

/// Answers every line on standard input until it ends: `ok ...` with what `answer` gives, or `error ...`.
///
/// # Errors
/// If standard input or output is gone.
pub fn serve(mut answer: impl FnMut(&[&str]) -> anyhow::Result<String>) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match answer(&line.split_whitespace().collect::<Vec<_>>()) {
            Ok(value) => writeln!(output, "ok {value}")?,
            Err(error) => writeln!(output, "error {}", format!("{error:#}").replace('\n', " "))?,
        }
        output.flush()?;
    }
    Ok(())
}
