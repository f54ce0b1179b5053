//! Times of the API for people: relative times in tables, date and time of day in details.

use crate::base::clock::{Timestamp, human_duration};

fn read(moment: &str) -> Option<Timestamp> {
    moment.parse().ok()
}

/// How long ago that was, such as `4 min`; none if the text is not a time.
pub(super) fn age(moment: Option<&str>) -> Option<String> {
    Some(human_duration(Timestamp::now().since(read(moment?)?)))
}

/// Local date and time, and how long ago: `2026-11-22 14:02:11 (4 min ago)`.
pub(super) fn when(moment: Option<&str>) -> Option<String> {
    let at = read(moment?)?;
    let now = Timestamp::now();
    let distance = if at > now {
        format!("in {}", human_duration(at.since(now)))
    } else {
        format!("{} ago", human_duration(now.since(at)))
    };
    Some(format!("{} ({distance})", at.local()))
}

/// A duration in seconds, as text.
pub(super) fn length(seconds: u64) -> String {
    human_duration(std::time::Duration::from_secs(seconds))
}

/// Local date and time to the millisecond, for the start of a log line; empty if the text is
/// not a time.
pub(super) fn of_log(moment: Option<&str>) -> String {
    match moment.and_then(read) {
        // The date of one text and the milliseconds of the other.
        Some(at) => format!("{} {}", &at.local()[..10], at.local_time()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(
            (age(Some("soon")), when(None), of_log(Some("")).as_str()),
            (None, None, "")
        );
        let line = of_log(Some("2026-11-22T21:29:59.204286Z"));
        assert!(line.ends_with(":59.204") && line.len() == 23, "{line}");
        let long_ago = when(Some("2020-01-01T00:00:00Z")).unwrap();
        assert!(
            long_ago.ends_with(" ago)") && long_ago.starts_with("20"),
            "{long_ago}"
        );
        assert!(when(Some("2999-01-01T00:00:00Z")).unwrap().contains("(in "));
    }
}
