//! Figures as people read them.

/// A hashrate with the prefix that leaves one to three digits before the point: `498 TH/s`.
pub(super) fn hashrate(rate: f64) -> String {
    scaled(rate, 1000.0, &["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"])
}

/// A number of bytes: `14.5 MiB`.
pub(super) fn bytes(count: u64) -> String {
    // Above 2^53 nobody counts single bytes.
    #[allow(clippy::cast_precision_loss, reason = "it is rounded to three digits anyway")]
    let count = count as f64;
    scaled(count, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

fn scaled(mut number: f64, step: f64, units: &[&str]) -> String {
    let mut at = 0;
    // What would be written as 1000 has the next prefix.
    while number >= step - 0.5 && at + 1 < units.len() {
        number /= step;
        at += 1;
    }
    let unit = units.get(at).copied().unwrap_or_default();
    if number == 0.0 || number >= 99.95 || at == 0 { format!("{number:.0} {unit}") } else { format!("{number:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        assert_eq!((hashrate(0.0), hashrate(498.2e12), hashrate(1.5e15)), ("0 H/s".into(), "498 TH/s".into(), "1.5 PH/s".into()));
        assert_eq!((hashrate(999.7e9), hashrate(1e21)), ("1.0 TH/s".into(), "1000 EH/s".into()));
        assert_eq!((bytes(0), bytes(1023), bytes(15_204_312)), ("0 B".into(), "1023 B".into(), "14.5 MiB".into()));
    }
}
