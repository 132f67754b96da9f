//! Sizes, durations and numbers of CPUs, as flags spell them.

pub(crate) use gantry_types::units::{parse_duration, parse_size};

/// A decimal number of CPUs in billionths.
pub(crate) fn parse_cpus(text: &str) -> Result<i64, String> {
    let value: f64 = text
        .parse()
        .map_err(|_| format!("failed to parse {text} as a rational number"))?;
    let nano = value * 1e9;
    if !nano.is_finite() {
        return Err(format!("failed to parse {text} as a rational number"));
    }
    if (nano - nano.round()).abs() > 1e-3 {
        return Err("value is too precise".to_owned());
    }
    Ok(nano.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus() {
        assert_eq!(parse_cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(parse_cpus(".01"), Ok(10_000_000));
        assert!(parse_cpus("x").is_err());
        assert!(parse_cpus("0.00000000001").is_err());
    }
}
