//! Calls that wait for answers between two requests, as 2026-07-28 has it: the first request ends with the questions
//! and a `requestState`, the client sends the call again with both, and the call goes on where it was.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{InputRequests, InputRequiredResult, InputResponses};
use tokio::time::Instant;

use super::call::{Asked, Running};
use super::question;
use crate::channel::{Answer, Asker, Question};

/// Calls that may wait at once; one more, and the one that has waited longest is cancelled.
const MAX_PARKED: usize = 64;
/// How long a plugin's question stands.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much longer than a question stands its call is kept, so that the client also learns that time ran out.
const LONGER: Duration = Duration::from_secs(30);
/// The calls that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Parked(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    state: String,
    until: Instant,
    call: Running,
    /// Those that are not answered yet.
    questions: Vec<Question>,
}

/// What became of a call with a question.
#[derive(Debug)]
pub(super) enum Parking {
    /// It waits; this tells the client so.
    Waits(InputRequiredResult),
    /// It goes on.
    GoesOn(Running),
}

impl Parked {
    /// Lets `call` wait for the answers to `questions`, which were asked together; it goes on at once when none of them can
    /// be asked. What was `given` before it was asked counts as an answer to a plugin, never to the host.
    pub(super) fn park(&self, call: Running, questions: Vec<Question>, given: Option<&InputResponses>) -> Parking {
        let early = |question: &Question| match question.from {
            Asker::Host => None,
            Asker::Plugin(_) => question::read(&question.matter, given?.get(&question.key)?).ok(),
        };
        let (mut open, mut requests) = (Vec::new(), InputRequests::new());
        for question in questions {
            match (early(&question), question::request(&question)) {
                (Some(answer), _) => drop(question.reply.send(answer)),
                (None, None) => drop(question.reply.send(Answer::Unavailable)),
                (None, Some(request)) => {
                    requests.insert(question.key.clone(), request);
                    open.push(question);
                }
            }
        }
        let Some(state) = new_state().filter(|_| !open.is_empty()) else {
            open.into_iter().for_each(|question| drop(question.reply.send(Answer::Unavailable)));
            return Parking::GoesOn(call);
        };
        let mut entries = self.entries();
        if entries.len() >= MAX_PARKED {
            let oldest = entries.remove(0);
            tracing::warn!(call = %oldest.call.id, "too many calls wait for an answer; the oldest is cancelled");
        }
        let stands = open.iter().filter_map(|question| question.approval).max().unwrap_or(PATIENCE);
        let until = Instant::now() + stands + LONGER;
        entries.push(Entry { state: state.clone(), until, call, questions: open });
        Parking::Waits(InputRequiredResult::new(Some(requests), Some(state)))
    }

    /// Answers the questions of the call behind `state`; those that stay open are asked again.
    ///
    /// # Errors
    /// When there is none, what is `asked` is another call, or its answer cannot be read; the call goes on waiting.
    pub(super) fn resume(&self, state: &str, asked: &Asked<'_>) -> Result<Parking, ErrorData> {
        let mut entries = self.entries();
        let waiting = entries.iter().position(|entry| entry.state == state && entry.until > Instant::now());
        let index = waiting
            .ok_or_else(|| invalid("`requestState` is unknown or has expired; make the call again without it"))?;
        if !entries[index].call.is(asked) {
            return Err(invalid("`requestState` belongs to another call"));
        }
        let answer = |question: &Question| {
            let answer = asked.responses.and_then(|responses| responses.get(&question.key));
            let answer = answer.map(|answer| question::read(&question.matter, answer)).transpose();
            answer.map_err(|error| invalid(format!("`inputResponses.{}` is no answer: {error}", question.key)))
        };
        let answers: Vec<Option<Answer>> = entries[index].questions.iter().map(answer).collect::<Result<_, _>>()?;
        let Entry { call, questions, .. } = entries.remove(index);
        drop(entries);
        let mut open = Vec::new();
        for (question, answer) in questions.into_iter().zip(answers) {
            match answer {
                // Whoever asked has given up: the call's outcome says so.
                _ if question.reply.is_closed() => {}
                None => open.push(question),
                Some(answer) => drop(question.reply.send(answer)),
            }
        }
        if open.is_empty() { Ok(Parking::GoesOn(call)) } else { Ok(self.park(call, open, None)) }
    }

    /// Cancels what has waited too long.
    pub(super) fn expire(&self) {
        let now = Instant::now();
        self.entries().retain(|entry| entry.until > now);
    }

    /// Cancels everything.
    pub(super) fn clear(&self) {
        self.entries().clear();
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn invalid(message: impl Into<String>) -> ErrorData {
    ErrorData::invalid_params(message.into(), None)
}

/// 128 random bits; none when the machine has none to give.
fn new_state() -> Option<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).ok()?;
    Some(hex::encode(bits))
}

#[cfg(test)]
mod tests {
    use bailiwick_core::name::PluginName;
    use rmcp::model::CallToolRequestParams;
    use serde_json::json;
    use tokio::sync::oneshot;

