//! Amounts in few columns: bytes, times, counts.
//!
//! Seven columns are enough for each of them.

/// Such as `5 B`, `99999 B`, `98 KiB`, `1.5 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 100_000 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 999.5 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if amount < 9.95 {
        format!("{amount:.1} {}", UNITS[unit])
    } else {
        format!("{amount:.0} {}", UNITS[unit])
    }
}

/// Such as `950 us`, `12.3 ms`, `4.2 s`, `12 min`, `3.1 h`.
pub(super) fn time(micros: u64) -> String {
    let amount = micros as f64;
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..100_000 => format!("{:.1} ms", amount / 1e3),
        100_000..999_500 => format!("{:.0} ms", amount / 1e3),
        999_500..100_000_000 => format!("{:.1} s", amount / 1e6),
        100_000_000..6_000_000_000 => format!("{:.0} min", amount / 6e7),
        6_000_000_000..360_000_000_000 => format!("{:.1} h", amount / 3.6e9),
        _ => format!("{:.0} d", amount / 8.64e10),
    }
}

/// Such as `99999`, `1.2 M`.
pub(super) fn count(count: u64) -> String {
    match count {
        0..100_000 => count.to_string(),
        100_000..999_500 => format!("{:.0} k", count as f64 / 1e3),
        _ => format!("{:.1} M", count as f64 / 1e6),
    }
}

/// With the word for what is counted, as `1 event`, `2 events`.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_columns() {
        for (amount, text) in
            [(0, "0 B"), (99_999, "99999 B"), (100_000, "98 KiB"), (1 << 20, "1.0 MiB"), (10 << 20, "10 MiB")]
        {
            assert_eq!(bytes(amount), text);
        }
        for (micros, text) in [
            (7, "7 us"),
            (12_345, "12.3 ms"),
            (999_499, "999 ms"),
            (4_200_000, "4.2 s"),
            (7_200_000_000, "2.0 h"),
            (600_000_000, "10 min"),
        ] {
            assert_eq!(time(micros), text);
        }
        for power in 0..64 {
            assert!(bytes(1 << power).len() <= 7, "{}", bytes(1 << power));
            assert!(power > 50 || time(1 << power).len() <= 7, "{}", time(1 << power));
        }
        assert_eq!(
            (count(99_999), count(123_456), count(2_500_000)),
            ("99999".into(), "123 k".into(), "2.5 M".into())
        );
        assert_eq!(counted(1, "event"), "1 event");
    }
}
