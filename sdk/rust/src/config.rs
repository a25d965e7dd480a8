//! The plugin's own settings (TOML: `[plugins.NAME.config]`), over `wasi:config/store`.
//!
//! Every function panics, which ends the call, if the host cannot read its own configuration.

use serde::de::DeserializeOwned;

use crate::Failure;
use crate::bindings::wasi::config::store;

/// The setting `key` as text; none: the operator did not set it.
pub fn get(key: &str) -> Option<String> {
    store::get(key).expect("the host could not read the plugin's configuration")
}

/// The setting `key` as a `T`; none: the operator did not set it.
///
/// The text is read as JSON (`3`, `true`, `["a", "b"]`), and as a plain string where that does not give a `T`.
///
/// # Errors
///
/// [`Failure::NotConfigured`], naming the key, when the text is no `T`.
///
/// ```no_run
/// # fn example() -> Result<(), bailiwick_sdk::Failure> {
/// let retries: u32 = bailiwick_sdk::config::get_as("retries")?.unwrap_or(3);
/// # Ok(())
/// # }
/// ```
pub fn get_as<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Failure> {
    get(key).map(|text| read(key, &text)).transpose()
}

/// Every setting, as pairs of key and text.
pub fn all() -> Vec<(String, String)> {
    store::get_all().expect("the host could not read the plugin's configuration")
}

fn read<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, Failure> {
    let as_json = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| Failure::not_configured(format!("The setting `{key}` cannot be used: {as_json}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_json_or_plain_text() {
        assert_eq!(read("n", "3"), Ok(3));
        assert_eq!(read("on", "true"), Ok(true));
        assert_eq!(read("names", r#"["a", "b"]"#), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(read("name", "Ada"), Ok("Ada".to_owned()));
        assert_eq!(read("name", "42"), Ok("42".to_owned()));
    }

    #[test]
    fn a_setting_of_the_wrong_kind_names_its_key() {
        let expected = "The setting `n` cannot be used: invalid type: boolean `true`, expected u32 at line 1 column 4.";
        assert_eq!(read::<u32>("n", "true"), Err(Failure::not_configured(expected)));
    }
}
