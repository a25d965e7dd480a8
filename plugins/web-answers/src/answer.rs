//! The answer, without what the service writes into it for programs.

use bailiwick_sdk::Failure;
use bailiwick_web_api::paragraphs;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Blocks in the text of an answer that are not part of it: sources, entities, costs.
const BLOCKS: [(&str, &str); 3] =
    [("<citation>", "</citation>"), ("<enum_item>", "</enum_item>"), ("<usage>", "</usage>")];

/// What `web_answers` gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Answer {
    /// What was asked.
    query: String,
    /// The answer, as Markdown. Written by others.
    pub(crate) answer: String,
    /// Why the answer ends before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Answer {
    /// Reads a chat completion.
    ///
    /// # Errors
    ///
    /// `upstream.*`: there is no text in it.
    pub(crate) fn read(query: &str, completion: &Value) -> Result<Self, Failure> {
        let choice = &completion["choices"][0];
        let text = choice["message"]["content"].as_str().unwrap_or_default();
        let answer = paragraphs(&without_blocks(text));
        if answer.is_empty() {
            return Err(Failure::upstream("The answer of Brave Answers has no text.", None));
        }
        let is_cut = choice["finish_reason"] == "length";
        let error = is_cut.then(|| "The service cut the answer off.".to_owned());
        Ok(Self { query: query.to_owned(), answer, error })
    }
}

/// The text without the blocks. Of one that does not end, the rest of its line goes.
fn without_blocks(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, begin, end)) = next_block(rest) {
        kept.push_str(&rest[..at]);
        let inside = &rest[at + begin.len()..];
        rest = match inside.split_once(end) {
            Some((_, after)) => after,
            None => inside.find('\n').map_or("", |line_end| &inside[line_end..]),
        };
    }
    kept.push_str(rest);
    kept
}

/// The first block: where it begins, and its two tags.
fn next_block(text: &str) -> Option<(usize, &'static str, &'static str)> {
    BLOCKS.iter().filter_map(|(begin, end)| text.find(begin).map(|at| (at, *begin, *end))).min()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(content: &str, expected: &str) {
        let completion = json!({"choices": [{"message": {"content": content}}]});
        assert_eq!(Answer::read("q", &completion).map(|answer| answer.answer), Ok(expected.to_owned()));
    }

    #[test]
    fn blocks_for_programs_go() {
        check(
            "It is 42<citation>{\"number\":1,\"url\":\"https://a.example\"}</citation>, they say.\n\
             <enum_item>{\"uuid\":\"1\"}</enum_item>- one\n<usage>{\"X-Request-Queries\":1}</usage>",
            "It is 42, they say.\n- one",
        );
        check("A < B and <b>c</b>", "A < B and <b>c</b>");
        check("Text <citation>{\"number\":1\nand more<usage>{", "Text \nand more");
        check("a<citation><usage></citation>b</usage>c", "ab</usage>c");
    }

    #[test]
    fn what_would_drive_a_terminal_goes_too() {
        check("a\u{1b}[2J\u{202e}b\r\nc", "a[2Jb\nc");
    }

    #[test]
    fn an_answer_that_was_cut_off_says_so() {
        let completion = json!({"choices": [{"finish_reason": "length", "message": {"content": "It is"}}]});
        let answer = Answer::read("q", &completion).expect("there is text");
        let told = json!({"query": "q", "answer": "It is", "error": "The service cut the answer off."});
        assert_eq!(serde_json::to_value(answer).expect("JSON"), told);
    }
}
