//! `std-weather`: where a place is, and what the weather is there, asked of services of Open-Meteo's shape.

use std::time::Duration;

use bailiwick_sdk::Failure;
use bailiwick_sdk::http::Error;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use url::Url;

use crate::settings::Settings;
use crate::web::{Ask, Send, Trouble};

/// How long either service may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest name of a place.
const MAX_LOCATION: usize = 200;

/// The unit of the temperature for display.
#[bailiwick_sdk::args]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Units {
    #[default]
    Celsius,
    Fahrenheit,
}

/// What came of asking for the weather.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Weather {
    /// The place, as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    /// In °C, whatever `units` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Number>,
    /// In `units`.
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature_display: Option<String>,
    /// Relative humidity.
    #[serde(skip_serializing_if = "Option::is_none")]
    humidity_percent: Option<Number>,
    /// What the weather is like, as a WMO code: 0 is clear, 61 rain, 71 snow, 95 a thunderstorm.
    #[serde(skip_serializing_if = "Option::is_none")]
    weather_code: Option<Number>,
    /// Wind, 10 m above the ground.
    #[serde(skip_serializing_if = "Option::is_none")]
    wind_speed_kmh: Option<Number>,
    /// The unit of `temperature_display`.
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<Units>,
    #[serde(flatten)]
    trouble: Option<Trouble>,
}

/// What a place is found by.
#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    results: Vec<Position>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
struct Position {
    latitude: f64,
    longitude: f64,
}

#[derive(Deserialize)]
struct Forecast {
    current: Option<Current>,
}

#[derive(Deserialize)]
struct Current {
    temperature_2m: Option<Number>,
    relative_humidity_2m: Option<Number>,
    weather_code: Option<Number>,
    wind_speed_10m: Option<Number>,
}

/// Runs `std-weather`.
///
/// # Errors
///
/// `arguments.invalid` for what is no place, `denied.*`.
pub(crate) fn now(location: &str, units: Units, settings: &Settings, send: Send<'_>) -> Result<Weather, Failure> {
    let location = location.trim();
    if location.is_empty() || location.chars().count() > MAX_LOCATION {
        return Err(Failure::invalid(
            "`location` must be the name of a place, such as `Berlin`, or its position, such as `52.52,13.41`.",
        ));
    }
    let position = match position(location)? {
        Some(position) => position,
        None => match find(location, settings, send)? {
            Ok(Some(position)) => position,
            Ok(None) => return Ok(nothing(location, "Location not found")),
            Err(trouble) => return Ok(Weather { trouble: Some(trouble), ..Weather::default() }),
        },
    };
    let url = with_query(
        &settings.forecast,
        &[
            ("latitude", &position.latitude.to_string()),
            ("longitude", &position.longitude.to_string()),
            ("current", "temperature_2m,relative_humidity_2m,weather_code,wind_speed_10m"),
        ],
    );
    Ok(match ask::<Forecast>("forecast", url, send)? {
        Err(trouble) => Weather { trouble: Some(trouble), ..Weather::default() },
        Ok(Forecast { current: None }) => nothing(location, "No weather data"),
        Ok(Forecast { current: Some(current) }) => Weather {
            location: Some(location.to_owned()),
            temperature_display: Some(display(current.temperature_2m.as_ref(), units)),
            temperature: current.temperature_2m,
            humidity_percent: current.relative_humidity_2m,
            weather_code: current.weather_code,
            wind_speed_kmh: current.wind_speed_10m,
            units: Some(units),
            trouble: None,
        },
    })
}

fn nothing(location: &str, what: &str) -> Weather {
    let trouble = Trouble { error: what.to_owned(), message: None };
    Weather { location: Some(location.to_owned()), trouble: Some(trouble), ..Weather::default() }
}

