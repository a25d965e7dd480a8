//! What a plugin asks its caller beside a form, several things at once, and what it tells it on the way.

use bailiwick::channel::{Able, Answer, Channel, LogLine, LogSink, Matter, Question};
use serde_json::json;
use tokio::sync::mpsc;
use tracing::Level;

use crate::support::host::TestHost;

const CONFORMANCE: &str = "[plugins.conformance]\ncomponent = \"conformance.wasm\"\n";
const EVERYTHING: Able = Able { input: true, sample: true, roots: true };

/// A caller who can be asked `able`, and what it was asked.
fn caller(able: Able) -> (Channel, mpsc::Receiver<Question>) {
    let (questions, asked) = mpsc::channel(1);
    (Channel { questions: Some(questions), able, ..Channel::default() }, asked)
}

/// Answers everything; gives back each question as text.
fn answering(mut asked: mpsc::Receiver<Question>) -> tokio::task::JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let (mut heard, mut open) = (Vec::new(), Vec::new());
        while let Some(question) = asked.recv().await {
            let (what, answer) = match &question.matter {
                Matter::Form { message, .. } => (message.clone(), json!({"name": "Ada", "color": "blue", "ok": true})),
                Matter::Sample(sampling) => (
                    format!("{:?} {}", sampling.messages, sampling.max_tokens),
                    json!({"text": "Hello!", "model": "m"}),
                ),
                Matter::Roots => {
                    ("roots".to_owned(), json!([{"uri": "file:///here", "name": "Here"}, {"uri": "file:///there"}]))
                }
            };
            heard.push(format!("{} {}: {what}", question.key, question.more));
            open.push((question.reply, answer));
            // All that is asked together is heard before anything is answered.
            if question.more == 0 {
                open.drain(..).for_each(|(reply, answer)| drop(reply.send(Answer::Accepted(answer))));
            }
        }
        heard
    })
}

#[tokio::test]
async fn what_a_caller_cannot_be_asked_is_told_by_its_code() {
    let host = TestHost::new(CONFORMANCE).await;
    let asked =
        async |host: &TestHost, tool: &str| host.told(tool, json!({})).await.split(':').next().unwrap().to_owned();
    assert_eq!(asked(&host, "test_input_required_result_elicitation").await, "caller.no-input");
    assert_eq!(asked(&host, "test_missing_capability").await, "caller.no-sampling");
    assert_eq!(asked(&host, "test_input_required_result_list_roots").await, "caller.no-roots");
    // One of three is enough, and nothing is asked then.
    let (channel, received) = caller(Able { roots: false, ..EVERYTHING });
    let host = host.channel(channel);
    assert_eq!(asked(&host, "test_input_required_result_multiple_inputs").await, "caller.no-roots");
    let heard = answering(received);
    drop(host.channel(Channel::default()));
    assert_eq!(heard.await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_model_roots_and_several_things_at_once_can_be_asked() {
    let (channel, received) = caller(EVERYTHING);
    let heard = answering(received);
    let host = TestHost::new(CONFORMANCE).await.channel(channel);
    assert_eq!(host.told("test_sampling", json!({"prompt": "Well?"})).await, "ok: LLM response: Hello!");
    let roots = "ok: file:///here\nfile:///there";
    assert_eq!(host.told("test_input_required_result_list_roots", json!({})).await, roots);
    assert_eq!(host.told("test_input_required_result_multiple_inputs", json!({})).await, "ok: 3 answers");
    let both = "ok: \"Ada\" likes \"blue\"";
    assert_eq!(host.told("test_input_required_result_multi_round", json!({})).await, both);
    drop(host.channel(Channel::default()));
    let expected = [
        "sample 0: [(User, \"Well?\")] 100",
        "client_roots 0: roots",
        "user_name 2: What is your name?",
        "greeting 1: [(User, \"Generate a greeting\")] 50",
        "client_roots 0: roots",
        "step1 0: Step 1: What is your name?",
        "step2 0: Step 2: What is your favorite color?",
    ];
    assert_eq!(heard.await.unwrap(), expected);
}

#[tokio::test]
async fn a_plugin_knows_what_its_caller_can_be_asked() {
    for (able, expected) in [(EVERYTHING, 2), (Able { input: false, ..EVERYTHING }, 1), (Able::NOTHING, 0)] {
        let (channel, received) = caller(able);
        let heard = answering(received);
        let host = TestHost::new(CONFORMANCE).await.channel(channel);
        let told = host.told("test_input_required_result_capabilities", json!({})).await;
        assert_eq!(told, format!("ok: {expected} answers"));
        drop(host.channel(Channel::default()));
        assert_eq!(heard.await.unwrap().len(), expected);
    }
}

#[tokio::test]
async fn lines_of_the_log_reach_a_caller_who_asked_for_them() {
    let heard = async |least| {
        let (lines, mut received) = mpsc::channel(8);
        let channel = Channel { log: Some(LogSink { least, lines }), ..Channel::default() };
        let host = TestHost::new(CONFORMANCE).await.channel(channel);
        assert_eq!(host.told("test_tool_with_logging", json!({})).await, "ok: Logged three lines.");
        drop(host.channel(Channel::default()));
        let mut heard = Vec::new();
        while let Some(LogLine { level, plugin, text }) = received.recv().await {
            heard.push(format!("{level} {plugin} {text}"));
        }
        heard
    };
    let expected = [
        "INFO conformance Tool execution started",
        "INFO conformance Tool processing data",
        "INFO conformance Tool execution completed",
    ];
    assert_eq!(heard(Level::INFO).await, expected);
    assert_eq!(heard(Level::WARN).await, Vec::<String>::new());
}
