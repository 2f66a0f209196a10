//! The table at the end of a run.

use std::io::{IsTerminal as _, Write as _, stdout};

use super::share;
use crate::cases::Case;
use crate::failure::Result;
use crate::figure::{Cpu, Figure, Outcome, quantile};

const HEADER: [&str; 8] = [
    "case",
    "median",
    "min–max",
    "unit",
    "share",
    "target",
    "CPU µs: engine broker database driver",
    "others",
];

/// The cases, one a line.
pub fn catalog(cases: &[&Case]) -> Result<()> {
    let mut out = stdout().lock();
    for case in cases {
        writeln!(out, "{:<26} {}", case.name, case.about)?;
    }
    Ok(())
}

/// All figures, then the remarks to them, then what has none and why.
pub fn print(outcomes: &[Outcome]) -> Result<()> {
    let mut rows = vec![Row { cells: HEADER.map(str::to_owned).to_vec(), met: None }];
    let (mut notes, mut without) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Outcome::Measured { case, figures } => {
                for figure in figures {
                    rows.push(Row::of(case, figure, share(figure, outcomes)));
                    notes.extend(figure.notes.iter().map(|note| format!("{case}, {}: {note}", figure.name)));
                }
            }
            Outcome::Skipped { case, why } => without.push(format!("{case} left out: {why}")),
            Outcome::Failed { case, why } => without.push(format!("{case} FAILED: {why}")),
        }
    }
    let mut out = stdout().lock();
    let widths: Vec<usize> = (0..HEADER.len()).map(|column| width(&rows, column)).collect();
    for row in &rows {
        writeln!(out, "{}", row.line(&widths, stdout().is_terminal()))?;
    }
    for line in notes.iter().chain(&without) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn width(rows: &[Row], column: usize) -> usize {
    rows.iter().map(|row| row.cells[column].chars().count()).max().unwrap_or_default()
}

struct Row {
    cells: Vec<String>,
    met: Option<bool>,
}

impl Row {
    fn of(case: &str, figure: &Figure, share: Option<f64>) -> Self {
        let (least, greatest) = figure.range();
        let met = figure.target.and_then(|target| target.met(figure.median(), share));
        let verdict = met.map_or("", |met| if met { " met" } else { " MISSED" });
        let target = figure.target.map(|target| format!("{target}{verdict}")).unwrap_or_default();
        let cells = vec![
            format!("{case}, {}", figure.name),
            number(figure.median()),
            format!("{}–{}", number(least), number(greatest)),
            figure.unit.to_owned(),
            share.map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default(),
            target,
            cpu(&figure.cpu),
            others(&figure.cpu),
        ];
        Row { cells, met }
    }

    fn line(&self, widths: &[usize], colours: bool) -> String {
        let pad = |(cell, width): (&String, &usize)| format!("{cell:<width$}");
        let line = self.cells.iter().zip(widths).map(pad).collect::<Vec<_>>().join("  ");
        match self.met {
            Some(true) if colours => format!("\x1b[32m{}\x1b[0m", line.trim_end()),
            Some(false) if colours => format!("\x1b[31m{}\x1b[0m", line.trim_end()),
            Some(_) | None => line.trim_end().to_owned(),
        }
    }
}

/// Medians of each column.
fn cpu(samples: &[Cpu]) -> String {
    if samples.is_empty() {
        return String::new();
    }
    let middle = |pick: fn(&Cpu) -> Option<f64>| {
        let mut values: Vec<f64> = samples.iter().filter_map(pick).collect();
        if values.is_empty() { "–".to_owned() } else { number(quantile(&mut values, 0.5)) }
    };
    let columns: [fn(&Cpu) -> Option<f64>; 4] =
        [|cpu| Some(cpu.engine), |cpu| cpu.broker, |cpu| cpu.database, |cpu| Some(cpu.driver)];
    columns.map(middle).join(" ")
}

fn others(samples: &[Cpu]) -> String {
    let mut cores: Vec<f64> = samples.iter().map(|cpu| cpu.other_cores).collect();
    if cores.is_empty() { String::new() } else { format!("{:.2}", quantile(&mut cores, 0.5)) }
}

/// Three digits that count, thousands apart.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let decimals = if value.abs() < 10.0 { 2 } else { 1 };
        return format!("{value:.decimals$}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_three_digits_and_thousands() {
        let cases = [(0.345, "0.34"), (12.34, "12.3"), (999.6, "1,000"), (1_234_567.0, "1,234,567")];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
