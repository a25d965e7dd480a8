//! Figures: medians, ratios against their gates, a table and a plot of them.

use std::fmt::Write as _;
use std::time::Duration;

/// What a ratio should be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    /// How much of what is allowed `value` takes: 1 is just right, more is too much.
    fn share(self, value: f64) -> f64 {
        match self {
            Self::AtMost(most) => value / most,
            Self::AtLeast(least) => least / value,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
        }
    }
}

struct Line {
    what: String,
    value: f64,
    gate: Goal,
}

/// All that was measured against a gate.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// A figure that has a gate.
    pub(crate) fn gated(&mut self, what: &str, value: f64, gate: Goal) {
        let verdict = if gate.holds(value) { "holds" } else { "MISSED" };
        println!("  {what:<58} {value:>9.2}   gate {gate}  {verdict}");
        self.lines.push(Line { what: what.to_owned(), value, gate });
    }

    /// A figure to know.
    #[expect(clippy::unused_self, reason = "it reads as what it is beside `gated`")]
    pub(crate) fn plain(&self, what: &str, value: f64, unit: &str) {
        println!("  {what:<58} {value:>9.2} {unit}");
    }

    /// The summary, and the plot where one is wanted.
    pub(crate) fn end(&self, plot: Option<&str>) {
        let missed: Vec<&Line> = self.lines.iter().filter(|line| !line.gate.holds(line.value)).collect();
        println!("\n{} figures with a gate, {} missed", self.lines.len(), missed.len());
        for line in missed {
            println!("  {}: {:.2}, gate {}", line.what, line.value, line.gate);
        }
        if let Some(path) = plot {
            std::fs::write(path, self.svg()).expect("the plot can be written");
        }
    }

    /// One bar for each figure: how much of what its gate allows it takes.
    fn svg(&self) -> String {
        const LABEL: usize = 430;
        const SCALE: f64 = 260.0;
        const ROW: usize = 22;
        let height = (self.lines.len() + 2) * ROW;
        let gate = LABEL as f64 + SCALE;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"900\" height=\"{height}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"900\" height=\"{height}\" fill=\"white\"/>\n\
             <text x=\"{gate}\" y=\"14\" text-anchor=\"middle\">gate</text>\n"
        );
        for (number, line) in self.lines.iter().enumerate() {
            let y = (number + 1) * ROW;
            let width = (line.gate.share(line.value) * SCALE).min(SCALE * 1.7);
            let colour = if line.gate.holds(line.value) { "#4a8f5a" } else { "#c0504d" };
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"{LABEL}\" y=\"{}\" width=\"{width:.0}\" \
                 height=\"14\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"{}\">{:.2} ({})</text>",
                LABEL - 8,
                y + 12,
                escaped(&line.what),
                y + 1,
                LABEL as f64 + width + 6.0,
                y + 12,
                line.value,
                escaped(&line.gate.to_string()),
            );
        }
        let _ = writeln!(
            svg,
            "<line x1=\"{gate}\" x2=\"{gate}\" y1=\"18\" y2=\"{height}\" stroke=\"black\" stroke-dasharray=\"3 3\"/>\n</svg>"
        );
        svg
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// The figure in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The figure that `share` of all are below.
pub(crate) fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures[((figures.len() - 1) as f64 * share).round() as usize]
}

/// The median of `a / b` within each round.
pub(crate) fn ratio(a: &[f64], b: &[f64]) -> f64 {
    median(&a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<f64>>())
}

/// Microseconds.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
