//! A moment in the words of a language. In UTC, and saying so: where the reader
//! is, nobody knows.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use muster_core::platform::time::Time;

const GERMAN_MONTHS: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];

/// 26 November 2026, 08:05 UTC
pub(crate) fn english(time: &Time) -> String {
    said(time, |utc| utc.strftime("%-d %B %Y, %H:%M UTC").to_string())
}

/// 26. November 2026, 8:05 Uhr (UTC)
pub(crate) fn german(time: &Time) -> String {
    said(time, |utc| {
        let month = GERMAN_MONTHS[usize::from(utc.month().unsigned_abs()) - 1];
        let (day, year) = (utc.day(), utc.year());
        format!(
            "{day}. {month} {year}, {} Uhr (UTC)",
            utc.strftime("%-H:%M")
        )
    })
}

fn said(time: &Time, say: impl FnOnce(DateTime) -> String) -> String {
    match Timestamp::from_millisecond(time.as_millis()) {
        Ok(timestamp) => say(TimeZone::UTC.to_datetime(timestamp)),
        // Before or after all the years that there are.
        Err(_) => time.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_month_has_its_name() {
        let start = 1_767_225_900_000; // 2026-01-01T00:05Z
        let month = |n: i64| Time::from_millis(start + n * 31 * 24 * 60 * 60 * 1000);
        let english: Vec<_> = (0..12).map(|n| english(&month(n))).collect();
        assert_eq!(english[0], "1 January 2026, 00:05 UTC");
        assert_eq!(english[10], "7 November 2026, 00:05 UTC");
        let german: Vec<_> = (0..12).map(|n| german(&month(n))).collect();
        assert_eq!(german[0], "1. Januar 2026, 0:05 Uhr (UTC)");
        assert_eq!(german[2], "4. März 2026, 0:05 Uhr (UTC)");
        assert_eq!(german[11], "8. Dezember 2026, 0:05 Uhr (UTC)");
    }

    #[test]
    fn a_moment_out_of_time_is_still_said() {
        assert!(english(&Time::from_millis(i64::MAX)).ends_with(" ms"));
        assert!(german(&Time::from_millis(i64::MIN)).ends_with(" ms"));
    }
}
