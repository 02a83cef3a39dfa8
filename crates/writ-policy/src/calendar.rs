//! Milliseconds since 1970 as UTC text.

const DAY_MS: u64 = 86_400_000;
/// The first millisecond of the year 10000, which the engine's text form cannot write.
const END_MS: u64 = 253_402_300_800_000;

/// A moment in UTC, up to the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    year: u64,
    month: u64,
    day: u64,
    ms_of_day: u64,
}

impl Moment {
    pub(crate) fn from_ms(ms: u64) -> Option<Self> {
        (ms < END_MS).then(|| {
            let (year, month, day) = civil(ms / DAY_MS);
            Self { year, month, day, ms_of_day: ms % DAY_MS }
        })
    }

    /// The milliseconds of a moment written as `2026-11-21T08:05:09Z`; nothing for one that there is not.
    pub(crate) fn ms_of(text: &str) -> Option<u64> {
        let number = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u64>().ok());
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        let days = days_of(year, month, day)?;
        let ms = days.checked_mul(DAY_MS)?.checked_add(((hour * 60 + minute) * 60 + second) * 1_000)?;
        // Written again it must be the same: no thirtieth of February, no sixtieth second, no other form.
        let again = format!("{}:{:02}Z", Self::from_ms(ms)?.minute(), ms / 1_000 % 60);
        (again == text).then_some(ms)
    }

    /// `2026-11-21`
    pub(crate) fn day(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `2026-11-21T08`
    pub(crate) fn hour(self) -> String {
        format!("{}T{:02}", self.day(), self.ms_of_day / 3_600_000)
    }

    /// `2026-11-21T08:05`
    pub(crate) fn minute(self) -> String {
        format!("{}:{:02}", self.hour(), self.ms_of_day / 60_000 % 60)
    }

    /// `2026-11-21T08:05:09.007Z`
    pub(crate) fn full(self) -> String {
        format!("{}:{:02}.{:03}Z", self.minute(), self.ms_of_day / 1_000 % 60, self.ms_of_day % 1_000)
    }
}

/// The milliseconds since 1970 of a moment that the engine reads as UTC: a day, or a day with its time, to the second or millisecond.
pub(crate) fn ms_of_text(text: &str) -> Option<u64> {
    let (day, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let mut parts = day.split('-').map(|part| part.parse::<u16>().ok().map(u64::from));
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let (clock, millis) = time.strip_suffix('Z')?.split_once('.').unwrap_or((time.strip_suffix('Z')?, "0"));
    let mut parts = clock.split(':').map(|part| part.parse::<u16>().ok().map(u64::from));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let of_day = ((hours * 60 + minutes) * 60 + seconds) * 1_000 + u64::from(millis.parse::<u16>().ok()?);
    // A search instead of arithmetic: the one day that has this date.
    let (mut from, mut until) = (0, END_MS / DAY_MS);
    while from < until {
        let middle = from + (until - from) / 2;
        if civil(middle) < (year, month, day) { from = middle + 1 } else { until = middle }
    }
    (civil(from) == (year, month, day) && of_day < DAY_MS).then_some(from * DAY_MS + of_day)
}

/// Year, month and day of a number of days since 1970. Years are counted from March, so that the leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    const ERA_DAYS: u64 = 146_097;
    let since_march_of_0 = days + 719_468;
    let (era, day_of_era) = (since_march_of_0 / ERA_DAYS, since_march_of_0 % ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The days since 1970 of a date, as [`civil`] counts them.
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = if month > 2 { month - 3 } else { month.checked_add(9)? };
    let day_of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}
