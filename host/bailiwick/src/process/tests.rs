//! What programs say and how they end: real ones, without a cage. What a cage holds is tested with the keeper's own tests,
//! and from the outside in `tests/native.rs`.
#![expect(clippy::disallowed_methods, reason = "tests start programs and write scripts of their own")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bailiwick_core::config::Trust;
use bailiwick_core::outcome::Content;
use bailiwick_core::registry::check_definitions;
use bailiwick_core::schema::ArgumentSchema;
use serde_json::json;
use tokio::sync::{oneshot, watch};

use super::*;

type Child =
    Streams<tokio::process::ChildStdin, tokio::process::ChildStdout, tokio::process::ChildStderr, oneshot::Sender<()>>;

/// A program in a process group of its own, which ends with its leash.
fn started(argv: &[&str]) -> Child {
    let mut command = tokio::process::Command::new(argv[0]);
    command.args(&argv[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().unwrap();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let group = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    let (leash, dropped) = oneshot::channel::<()>();
    let (told, ended) = watch::channel(None);
    tokio::spawn(async move {
        let kill = || rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let status = tokio::select! {
            status = child.wait() => status.unwrap(),
            _ = dropped => {
                let _ = kill();
                child.wait().await.unwrap()
            }
        };
        told.send_replace(Some(Ended { code: status.code(), signal: status.signal(), over: None }));
        let _ = kill();
    });
    Streams { stdin: stdin.unwrap(), stdout: stdout.unwrap(), stderr: stderr.unwrap(), ended, leash }
}

async fn said(command: &str, input: &str, most: usize) -> Said {
    let argv = ["bash", "--noprofile", "--norc", "-c", "--", command];
    let Ran { stdout, stderr, ended } = attend(started(&argv), input.as_bytes(), (most, most)).await;
    Said { stdout, stderr, ended: ended.unwrap() }
}

async fn bash(command: &str) -> String {
    shell::bash_said(said(command, "", 1 << 20).await)
}

#[tokio::test]
async fn t15_what_bash_said_has_the_form_it_always_had() {
    assert_eq!(bash("echo hi").await, "hi\n");
    assert_eq!(bash("true").await, "(no output)");
    assert_eq!(bash("echo out; echo err >&2").await, "out\n\n[stderr]\nerr\n");
    assert_eq!(bash("printf out; printf err >&2; exit 3").await, "out\n[stderr]\nerr\n[exit code: 3]");
    assert_eq!(bash("false").await, "[exit code: 1]");
    assert_eq!(bash("-x").await.lines().last(), Some("[exit code: 127]"), "a dash is no option of the shell's");
}

#[tokio::test]
async fn sh14_exit_codes_and_signals_are_told_apart() {
    assert!(bash("no-such-program").await.ends_with("[exit code: 127]"));
    assert!(bash("/etc").await.ends_with("[exit code: 126]"));
    assert_eq!(bash("kill -9 $$").await, "[exit code: -9]");
}

#[tokio::test]
async fn n18_a_command_in_the_sandbox_has_succeeded_if_its_code_is_zero() {
    let text = |output: Output| match output.content.into_iter().next() {
        Some(Content::Text(text)) => text,
        other => panic!("{other:?}"),
    };
    let done = shell::exit_said(said("printf out; printf err >&2", "", 1_000).await).map(text);
    assert_eq!(done.unwrap(), "out\n[stderr]\nerr\nExit code: 0");
    assert_eq!(shell::exit_said(said("true", "", 1_000).await).map(text).unwrap(), "Exit code: 0");
    let failed = shell::exit_said(said("echo why >&2; exit 4", "", 1_000).await).unwrap_err();
    assert_eq!((failed.code, failed.message.as_str()), (Code::ToolFailed, "[stderr]\nwhy\n\nExit code: 4"));
    let failed = shell::exit_said(said("seq 100000; echo the reason; exit 4", "", 1 << 20).await).unwrap_err();
    assert!(failed.message.starts_with("1\n2\n") && failed.message.ends_with("the reason\n\nExit code: 4"));
    assert!(failed.message.len() < 4_000, "{}", failed.message.len());
}

#[tokio::test]
async fn sh7_a_program_that_asks_gets_the_end_of_its_input() {
    assert_eq!(bash("read -r answer; echo \"$? [$answer]\"").await, "1 []\n");
    assert_eq!(bash("test -t 0 || echo no terminal").await, "no terminal\n");
}

#[tokio::test]
async fn sh8_what_keeps_a_stream_open_is_not_waited_for() {
    let start = Instant::now();
    assert_eq!(bash("echo done; sleep 60 & disown").await, "done\n");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn sh6_a_stream_without_end_ends_with_its_reader_and_is_kept_in_part() {
    let endless = said("yes | head -c 50000000; echo the end", "", 10_000);
    let text = shell::bash_said(endless.await);
    assert!(text.starts_with("y\ny\n") && text.ends_with("the end\n") && text.contains("bytes left out"), "{text}");
    assert!(text.len() < 10_200, "{}", text.len());
}

#[tokio::test]
async fn input_that_nobody_reads_and_output_that_nobody_expects_hold_nobody_up() {
    let input = "x".repeat(1 << 20);
    let unread = said("exec <&-; echo went on", &input, 1_000).await;
    assert_eq!(shell::bash_said(unread), "went on\n");
    let both = said("cat; cat /dev/null", &input, 4 << 20).await;
    assert_eq!(shell::bash_said(both).len(), 1 << 20);
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_its_program() {
    let streams = started(&["bash", "-c", "sleep 60"]);
    let mut ended = streams.ended.clone();
    let given_up = tokio::time::timeout(Duration::from_millis(50), attend(streams, b"", (10, 10))).await;
    assert!(given_up.is_err());
    let how = *ended.wait_for(Option::is_some).await.unwrap();
    assert_eq!(how, Some(Ended { code: None, signal: Some(9), over: None }));
}

#[test]
fn every_tool_here_is_high_risk_and_can_be_published() {
    let tools = [
        shell::bash(600),
        shell::sandbox_exec(300, Trust::Sandboxed),
        agent::definition_of("code_agent", 600, Trust::Trusted),
    ];
    check_definitions(&tools).unwrap();
    for tool in &tools {
        assert_eq!(tool.risk, Risk::High, "{}", tool.name);
        ArgumentSchema::compile(&tool.input_schema, &[], Map::new()).unwrap();
    }
}

#[test]
fn sh17_a_time_that_is_none_is_refused() {
    let schema = ArgumentSchema::compile(&shell::bash(300).input_schema, &[], Map::new()).unwrap();
    let code = |timeout: &str| {
        let arguments = format!("{{\"command\": \"true\", \"timeout\": {timeout}}}");
        schema.prepare(&arguments).map_err(|failure| failure.code)
    };
    for legal in ["1", "300", "\"5\"", "60.0"] {
        assert!(code(legal).is_ok(), "{legal}");
    }
    for wrong in ["0", "-1", "301", "1e300", "\"NaN\"", "\"for ever\"", "[1]", "1.5"] {
        assert_eq!(code(wrong).unwrap_err(), Code::ArgumentsInvalid, "{wrong}");
    }
    assert_eq!(code("NaN").unwrap_err(), Code::ArgumentsInvalid);
}

#[test]
fn what_no_program_can_be_given_is_refused_before_one_is_started() {
    let word = |text: &str| Arguments::read(&json!({"command": text}).to_string()).unwrap().word("command");
    assert_eq!(word("x").unwrap(), "x");
    assert!(word(&"x".repeat(MAX_ARGUMENT)).is_ok());
    assert_eq!(word(&"x".repeat(MAX_ARGUMENT + 1)).unwrap_err().code, Code::ArgumentsTooLarge);
    assert_eq!(word("a\0b").unwrap_err().code, Code::ArgumentsInvalid);
}

fn put(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

const GREET: &str = r#"{"name": "greet", "description": "Greets.", "parameters": {"type": "object", "properties": {"name": {"type": "string"}}}}"#;

fn described(name: &str) -> String {
    GREET.replace("greet", name)
}

#[test]
fn a40_a_program_with_a_description_is_a_tool_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str, mode| put(folder.path(), name, text, mode);
    put("greet.sh", "#!/bin/sh\n", 0o755);
    put("greet.tool.json", GREET, 0o644);
    put("count.py", "#!/usr/bin/env python3\n", 0o700);
    put("count.tool.json", r#"{"name": "count", "description": "Counts."}"#, 0o600);
    // Told to nobody.
    put("plain.sh", "#!/bin/sh\n", 0o644);
    put("plain.tool.json", &described("plain"), 0o644);
    put("alone.sh", "#!/bin/sh\n", 0o755);
    put("README.md", "text", 0o644);
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    // Told.
    let wrong = [
        ("bad_json", "{"),
        ("no_name", r#"{"name": " ", "description": "x"}"#),
        ("no_text", r#"{"name": "x", "description": ""}"#),
        ("no_object", "[]"),
        ("odd_name", r#"{"name": "x y", "description": "x"}"#),
        ("odd_schema", r#"{"name": "x", "description": "x", "parameters": {"type": "array"}}"#),
        ("hidden", "{\"name\": \"x\", \"description\": \"a\u{202e}b\"}"),
        ("twice", r#"{"name": "greet", "description": "Greets too."}"#),
        ("double", r#"{"name": "x", "name": "y", "description": "x"}"#),
    ];
    for (base, text) in wrong {
        put(&format!("{base}.sh"), "#!/bin/sh\n", 0o755);
        put(&format!("{base}.tool.json"), text, 0o644);
    }
    put("open.sh", "#!/bin/sh\n", 0o777);
    put("open.tool.json", &described("open"), 0o644);
    std::os::unix::fs::symlink("greet.sh", folder.path().join("link.sh")).unwrap();
    put("link.tool.json", &described("link"), 0o644);

    let scripts = Scripts::read(folder.path()).unwrap();
    let names: Vec<String> = scripts.definitions().into_iter().map(|tool| tool.name).collect();
    assert_eq!(names, ["count", "greet"]);
    assert_eq!(scripts.skipped.len(), wrong.len() + 2, "{:#?}", scripts.skipped);
    for name in wrong.iter().map(|(base, _)| *base).chain(["open", "link"]) {
        assert!(scripts.skipped.iter().any(|line| line.contains(&format!("`{name}.sh`"))), "{name}");
    }
    assert!(!scripts.skipped.iter().any(|line| line.contains("plain") || line.contains("alone")));
}

#[test]
fn sh16_a_folder_everybody_may_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let refused = Scripts::read(folder.path()).unwrap_err();
    assert!(refused.contains("everybody may put scripts") && refused.contains("chmod o-w"), "{refused}");
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    assert!(Scripts::read(folder.path()).is_ok());
    assert!(Scripts::read(&folder.path().join("nothing")).unwrap_err().contains("cannot be read"));
}

#[tokio::test]
async fn sh16_a_script_that_was_replaced_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "greet.sh", "#!/bin/sh\necho hi\n", 0o755);
    put(folder.path(), "greet.tool.json", GREET, 0o644);
    let scripts = Scripts::read(folder.path()).unwrap();
    let script = scripts.iter().next().unwrap();
    assert_eq!(scripts::unchanged(script).await, Ok(()));
    put(folder.path(), "greet.sh", "#!/bin/sh\necho hi there\n", 0o755);
    assert_eq!(scripts::unchanged(script).await.unwrap_err().code, Code::DeniedQuarantined);
    std::fs::remove_file(folder.path().join("greet.sh")).unwrap();
    assert_eq!(scripts::unchanged(script).await.unwrap_err().code, Code::ToolFailed);
}

#[test]
fn a41_what_a_script_prints_is_json_as_it_is_or_a_text() {
    let structured = |printed: &str| scripts::result(printed.to_owned()).structured;
    assert_eq!(structured("{\"a\": 1}\n"), Some(json!({"a": 1})));
    assert_eq!(structured("[1, 2]"), Some(json!([1, 2])));
    assert_eq!(structured("\"text\""), Some(json!("text")));
    assert_eq!(scripts::result("hello\n".to_owned()), Output::text("hello\n"));
    assert_eq!(scripts::result(String::new()), Output::text(""));
}

#[test]
fn sh23_without_a_cage_nothing_is_run() {
    let code = |error: LaunchError| not_started(&error).code;
    assert_eq!(code(LaunchError::Cage("the kernel has no Landlock".to_owned())), Code::PluginNotConfigured);
    let (what, path, hint) = ("the program".to_owned(), "agent".to_owned(), String::new());
    assert_eq!(code(LaunchError::Missing { what, path, hint }), Code::PluginNotConfigured);
    assert_eq!(code(LaunchError::Denied("its arguments".to_owned())), Code::DeniedProcess);
}