    use super::*;
    use crate::channel::Matter;

    fn question() -> (Question, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let schema = json!({"type": "object", "properties": {}});
        let matter = Matter::Form { message: "may it run?".to_owned(), schema };
        (Question { from: Asker::Host, key: KEY.to_owned(), matter, approval: None, more: 0, reply }, answer)
    }

    const KEY: &str = "confirm";

    fn park(parked: &Parked) -> (String, oneshot::Receiver<Answer>) {
        let (question, answer) = question();
        match parked.park(Running::endless("read"), vec![question], None) {
            Parking::Waits(result) => (result.request_state.unwrap(), answer),
            Parking::GoesOn(call) => panic!("{call:?} does not wait"),
        }
    }

    fn request(tool: &'static str, answer: Option<&str>) -> CallToolRequestParams {
        let request = CallToolRequestParams::new(tool);
        match answer {
            Some(action) => request.with_input_responses([(KEY.to_owned(), json!({"action": action}))].into()),
            None => request,
        }
    }

    fn resume(parked: &Parked, state: &str, request: &CallToolRequestParams) -> String {
        match parked.resume(state, &Asked::from(request)) {
            Ok(Parking::GoesOn(_)) => "goes on".to_owned(),
            Ok(Parking::Waits(_)) => "waits".to_owned(),
            Err(error) => format!("{} {}", error.code.0, error.message),
        }
    }

    #[tokio::test]
    async fn an_answer_reaches_the_call_once() {
        let parked = Parked::default();
        let (state, mut answer) = park(&parked);
        assert_eq!(resume(&parked, &state, &request("read", Some("accept"))), "goes on");
        assert_eq!(answer.try_recv(), Ok(Answer::Accepted(json!({}))));
        let unknown = "-32602 `requestState` is unknown or has expired; make the call again without it";
        assert_eq!(resume(&parked, &state, &request("read", Some("accept"))), unknown);
        assert_eq!(resume(&parked, "", &request("read", Some("accept"))), unknown);
    }

    #[tokio::test]
    async fn what_does_not_answer_leaves_the_call_waiting() {
        let parked = Parked::default();
        let (state, mut answer) = park(&parked);
        let other = "-32602 `requestState` belongs to another call";
        assert_eq!(resume(&parked, &state, &request("write", Some("accept"))), other);
        assert!(
            resume(&parked, &state, &request("read", Some("maybe"))).starts_with("-32602 `inputResponses.confirm`")
        );
        assert_eq!(resume(&parked, &state, &request("read", None)), "waits");
        assert!(resume(&parked, &state, &request("read", Some("accept"))).starts_with("-32602"), "asked anew");
        assert!(answer.try_recv().is_err());
    }

    #[tokio::test]
    async fn questions_asked_together_can_be_answered_one_by_one() {
        let parked = Parked::default();
        let (first, mut one) = question();
        let (second, mut two) = question();
        let second = Question { key: "other".to_owned(), ..second };
        let Parking::Waits(result) = parked.park(Running::endless("read"), vec![first, second], None) else {
            panic!("it waits")
        };
        assert_eq!(result.input_requests.unwrap().into_keys().collect::<Vec<_>>(), ["confirm", "other"]);
        let again = parked.resume(&result.request_state.unwrap(), &Asked::from(&request("read", Some("decline"))));
        let Ok(Parking::Waits(rest)) = again else { panic!("one is open") };
        assert_eq!((one.try_recv(), two.try_recv().is_err()), (Ok(Answer::Declined), true));
        assert_eq!(rest.input_requests.unwrap().into_keys().collect::<Vec<_>>(), ["other"]);
    }

    #[tokio::test]
    async fn what_was_given_before_it_was_asked_answers_a_plugin_and_never_the_host() {
        let given = request("read", Some("accept")).input_responses.unwrap();
        let parked = Parked::default();
        let (asked, _answer) = question();
        assert!(matches!(parked.park(Running::endless("read"), vec![asked], Some(&given)), Parking::Waits(_)));
        let (asked, mut answer) = question();
        let asked = Question { from: Asker::Plugin(PluginName::parse("polite").unwrap()), ..asked };
        assert!(matches!(parked.park(Running::endless("read"), vec![asked], Some(&given)), Parking::GoesOn(_)));
        assert_eq!(answer.try_recv(), Ok(Answer::Accepted(json!({}))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_so_long_and_in_such_company() {
        let parked = Parked::default();
        let (first, answer) = park(&parked);
        let others: Vec<_> = (0..MAX_PARKED).map(|_| park(&parked)).collect();
        assert!(answer.await.is_err(), "the oldest made room");
        assert!(resume(&parked, &first, &request("read", Some("accept"))).starts_with("-32602"));
        tokio::time::advance(PATIENCE + LONGER).await;
        assert!(resume(&parked, &others[0].0, &request("read", Some("accept"))).starts_with("-32602"));
        parked.expire();
        for (_, answer) in others {
            assert!(answer.await.is_err());
        }
    }
}
