//! What a case finds out.

use serde::Serialize;

use crate::machine::Spent;
use crate::target::Target;

/// One number, measured several times.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What it is, within its case.
    pub name: String,
    /// What it counts.
    pub unit: &'static str,
    /// The repetitions, in the order they were made.
    pub samples: Vec<f64>,
    /// What it is told as a share of.
    pub ceiling: Option<Ceiling>,
    /// What it is held to.
    pub target: Option<Target>,
    /// CPU time, in microseconds per unit counted; empty where it was not measured.
    pub cpu: Vec<Cpu>,
    /// What else to know.
    pub notes: Vec<String>,
}

/// A figure of another case.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ceiling {
    /// The case; its first figure is meant.
    pub case: &'static str,
    /// How many units of the ceiling one unit of the figure is.
    pub weight: f64,
}

/// CPU time of one repetition.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cpu {
    /// Microseconds per unit, of all engine processes.
    pub engine: f64,
    /// Of the broker; absent if its process is not here or not ours to see.
    pub broker: Option<f64>,
    /// Of the database; likewise.
    pub database: Option<f64>,
    /// Of this program: load, worker, baselines.
    pub driver: f64,
    /// Cores that anybody else used meanwhile: above 0.2, distrust the rate.
    pub other_cores: f64,
}

/// What became of a case.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// It was measured.
    Measured {
        /// Its name.
        case: &'static str,
        /// The first is the one that others are shares of.
        figures: Vec<Figure>,
    },
    /// It could not be run here, and nobody asked for it by name.
    Skipped {
        /// Its name.
        case: &'static str,
        /// Why, and what to do about it.
        why: String,
    },
    /// It should have run.
    Failed {
        /// Its name.
        case: &'static str,
        /// Why.
        why: String,
    },
}

impl Figure {
    /// From repetitions.
    pub fn new(name: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Self {
        let name = name.into();
        Figure { name, unit, samples, ceiling: None, target: None, cpu: Vec::new(), notes: Vec::new() }
    }

    /// Units a second, and what each cost, from windows of time.
    pub fn rate(name: impl Into<String>, unit: &'static str, windows: &[Window]) -> Self {
        let mut figure = Figure::new(name, unit, windows.iter().map(Window::rate).collect());
        figure.cpu = windows.iter().map(Window::cpu).collect();
        figure
    }

    /// Told as a share of a case's first figure.
    pub fn share_of(mut self, ceiling: Option<Ceiling>) -> Self {
        self.ceiling = ceiling;
        self
    }

    /// Held to a target.
    pub fn held_to(mut self, target: Option<Target>) -> Self {
        self.target = target;
        self
    }

    /// With a remark.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The middle of the repetitions.
    pub fn median(&self) -> f64 {
        quantile(&mut self.samples.clone(), 0.5)
    }

    /// The least and the greatest.
    pub fn range(&self) -> (f64, f64) {
        let fold = |start, pick: fn(f64, f64) -> f64| self.samples.iter().copied().fold(start, pick);
        (fold(f64::INFINITY, f64::min), fold(f64::NEG_INFINITY, f64::max))
    }
}

/// Something counted over some time.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// How many.
    pub units: f64,
    /// How long.
    pub seconds: f64,
    /// At whose expense.
    pub spent: Spent,
}

impl Window {
    /// Units a second.
    pub fn rate(&self) -> f64 {
        self.units / self.seconds
    }

    fn cpu(&self) -> Cpu {
        let each = |seconds: f64| seconds * 1e6 / self.units.max(1.0);
        Cpu {
            engine: each(self.spent.engines),
            broker: self.spent.broker.map(each),
            database: self.spent.database.map(each),
            driver: each(self.spent.driver),
            other_cores: self.spent.other / self.spent.elapsed,
        }
    }
}

/// The value that so much of all lie at or below; 0 of nothing.
pub fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len().saturating_sub(1) as f64 * part).round() as usize;
    values.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        assert_eq!(quantile(&mut [], 0.5), 0.0);
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.99), 3.0);
        assert_eq!(quantile(&mut [4.0], 0.0), 4.0);
    }
}
