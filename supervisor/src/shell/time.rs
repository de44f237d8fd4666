//! Wall-clock times as text, in UTC (ISO 8601; in a log as NX-OS does): hosts and operators may sit
//! in different zones. And spans of time.

const NS_PER_SECOND: u64 = 1_000_000_000;
const NS_PER_MILLISECOND: u64 = 1_000_000;
const NS_PER_MICROSECOND: u64 = 1_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// `2026-11-21 08:35:14Z`; 0 is `never`.
pub(super) fn utc(unix_time_ns: u64) -> String {
    if unix_time_ns == 0 {
        return "never".to_owned();
    }
    let (year, month, day, clock) = parts(unix_time_ns);
    format!("{year:04}-{month:02}-{day:02} {clock}Z")
}

/// `2026 Nov 21 08:35:14.250 UTC`.
pub(super) fn logged(unix_time_ns: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, clock) = parts(unix_time_ns);
    let month = usize::try_from(month).ok().and_then(|m| MONTHS.get(m.checked_sub(1)?));
    let (month, ms) = (month.unwrap_or(&"???"), unix_time_ns / NS_PER_MILLISECOND % 1000);
    format!("{year:04} {month} {day:>2} {clock}.{ms:03} UTC")
}

/// How long ago something was: `12s`; something that was never has no age.
pub(super) fn age(now_ns: u64, then_ns: u64) -> String {
    match then_ns {
        0 => "never".to_owned(),
        // The clock of a host may be ahead.
        then => format!("{}s", now_ns.saturating_sub(then) / NS_PER_SECOND),
    }
}

/// `1.250 ms`.
pub(super) fn milliseconds(span_ns: u64) -> String {
    let (ms, us) = (span_ns / NS_PER_MILLISECOND, span_ns / NS_PER_MICROSECOND % 1000);
    format!("{ms}.{us:03} ms")
}

/// Year, month, day, and the time of the day.
fn parts(unix_time_ns: u64) -> (u64, u64, u64, String) {
    let seconds = unix_time_ns / NS_PER_SECOND;
    let (days, second) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    (year, month, day, format!("{hour:02}:{minute:02}:{second:02}"))
}

/// The date of a day since 1970-01-01 in the Gregorian calendar, by counting in years that begin
/// with March, in which leap days come last, and in eras of 400 years, which repeat.
const fn civil(days: u64) -> (u64, u64, u64) {
    // 1970-01-01 is day 719,468 of the era that begins on 0000-03-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March have 153 days in every five.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, carry) = match month_from_march {
        m @ 0..10 => (m + 3, 0),
        m => (m - 9, 1),
    };
    (era * 400 + year_of_era + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        let at = |seconds: u64| utc(seconds * NS_PER_SECOND);
        assert_eq!(utc(0), "never");
        assert_eq!(at(1), "1970-01-01 00:00:01Z");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00Z");
        assert_eq!(at(1_709_251_199), "2024-02-29 23:59:59Z");
        assert_eq!(at(1_709_251_200), "2024-03-01 00:00:00Z");
        assert_eq!(at(4_107_542_399), "2100-02-28 23:59:59Z");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00Z");
        assert_eq!(logged(951_782_400_250_999_999), "2000 Feb 29 00:00:00.250 UTC");
        assert_eq!(logged(0), "1970 Jan  1 00:00:00.000 UTC");
    }

    #[test]
    fn known_spans() {
        let second = NS_PER_SECOND;
        assert_eq!(age(5 * second, 0), "never");
        assert_eq!(age(5 * second, 2 * second + 1), "2s");
        assert_eq!(age(5 * second, 9 * second), "0s", "of a clock that is ahead");
        assert_eq!(milliseconds(0), "0.000 ms");
        assert_eq!(milliseconds(12_034_999), "12.034 ms");
    }
}