/// The position that `location` is, unless it is a name.
fn position(location: &str) -> Result<Option<Position>, Failure> {
    let number = |text: &str| {
        let text = text.trim();
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte));
        text.parse::<f64>().ok().filter(|_| plain)
    };
    let position = location.split_once(',').and_then(|(latitude, longitude)| {
        Some(Position { latitude: number(latitude)?, longitude: number(longitude)? })
    });
    match position {
        Some(Position { latitude, longitude }) if latitude.abs() > 90.0 || longitude.abs() > 180.0 => {
            Err(Failure::invalid("`location` is no position on Earth: latitude is from -90 to 90, longitude to ±180."))
        }
        position => Ok(position),
    }
}

/// Where the place of that name is; none: nobody knows it.
fn find(name: &str, settings: &Settings, send: Send<'_>) -> Result<Result<Option<Position>, Trouble>, Failure> {
    let url = with_query(&settings.geocoding, &[("name", name), ("count", "1")]);
    let found = ask::<Found>("geocoding", url, send)?;
    Ok(found.map(|found| found.results.first().copied()))
}

/// Asks a service for JSON. What goes wrong there is a result, a refusal by the host is an error.
fn ask<T: DeserializeOwned>(service: &str, url: Url, send: Send<'_>) -> Result<Result<T, Trouble>, Failure> {
    const WHAT: &str = "Weather failed";
    let trouble = |message: String| Trouble { error: WHAT.to_owned(), message: Some(message) };
    let response = match send(&Ask::get(url, TIMEOUT)) {
        Ok(response) => response,
        Err(error) => return Trouble::of(WHAT, error).map(Err),
    };
    if response.status != 200 {
        return Ok(Err(trouble(format!("the {service} service answered {}", response.status))));
    }
    let not_so = |_: Error| trouble(format!("the {service} service answered something else than Open-Meteo does"));
    Ok(response.json::<T>().map_err(not_so))
}

fn with_query(url: &Url, pairs: &[(&str, &str)]) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().extend_pairs(pairs);
    url
}

