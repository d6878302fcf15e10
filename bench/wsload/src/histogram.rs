//! Durations in nanoseconds, counted in 64 steps for each power of two: no value is off by more than 1.6 %.
//! It knows nothing of what was timed.

use serde_json::{Value, json};

/// 2 to this power are the steps within a power of two.
const STEPS_LOG: u32 = 6;
const STEPS: usize = 1 << STEPS_LOG;

/// Counts by duration.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

impl Histogram {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { counts: vec![0; (64 - STEPS_LOG as usize + 1) * STEPS], total: 0, longest: 0 }
    }

    /// Counts one duration.
    pub fn record(&mut self, nanoseconds: u64) {
        self.counts[place(nanoseconds)] += 1;
        self.total += 1;
        self.longest = self.longest.max(nanoseconds);
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        (self.total, self.longest) = (0, 0);
    }

    /// The duration that this share of all does not exceed.
    fn quantile(&self, share: f64) -> u64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        reached.map_or(self.longest, |place| lowest(place).min(self.longest))
    }

    /// Quantiles in microseconds.
    pub fn summary(&self) -> Value {
        let microseconds = |nanoseconds: u64| (nanoseconds as f64 / 10.0).round() / 100.0;
        json!({
            "p50": microseconds(self.quantile(0.5)),
            "p99": microseconds(self.quantile(0.99)),
            "max": microseconds(self.longest),
            "count": self.total,
        })
    }
}

fn place(nanoseconds: u64) -> usize {
    if nanoseconds < STEPS as u64 {
        return nanoseconds as usize;
    }
    let exponent = 63 - nanoseconds.leading_zeros() - STEPS_LOG;
    (exponent as usize + 1) * STEPS + ((nanoseconds >> exponent) as usize & (STEPS - 1))
}

/// The lowest duration that is counted at a place.
fn lowest(place: usize) -> u64 {
    match place.checked_sub(STEPS) {
        None => place as u64,
        Some(beyond) => ((STEPS + beyond % STEPS) as u64) << (beyond / STEPS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_holds_values_that_differ_by_less_than_two_percent() {
        for value in [0, 1, 63, 64, 65, 1000, 123_456_789, u64::MAX / 3, u64::MAX] {
            let low = lowest(place(value));
            assert!(low <= value && (value - low) as f64 <= value as f64 * 0.016, "{value} {low}");
        }
    }

    #[test]
    fn quantiles_are_of_what_was_recorded() {
        let mut histogram = Histogram::new();
        (1..=100).for_each(|value| histogram.record(value * 1000));
        let summary = histogram.summary();
        assert!((summary["p50"].as_f64().unwrap() - 50.0).abs() < 1.0, "{summary}");
        assert_eq!(summary["max"], 100.0);
        histogram.clear();
        assert_eq!(histogram.summary()["count"], 0);
    }
}
