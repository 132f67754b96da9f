//! Medians and ratios.

use std::time::{Duration, Instant};

/// The times of one contender at one kind of work.
pub struct Series {
    name: String,
    times: Vec<Duration>,
}

impl Series {
    /// No times yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            times: Vec::new(),
        }
    }

    /// Does `work` once and keeps its wall time.
    pub fn time(&mut self, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        let begun = Instant::now();
        work().map_err(|error| format!("{}: {error}", self.name))?;
        self.times.push(begun.elapsed());
        Ok(())
    }

    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.times.clone();
        sorted.sort();
        let index = ((sorted.len().saturating_sub(1)) as f64 * part).round() as usize;
        sorted
            .get(index)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

/// One kind of work, and how each contender did.
pub struct Table {
    title: String,
    rows: Vec<Series>,
}

impl Table {
    /// A table without rows.
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            rows: Vec::new(),
        }
    }

    /// Adds rows; the first row of all is what the others are compared with.
    pub fn add_all(&mut self, rows: Vec<Series>) {
        self.rows.extend(rows);
    }

    /// Prints medians, the spread, and the ratio to the first row.
    pub fn print(&self) {
        crate::say(&format!("\n{}", self.title));
        let base = self.rows.first().map_or(f64::NAN, |row| row.quantile(0.5));
        for row in &self.rows {
            let (low, middle, high) = (row.quantile(0.1), row.quantile(0.5), row.quantile(0.9));
            let ratio = middle / base;
            crate::say(&format!(
                "  {:<34} {middle:>8.1} ms  (p10 {low:.1}, p90 {high:.1})  x{ratio:.1}",
                row.name
            ));
        }
    }
}
