//! The built-in plugin `datetime`: one tool that tells the date and time in a time zone.
//!
//! Needs the wall clock and nothing else: the IANA time zone database is part of the component.

mod moment;
mod zone;

use std::time::SystemTime;

use bailiwick_sdk::prelude::*;
use jiff::Timestamp;

use crate::moment::Moment;

#[bailiwick_sdk::plugin]
mod tools {
    use super::*;

    /// Tells the current date and time: the weekday, the date, the time with its offset from UTC, the same instant as
    /// ISO 8601 in UTC, and the Unix timestamp. Use it whenever an answer depends on what day or time it is now.
    #[tool(title = "Date and time", read_only, closed_world, risk = "low", output = Moment)]
    fn datetime(
        /// The IANA name of a time zone, such as `Europe/Berlin` or `America/New_York`. Left out: UTC.
        #[serde(default)]
        timezone: Option<String>,
    ) -> Result<Output, Failure> {
        let zone = zone::find(timezone.as_deref().unwrap_or_default())?;
        let now = Timestamp::try_from(SystemTime::now())
            .map_err(|_| Failure::failed("The host's clock shows a date outside of the years -9999 to 9999."))?;
        let moment = Moment::of(now, zone);
        Ok(Output::text(moment.text()).with_structured(&moment))
    }
}
