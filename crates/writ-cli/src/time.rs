/// Milliseconds since 1970 as a person reads them, in UTC. Out of the range of four-digit years, the number itself.
pub(crate) fn utc(time_ms: u64) -> String {
    let (seconds, millis) = (time_ms / 1000, time_ms % 1000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let Some((year, month, day)) = civil(days) else { return format!("{time_ms} ms") };
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// The same without milliseconds, for a column.
pub(crate) fn utc_seconds(time_ms: u64) -> String {
    let shown = utc(time_ms);
    shown.split_once('.').map_or_else(|| shown.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// The date so many days after 1970-01-01, found by walking years and months: it is called for a screenful of lines.
fn civil(mut days: u64) -> Option<(u64, u64, u64)> {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    for year in 1970..10_000 {
        let february = if leap(year) { 29 } else { 28 };
        for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
            if days < length {
                return Some((year, month, days + 1));
            }
            days -= length;
        }
    }
    None
}

/// A time to come as a person reads it, rounded to what matters.
pub(crate) fn left(until_ms: u64) -> String {
    let Some(left) = until_ms.checked_sub(now_ms()) else { return format!("lapsed at {}", utc(until_ms)) };
    let seconds = left.div_ceil(1000);
    match seconds {
        0..=119 => format!("in {seconds} s"),
        120..=7199 => format!("in {} min", seconds / 60),
        _ => format!("in {} h", seconds / 3600),
    }
}

/// The clock of this machine.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{utc, utc_seconds};

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (time_ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_780_000_000_123, "2026-05-28T20:26:40.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(utc(time_ms), expected);
        }
        assert_eq!(utc_seconds(1_780_000_000_123), "2026-05-28T20:26:40Z");
        assert_eq!(utc(u64::MAX), "18446744073709551615 ms");
    }
}
