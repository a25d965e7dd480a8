//! A plugin with prompts and resources and no tools.

use bailiwick_sdk::context::{Message, Subject};
use bailiwick_sdk::prelude::*;

#[bailiwick_sdk::plugin]
mod house {
    use super::*;

    /// Greets somebody.
    #[prompt(title = "Greeting")]
    fn greet(
        /// Whom.
        name: String,
        /// How.
        manner: Option<String>,
    ) -> Vec<Message> {
        let manner = manner.unwrap_or_else(|| "kindly".to_owned());
        vec![Message::user(format!("Greet {name} {manner}.")), Message::assistant("Gladly.")]
    }

    /// Tells a secret.
    #[prompt]
    fn blab() -> Result<String, Failure> {
        Ok(format!("It is {}!", secret::reveal("TOKEN")?))
    }

    /// As long as it is told.
    #[prompt]
    fn long(bytes: String) -> String {
        "x".repeat(bytes.parse().unwrap_or_default())
    }

    /// Comes to no end.
    #[prompt]
    fn endless() -> String {
        loop {
            std::hint::spin_loop();
        }
    }

    /// The rules of the house.
    #[resource(uri = "house://rules", title = "Rules", mime_type = "text/plain", size = 8)]
    fn rules() -> &'static str {
        "Be kind."
    }

    /// What happened on a day.
    #[resource(template = "house://diary/{day}", mime_type = "text/plain")]
    fn diary(day: String) -> Result<String, Failure> {
        if day == "never" {
            Err(Failure::not_found("There is no such day."))
        } else {
            Ok(format!("On {day} it rained."))
        }
    }

    #[complete]
    fn suggest(subject: Subject, argument: String, value: String, known: Vec<(String, String)>) -> Vec<String> {
        let of = match subject {
            Subject::Prompt(name) | Subject::Template(name) => name,
        };
        vec![format!("{value}!"), of, argument, format!("{known:?}")]
    }
}
