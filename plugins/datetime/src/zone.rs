//! Finding a time zone by its IANA name, and what to say when there is none.

use bailiwick_sdk::Failure;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// The zone of that name, upper or lower case; UTC when it is empty.
///
/// # Errors
///
/// `arguments.invalid`, with the name that was probably meant.
pub(crate) fn find(name: &str) -> Result<TimeZone, Failure> {
    let name = name.trim();
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    let zones = TimeZoneDatabase::bundled();
    // No name in the database is longer than 32 characters, so what is longer need not be searched for.
    if name.len() > MAX_NAME {
        let shown: String = name.chars().take(MAX_NAME).collect();
        return Err(Failure::invalid(format!("Invalid timezone: {shown}…. {EXAMPLE}")));
    }
    if let Ok(zone) = zones.get(name) {
        return Ok(zone);
    }
    let advice = nearest(&zones, name).map_or(EXAMPLE.to_owned(), |zone| format!("Did you mean {zone}?"));
    Err(Failure::invalid(format!("Invalid timezone: {name}. {advice}")))
}

const MAX_NAME: usize = 64;

const EXAMPLE: &str = "Use an IANA name, such as Europe/Berlin or America/New_York.";

/// The zone whose name, or whose city, is `name` but for spaces, case and at most two letters.
fn nearest(zones: &TimeZoneDatabase, name: &str) -> Option<String> {
    let wanted = plain(name);
    let near = |zone: String| {
        let whole = plain(&zone);
        let city = whole.rsplit('/').next().unwrap_or_default();
        let distance = distance(&wanted, &whole).min(distance(&wanted, city));
        // Short names are all near each other: `PST` is not `EST`.
        (distance <= wanted.len() / 4).then_some((distance.min(3), zone))
    };
    let (distance, zone) = zones.available().filter_map(|zone| near(zone.as_str().to_owned())).min()?;
    (distance <= 2).then_some(zone)
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace([' ', '-'], "_")
}

/// How many letters to insert, remove or replace to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        let found = match find(name) {
            Ok(zone) => zone.iana_name().unwrap_or("UTC").to_owned(),
            Err(Failure::InvalidArguments(message)) => message,
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(expected, found);
    }

    #[test]
    fn a_zone_is_found_by_its_name() {
        check("Europe/Berlin", "Europe/Berlin");
        check("europe/berlin", "Europe/Berlin");
        check(" Asia/Kolkata ", "Asia/Kolkata");
        check("", "UTC");
        check("UTC", "UTC");
    }

    #[test]
    fn a_wrong_name_is_refused_with_the_one_that_was_meant() {
        check("Berlin", "Invalid timezone: Berlin. Did you mean Europe/Berlin?");
        check("new york", "Invalid timezone: new york. Did you mean America/New_York?");
        check("Europe/Berlni", "Invalid timezone: Europe/Berlni. Did you mean Europe/Berlin?");
    }

    #[test]
    fn a_name_like_no_zone_is_refused_with_an_example() {
        check("PST", &format!("Invalid timezone: PST. {EXAMPLE}"));
        check("Mars/Phobos", &format!("Invalid timezone: Mars/Phobos. {EXAMPLE}"));
        check("../../etc/passwd", &format!("Invalid timezone: ../../etc/passwd. {EXAMPLE}"));
        check(&"x".repeat(100_000), &format!("Invalid timezone: {}…. {EXAMPLE}", "x".repeat(64)));
    }
}