/// The temperature with its unit, as people read it.
fn display(celsius: Option<&Number>, units: Units) -> String {
    let Some(celsius) = celsius else {
        return "—".to_owned();
    };
    match (units, celsius.as_f64()) {
        (Units::Fahrenheit, Some(degrees)) => {
            let fahrenheit = format!("{:.1}", degrees * 9.0 / 5.0 + 32.0);
            format!("{}°F", fahrenheit.strip_suffix(".0").unwrap_or(&fahrenheit))
        }
        (Units::Celsius, _) | (Units::Fahrenheit, None) => format!("{celsius}°C"),
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_sdk::http::Response;
    use serde_json::{Value, json};

    use super::*;
    use crate::web::tests::response;

    /// Answers of the shape that Open-Meteo gives.
    const PLACES: &str = include_str!("../cases/places.json");
    const NO_PLACES: &str = include_str!("../cases/no_places.json");
    const WEATHER: &str = include_str!("../cases/weather.json");

    /// The requests, and what came of them.
    fn run(
        location: &str,
        units: Units,
        answers: Vec<Result<Response, Error>>,
    ) -> (Vec<String>, Result<Value, Failure>) {
        let settings = Settings::read(Vec::new()).expect("they are right");
        let (mut asked, mut answers) = (Vec::new(), answers.into_iter());
        let weather = now(location, units, &settings, &mut |ask: &Ask| {
            asked.push(ask.url.to_string());
            answers.next().expect("a request more than there are answers")
        });
        (asked, weather.map(|weather| serde_json::to_value(weather).expect("it is JSON")))
    }

    fn ok(body: &str) -> Result<Response, Error> {
        Ok(response(200, &[("content-type", "application/json")], body))
    }

    #[test]
    fn the_weather_of_a_place_is_asked_for_by_its_position() {
        let (asked, weather) = run(" Berlin ", Units::Celsius, vec![ok(PLACES), ok(WEATHER)]);
        let current = "current=temperature_2m%2Crelative_humidity_2m%2Cweather_code%2Cwind_speed_10m";
        let expected = [
            "https://geocoding-api.open-meteo.com/v1/search?name=Berlin&count=1".to_owned(),
            format!("https://api.open-meteo.com/v1/forecast?latitude=52.52437&longitude=13.41053&{current}"),
        ];
        assert_eq!(asked, expected);
        let expected = json!({
            "location": "Berlin", "temperature": 13.4, "temperature_display": "13.4°C", "humidity_percent": 71,
            "weather_code": 3, "wind_speed_kmh": 11.9, "units": "celsius",
        });
        assert_eq!(weather, Ok(expected));
    }

    #[test]
    fn a_position_needs_no_name() {
        let (asked, weather) = run("-33.5 , 151", Units::Fahrenheit, vec![ok(WEATHER)]);
        assert!(
            asked[0].starts_with("https://api.open-meteo.com/v1/forecast?latitude=-33.5&longitude=151&"),
            "{asked:?}"
        );
        let weather = weather.expect("there is weather");
        assert_eq!((&weather["temperature"], &weather["temperature_display"]), (&json!(13.4), &json!("56.1°F")));
        let (_, nowhere) = run("91,0", Units::Celsius, vec![]);
        let why = "`location` is no position on Earth: latitude is from -90 to 90, longitude to ±180.";
        assert_eq!(nowhere, Err(Failure::invalid(why)));
    }

    #[test]
    fn a_name_cannot_add_to_the_request() {
        let (asked, _) = run("Paris&count=9#x", Units::Celsius, vec![ok(NO_PLACES)]);
        assert_eq!(asked, ["https://geocoding-api.open-meteo.com/v1/search?name=Paris%26count%3D9%23x&count=1"]);
    }

    #[test]
    fn what_is_not_known_is_a_result() {
        let (_, unknown) = run("Atlantis", Units::Celsius, vec![ok(NO_PLACES)]);
        assert_eq!(unknown, Ok(json!({"error": "Location not found", "location": "Atlantis"})));
        let (_, silent) = run("Berlin", Units::Celsius, vec![ok(PLACES), ok("{}")]);
        assert_eq!(silent, Ok(json!({"error": "No weather data", "location": "Berlin"})));
        let failed = |message: &str| Ok(json!({"error": "Weather failed", "message": message}));
        let (_, slow) = run("Berlin", Units::Celsius, vec![Err(Error::Timeout)]);
        assert_eq!(slow, failed("the server took too long"));
        let (_, broken) = run("Berlin", Units::Celsius, vec![ok(PLACES), Ok(response(500, &[], "oops"))]);
        assert_eq!(broken, failed("the forecast service answered 500"));
        let (_, other) = run("Berlin", Units::Celsius, vec![ok("<html>")]);
        assert_eq!(other, failed("the geocoding service answered something else than Open-Meteo does"));
    }

    #[test]
    fn a_refusal_is_no_result_and_neither_is_no_place() {
        let refused = Error::Denied { method: "GET".to_owned(), url: "https://a.example/".to_owned() };
        let (_, denied) = run("Berlin", Units::Celsius, vec![Err(refused)]);
        assert_eq!(denied, Err(Failure::denied_request("GET", "https://a.example/")));
        let (_, nowhere) = run("  ", Units::Celsius, vec![]);
        assert!(matches!(nowhere, Err(Failure::InvalidArguments(_))));
    }

    #[test]
    fn a_temperature_is_shown_as_people_write_it() {
        let shown = |degrees: &str, units| display(Some(&serde_json::from_str(degrees).expect("a number")), units);
        assert_eq!(shown("20", Units::Fahrenheit), "68°F");
        assert_eq!(shown("21.2", Units::Fahrenheit), "70.2°F");
        assert_eq!(shown("-0.5", Units::Celsius), "-0.5°C");
        assert_eq!(display(None, Units::Celsius), "—");
    }
}
