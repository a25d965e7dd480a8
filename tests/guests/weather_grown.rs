//! The weather, built anew: to a caller it is the same, and it asks for one thing more.

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
        let network = wasip2::sockets::instance_network::instance_network();
        drop(network);
        format!("sunny in {place} for {} days", days.unwrap_or(1))
    }
}
