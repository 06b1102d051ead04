//! The ROC of what `unusual` printed.

use std::fmt::Write;

use anyhow::{Context, Result};

/// One line of the table.
struct Line {
    /// Whether results are no longer to be trusted.
    spoilt: bool,
    /// Infinite where the scan was refused.
    score: f64,
    /// By a severe note, or refusal.
    severe: bool,
    /// By a warning on the images at least.
    any: bool,
}

/// An SVG of the ROC and its figures in words, from the lines that `unusual` printed.
///
/// # Errors
/// If a line has not the fields that are printed, or all scans are of one kind.
pub fn roc(table: &str) -> Result<(String, String)> {
    let lines = table.lines().map(line).collect::<Result<Vec<_>>>()?;
    let (spoilt, good): (Vec<&Line>, Vec<&Line>) = lines.iter().partition(|line| line.spoilt);
    anyhow::ensure!(!spoilt.is_empty() && !good.is_empty(), "spoilt scans and good ones are needed");
    let analysed: Vec<&Line> = spoilt.iter().copied().filter(|line| line.score.is_finite()).collect();
    let share =
        |of: &[&Line], told: fn(&Line) -> bool| of.iter().filter(|line| told(line)).count() as f64 / of.len() as f64;
    let severe = [&good, &spoilt].map(|of| share(of, |line| line.severe));
    let any = [&good, &spoilt].map(|of| share(of, |line| line.any));
    let limit = [&good, &analysed].map(|of| share(of, |line| line.score > 1.0));
    let mut words = format!(
        "{} spoilt scans, {} of them analysed, and {} good ones\n\
         area of the score: {:.3}; with refusals as the highest score: {:.3}\n",
        spoilt.len(),
        analysed.len(),
        good.len(),
        area(&good, &analysed),
        area(&good, &spoilt)
    );
    for (name, [good, spoilt]) in [("severe, or refused", severe), ("by anything", any), ("score above 1", limit)] {
        writeln!(words, "{name}: {spoilt:.2} of the spoilt, {good:.2} of the good")?;
    }
    Ok((svg(&good, &spoilt, severe, any), words))
}

fn line(text: &str) -> Result<Line> {
    let fields: Vec<&str> = text.split('\t').collect();
    let [_, _, trusted, score, codes, _] = fields[..] else { anyhow::bail!("`{text}` has not six fields") };
    let refused = codes.starts_with("refused");
    let score = match refused {
        true => f64::INFINITY,
        false => score.parse().with_context(|| format!("`{score}` is no score"))?,
    };
    let severe = refused || codes.split(' ').any(|code| !code.is_empty() && !code.starts_with('('));
    Ok(Line { spoilt: trusted == "no", score, severe, any: refused || !codes.trim().is_empty() })
}

/// The chance that a spoilt scan has the higher score, ties counting half.
fn area(good: &[&Line], spoilt: &[&Line]) -> f64 {
    let pairs = good.iter().flat_map(|good| spoilt.iter().map(move |spoilt| (good.score, spoilt.score)));
    let wins: f64 = pairs
        .map(|(good, spoilt)| f64::from(u8::from(spoilt > good)) + 0.5 * f64::from(u8::from(spoilt == good)))
        .sum();
    wins / (good.len() * spoilt.len()) as f64
}

fn svg(good: &[&Line], spoilt: &[&Line], severe: [f64; 2], any: [f64; 2]) -> String {
    let at = |share: f64, told: f64| (60.0 + 300.0 * share, 340.0 - 300.0 * told);
    let mut scores: Vec<f64> = good.iter().chain(spoilt).map(|line| line.score).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    let reaching =
        |of: &[&Line], score: f64| of.iter().filter(|line| line.score >= score).count() as f64 / of.len() as f64;
    let curve: Vec<String> = [(60.0, 340.0)]
        .into_iter()
        .chain(scores.iter().map(|score| at(reaching(good, *score), reaching(spoilt, *score))))
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 620 400\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"620\" height=\"400\" fill=\"white\"/>\n<path d=\"M60 40V340H360\" fill=\"none\" stroke=\"black\"/>\n\
         <path d=\"M60 340L360 40\" stroke=\"#bbb\" stroke-dasharray=\"4 4\"/>\n",
    );
    for fifth in 0..=5 {
        let share = f64::from(fifth) / 5.0;
        let ((x, _), (_, y)) = (at(share, 0.0), at(0.0, share));
        svg += &format!("<text x=\"{x}\" y=\"358\" text-anchor=\"middle\">{share:.1}</text>\n");
        svg += &format!("<text x=\"52\" y=\"{}\" text-anchor=\"end\">{share:.1}</text>\n", y + 4.0);
    }
    svg += "<text x=\"210\" y=\"382\" text-anchor=\"middle\">share of good scans that are told</text>\n\
            <text x=\"20\" y=\"190\" text-anchor=\"middle\" transform=\"rotate(-90 20 190)\">share of spoilt scans that are told</text>\n";
    svg += &format!("<polyline points=\"{}\" fill=\"none\" stroke=\"#0072b2\" stroke-width=\"2\"/>\n", curve.join(" "));
    svg += "<path d=\"M380 80H410\" stroke=\"#0072b2\" stroke-width=\"2\"/><text x=\"418\" y=\"84\">score alone, refused highest</text>\n";
    for (row, (name, [good, spoilt], colour)) in
        [("severe note, or refused", severe, "#d55e00"), ("any note on the images", any, "#009e73")]
            .into_iter()
            .enumerate()
    {
        let ((x, y), key) = (at(good, spoilt), 110.0 + 30.0 * row as f64);
        svg += &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" fill=\"{colour}\"/>");
        svg += &format!(
            "<circle cx=\"395\" cy=\"{key}\" r=\"6\" fill=\"{colour}\"/><text x=\"418\" y=\"{}\">{name}</text>\n",
            key + 4.0
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    #[test]
    fn figures_are_those_of_the_table() {
        let table = "a\tnone\tyes\t0.50\t\t1.00\na\tnoise\tyes\t0.60\t(noisy-images)\t1.00\n\
                     a\tblur\tno\t0.55\tblurred-images (noisy-images)\t1.00\na\tturned\tno\t-\trefused: no chest\t-\n\
                     a\trings\tno\t1.20\t\t1.00";
        let (svg, words) = super::roc(table).unwrap();
        assert!(words.contains("3 spoilt scans, 2 of them analysed, and 2 good ones"), "{words}");
        // Analysed: .55 beats .50 and not .60, 1.2 beats both; refused beats both besides.
        assert!(words.contains("area of the score: 0.750; with refusals as the highest score: 0.833"), "{words}");
        assert!(words.contains("severe, or refused: 0.67 of the spoilt, 0.00 of the good"), "{words}");
        assert!(words.contains("by anything: 0.67 of the spoilt, 0.50 of the good"), "{words}");
        assert!(words.contains("score above 1: 0.50 of the spoilt, 0.00 of the good"), "{words}");
        assert!(svg.ends_with("</svg>\n"));
        assert!(super::roc("a\tnone\tyes\t0.5\t\t1").is_err());
    }
}
