//! What the operator wrote under `[plugins.NAME.config]`: where the weather comes from.

use bailiwick_sdk::Failure;
use url::Url;

/// The services of Open-Meteo, which want no key.
const GEOCODING: &str = "https://geocoding-api.open-meteo.com/v1/search";
const FORECAST: &str = "https://api.open-meteo.com/v1/forecast";

/// The settings of the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Finds places by their names.
    pub(crate) geocoding: Url,
    /// Tells the weather of a place.
    pub(crate) forecast: Url,
}

impl Settings {
    /// Reads the settings from keys and their texts.
    ///
    /// # Errors
    ///
    /// `plugin.not-configured`, naming the key.
    pub(crate) fn read(entries: Vec<(String, String)>) -> Result<Self, Failure> {
        let mut settings =
            Self { geocoding: url("geocoding_url", GEOCODING)?, forecast: url("forecast_url", FORECAST)? };
        for (key, text) in entries {
            match key.as_str() {
                "geocoding_url" => settings.geocoding = url(&key, &text)?,
                "forecast_url" => settings.forecast = url(&key, &text)?,
                unknown => {
                    return Err(Failure::not_configured(format!(
                        "The setting `{unknown}` is unknown; there are `geocoding_url` and `forecast_url`."
                    )));
                }
            }
        }
        Ok(settings)
    }
}

fn url(key: &str, text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| {
        Failure::not_configured(format!("The setting `{key}` must be an address that begins with `http`."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, text: &str) -> Result<Settings, Failure> {
        Settings::read(vec![(key.to_owned(), text.to_owned())])
    }

    #[test]
    fn settings_are_two_addresses() {
        let settings = read("forecast_url", "http://weather.lan/v1/forecast?model=x").expect("it is right");
        assert_eq!(settings.geocoding.as_str(), GEOCODING);
        assert_eq!(settings.forecast.as_str(), "http://weather.lan/v1/forecast?model=x");
        let unknown = "The setting `weather_url` is unknown; there are `geocoding_url` and `forecast_url`.";
        assert_eq!(read("weather_url", "x"), Err(Failure::not_configured(unknown)));
        let wrong = "The setting `geocoding_url` must be an address that begins with `http`.";
        assert_eq!(read("geocoding_url", "weather.lan"), Err(Failure::not_configured(wrong)));
    }
}
