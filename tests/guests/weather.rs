//! A small honest plugin, to be pinned.

#[bailiwick_sdk::plugin]
mod tools {
    /// Tells the weather.
    #[tool(read_only)]
    fn forecast(
        /// Where.
        place: String,
        /// How many days ahead.
        days: Option<u32>,
    ) -> String {
        format!("sunny in {place} for {} days", days.unwrap_or(1))
    }
}
