//! What callers send, and what they are told.

use super::*;

fn ran(said: Value) -> Ran {
    Ran::read(said).unwrap()
}

fn custom() -> Kind {
    Kind::Custom(Custom { language: Language::Python, source: "def main(x): return x".to_owned() })
}

#[test]
fn a30_empty_code_is_refused_and_an_odd_time_means_ten_seconds() {
    let failure = Kind::Executor.run(&json!({"code": "  "})).unwrap_err();
    assert_eq!(
        (failure.code, failure.message.as_str()),
        (Code::ArgumentsInvalid, "code_executor: code must not be empty")
    );
    for (given, seconds) in [(json!(1), 1), (json!(30), 30), (json!(0), 10), (json!(31), 10), (json!(-5), 10)] {
        let run = Kind::Executor.run(&json!({"code": "1", "timeout_seconds": given})).unwrap();
        assert_eq!(run.time, Duration::from_secs(seconds), "{given}");
    }
    let run = Kind::Executor.run(&json!({"code": "1"})).unwrap();
    assert_eq!((run.language, run.form, run.tools), (Language::JavaScript, Form::Script, false));
}

#[test]
fn a30_the_result_has_what_there_is_and_errors_are_part_of_it() {
    let told = |said: Value| Kind::Executor.answer(ran(said)).unwrap().structured.unwrap();
    let all = told(json!({"output": "a\nb", "value": 3, "duration_ms": 1.2345678}));
    assert_eq!(all, json!({"output": "a\nb", "return_value": 3, "duration_ms": 1.235}));
    assert_eq!(told(json!({"duration_ms": 2})), json!({"duration_ms": 2.0}));
    let fault = json!({"kind": "runtime", "message": "Error: no", "line": 1, "column": 7});
    let failed = told(json!({"output": "before", "error": fault, "duration_ms": 1}));
    assert_eq!(failed["error"], "runtime error: Error: no (line 1, column 7)");
    assert_eq!(failed["output"], "before");
}

#[test]
fn a30_all_that_was_printed_is_linked_where_it_is_more_than_is_told() {
    let output = Kind::Executor.answer(ran(json!({"output": "…", "artifact": "artifact://c/output.txt"}))).unwrap();
    assert!(matches!(&output.content[1], Content::Link(link) if link.uri == "artifact://c/output.txt"));
    let large = json!({"value": "too large", "value_artifact": "artifact://c/value.json"});
    for kind in [Kind::Executor, Kind::Mode] {
        let output = kind.answer(ran(large.clone())).unwrap();
        assert!(matches!(&output.content[1], Content::Link(link) if link.name == "value.json"), "{kind:?}");
    }
}

#[test]
fn n22_logs_come_before_what_is_returned() {
    let told = |said: Value| Kind::Mode.answer(ran(said)).map(|output| output.plain());
    assert_eq!(told(json!({"output": "one\ntwo", "value": "done"})).unwrap(), "[logs]\none\ntwo\n\ndone");
    assert_eq!(told(json!({"value": {"n": 1}})).unwrap(), "{\n  \"n\": 1\n}");
    assert_eq!(told(json!({})).unwrap(), "undefined");
    let fault = json!({"kind": "timeout", "message": "execution timed out after 30000ms"});
    let failure = told(json!({"output": "so far", "error": fault})).unwrap_err();
    assert_eq!(failure.code, Code::LimitTime);
    assert_eq!(failure.message, "execution timed out after 30000ms\n[logs]\nso far");
}

#[test]
fn g13_an_object_is_the_result_and_anything_else_is_its_output() {
    let told = |said: Value| custom().answer(ran(said)).unwrap().structured.unwrap();
    assert_eq!(told(json!({"value": {"n": 1}})), json!({"n": 1}));
    assert_eq!(told(json!({"value": [1]})), json!({"output": [1]}));
    assert_eq!(told(json!({"main": false})), json!({"output": "No main() defined"}));
    assert_eq!(told(json!({})), json!({"output": null}));
    let run = custom().run(&json!({"a": 1})).unwrap();
    assert_eq!((run.form, run.input), (Form::Main, Some(json!({"a": 1}))));
}

#[test]
fn definitions_are_such_as_callers_can_be_shown() {
    for definition in [executor(), mode(), runner()] {
        crate::registry::check_definitions(&[definition]).unwrap();
    }
}

#[test]
fn g16_std_run_code_runs_main_and_tells_how_it_failed() {
    let run = Kind::Runner.run(&json!({"language": "python", "code": "def main(x): return x", "input": [1]})).unwrap();
    assert_eq!((run.language, run.form, run.input), (Language::Python, Form::Main, Some(json!([1]))));
    let told = |said: Value| Kind::Runner.answer(ran(said)).unwrap().structured.unwrap();
    assert_eq!(told(json!({"value": 5})), json!({"output": 5}));
    let fault = json!({"kind": "runtime", "message": "ValueError: no", "stack": "Traceback …"});
    assert_eq!(
        told(json!({"output": "before", "error": fault})),
        json!({"error": "runtime error: ValueError: no", "stdout": "before", "stderr": "Traceback …", "exitCode": 1})
    );
    assert_eq!(Kind::Runner.run(&json!({"code": ""})).unwrap_err().message, "std-run-code: code must not be empty");
}
