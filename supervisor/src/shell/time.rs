//! Wall-clock times as text, in UTC (ISO 8601): hosts and operators may sit in different zones.

const NS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// `2026-11-21 08:35:14Z`; 0 is `never`.
pub(super) fn utc(unix_time_ns: u64) -> String {
    if unix_time_ns == 0 {
        return "never".to_owned();
    }
    let seconds = unix_time_ns / NS_PER_SECOND;
    let (days, second) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
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
    }
}
