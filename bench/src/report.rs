//! What was measured, for people and for programs.

use std::path::Path;

use serde_json::{Value, json};

use crate::measure::{Bound, Quantity, Row, Series, Target};
use crate::say;

/// Prints one row: medians, spread, ratios to the first, and its targets.
/// Whether all targets that could be judged are reached.
pub fn print(row: &Row) -> bool {
    say(&format!("\n{}: {}", row.name, row.title));
    let Some(first) = row.series.first() else {
        return true;
    };
    for series in &row.series {
        say(&line(series, first));
    }
    let mut reached = true;
    for target in &row.targets {
        let (text, judgement) = judge(row, target);
        let word = match judgement {
            Some(true) => "ok",
            Some(false) => "MISSED",
            None => "skipped",
        };
        reached &= judgement != Some(false);
        say(&format!("    target: {text}: {word}"));
    }
    reached
}

fn line(series: &Series, first: &Series) -> String {
    let mut text = format!("  {:<26}", series.contender);
    for (quantity, unit) in [
        (Quantity::Wall, "ms"),
        (Quantity::Cpu, "ms cpu"),
        (Quantity::Memory, "MiB"),
    ] {
        let Some(median) = series.median(quantity) else {
            continue;
        };
        let edge = |part| series.quantile(quantity, part).unwrap_or(median);
        let spread = format!("({:.1}–{:.1})", edge(0.1), edge(0.9));
        let digits = if median < 10.0 { 2 } else { 1 };
        text.push_str(&format!(" {median:>9.digits$} {unit} {spread:<16}"));
        if !std::ptr::eq(series, first)
            && let Some(base) = first.median(quantity)
        {
            text.push_str(&format!(" x{:<6.2}", median / base));
        }
    }
    if let Some(error) = &series.failed {
        text.push_str(&format!(" FAILED: {}", last_line(error)));
    }
    text
}

/// Programs warn first and say last why they end.
fn last_line(text: &str) -> &str {
    text.trim_end().lines().next_back().unwrap_or_default()
}

/// The target in words, and whether it is reached; `None` without the numbers.
fn judge(row: &Row, target: &Target) -> (String, Option<bool>) {
    let ours = row.series.first().and_then(|s| s.median(target.quantity));
    match &target.bound {
        Bound::AtMost(limit) => {
            let unit = match target.quantity {
                Quantity::Memory => "MiB",
                Quantity::Wall | Quantity::Cpu => "ms",
            };
            (
                format!("at most {limit} {unit}"),
                ours.map(|ours| ours <= *limit),
            )
        }
        Bound::Times {
            contender,
            at_least,
        } => {
            let theirs = row.series.iter().find(|s| s.contender == *contender);
            let theirs = theirs.and_then(|series| series.median(target.quantity));
            let ratio = theirs.zip(ours).map(|(theirs, ours)| theirs / ours);
            let found = ratio.map_or_else(String::new, |ratio| format!(" (x{ratio:.2})"));
            (
                format!("{contender} / {at_least} {found}"),
                ratio.map(|ratio| ratio >= *at_least),
            )
        }
    }
}

/// Writes every sample and every median.
pub fn write(path: &Path, rows: &[Row], rounds: usize) -> Result<(), String> {
    let rows: Vec<Value> = rows.iter().map(value).collect();
    let whole = json!({ "rounds": rounds, "rows": rows });
    let text = serde_json::to_string_pretty(&whole).map_err(|error| error.to_string())?;
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn value(row: &Row) -> Value {
    let series = row.series.iter().map(|series| {
        let median = |quantity| series.median(quantity);
        json!({
            "contender": series.contender,
            "median": {
                "wall_ms": median(Quantity::Wall),
                "cpu_ms": median(Quantity::Cpu),
                "memory_mib": median(Quantity::Memory),
            },
            "samples": series,
        })
    });
    let targets = row.targets.iter().map(|target| {
        let (text, reached) = judge(row, target);
        json!({ "text": text, "target": target, "reached": reached })
    });
    json!({
        "name": row.name,
        "title": row.title,
        "series": series.collect::<Vec<_>>(),
        "targets": targets.collect::<Vec<_>>(),
    })
}
