//! The built-in plugin `shell`: a bash that is a component. That it answers as bash and the programs around it do, what it
//! reaches, and how commands end.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::{TestHost, remedy, told};

const SHELL: &str = "[plugins.shell]\ncomponent = \"builtin:shell\"\nfs = [\"./w:/w:rw\"]\n";

/// Commands whose answers differ from those of bash, and why that is left so.
const DIFFERENT: [(&str, &str); 7] = [
    ("parameter errors", "ends with 1 as a script does, and not with 127 as `bash -c`"),
    ("set -u", "ends with 1 as a script does, and not with 127 as `bash -c`"),
    ("zcat", "there is none; `gunzip -c` does the same"),
    ("ls that lists itself", "`ls -a` shows no `.` and no `..`"),
    ("ls that marks directories", "`ls` has no `-p`"),
    ("characters of two bytes and more", "`cut -c` counts characters, where that of Debian counts bytes"),
    ("zeros in a format", "`printf` leaves out `\\x00`"),
];

fn world() -> World {
    World::new()
        .file("w/fruits.txt", "apple\nbanana\ncherry\nfig\n")
        .file("w/people.csv", "name,age,city\nada,36,london\nbob,25,paris\ncy,41,london\n")
        .file("w/with space.txt", "one\ttwo\n")
        .file("w/empty", "")
        .file("w/log.txt", "10:00 INFO start\n10:01 ERROR disk full\n10:02 INFO stop\n")
        .file("w/data.json", "{\"a\": [1, 2]}\n")
        .file("w/src/a.py", "import os\nimport sys\n\ndef main():\n    pass\n")
        .file("w/src/b.py", "import os\n\ndef other():\n    return 1\n")
        .file("outside/secret.txt", "secret")
        .file("outside/deep/below.txt", "")
}

async fn bash(host: &TestHost, command: &str) -> String {
    host.told("bash", json!({"command": command})).await
}

/// Standard output without the end of its last line, and the code a command ended with.
type Answer = (String, i32);

fn as_bash_answers(folder: &Path, command: &str) -> Answer {
    let ran = Command::new("/bin/bash")
        .args(["--noprofile", "--norc", "-c", command])
        .current_dir(folder)
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")])
        .env("HOME", folder)
        .stdin(Stdio::null())
        .output()
        .expect("there is bash");
    (String::from_utf8_lossy(&ran.stdout).trim_end().to_owned(), ran.status.code().expect("it ended by itself"))
}

/// What the tool said, taken apart again.
fn answer(said: &str) -> Answer {
    let said = said.strip_prefix("ok: ").unwrap_or_else(|| panic!("it failed: {said}"));
    let (said, code) = match said.rsplit_once("[exit code: ") {
        Some((said, code)) => (said, code.trim_end_matches(']').parse().expect("a number")),
        None => (said, 0),
    };
    let stdout = match said.strip_prefix("[stderr]\n") {
        Some(_) => "",
        None => said.split_once("\n[stderr]\n").map_or(said, |(stdout, _)| stdout),
    };
    (if stdout == "(no output)" { String::new() } else { stdout.trim_end().to_owned() }, code)
}

#[tokio::test]
async fn t15_the_shell_answers_as_bash_does() {
    let cases = include_str!("cases/shell/commands.txt").split("\n\n").skip(1);
    let cases: BTreeMap<&str, &str> =
        cases.filter_map(|case| case.trim_start_matches('\n').strip_prefix("# ")?.split_once('\n')).collect();
    let mut differ = Vec::new();
    for (name, command) in &cases {
        let native = world().folder("w");
        let expected = as_bash_answers(&native.path("w"), command);
        let host = world().start(SHELL).await;
        let seen = answer(&bash(&host, command).await);
        if seen != expected {
            differ.push(*name);
            if DIFFERENT.iter().all(|(known, _)| known != name) {
                println!("{name}: bash {expected:#?}\nthe shell {seen:#?}");
            }
        }
    }
    println!("{} of {} commands are answered as bash answers them", cases.len() - differ.len(), cases.len());
    let mut known: Vec<&str> = DIFFERENT.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(differ, known);
}

#[tokio::test]
async fn t15_what_the_shell_says_has_the_form_of_bash() {
    let host = world().start(SHELL).await;
    assert_eq!(host.listed(), ["bash"]);
    for (command, said) in [
        ("echo out", "out\n"),
        ("true", "(no output)"),
        ("echo out; echo err >&2", "out\n\n[stderr]\nerr\n"),
        ("echo err >&2; exit 3", "[stderr]\nerr\n\n[exit code: 3]"),
        ("exit 3", "[exit code: 3]"),
        ("pwd", "/w\n"),
        ("python3 -c 1", "[stderr]\nbash: line 1: python3: command not found\n\n[exit code: 127]"),
    ] {
        assert_eq!(bash(&host, command).await, format!("ok: {said}"), "{command}");
    }
    let within = |workdir: &str| json!({"command": "pwd; ls", "workdir": workdir});
    for workdir in ["src", "./src", "/w/src", "/w/none/../src"] {
        assert_eq!(host.told("bash", within(workdir)).await, "ok: /w/src\na.py\nb.py\n", "{workdir}");
    }
    for (workdir, refused) in [
        ("", "arguments.invalid: `workdir` is empty; give a path."),
        ("fruits.txt", "arguments.invalid: `workdir` is fruits.txt, which is no directory."),
        ("none", "tool.not-found: File not found: none"),
    ] {
        assert_eq!(host.told("bash", within(workdir)).await, refused);
    }
    for arguments in [json!({}), json!({"command": ""}), json!({"command": "ls", "timeout": 0})] {
        assert_eq!(host.call("bash", arguments.clone()).await.code(), "arguments.invalid", "{arguments}");
    }
    let large = host.call("bash", json!({"command": "seq 200000"})).await;
    assert!(told(&large).contains("left out here; the whole result is in the linked artifact"), "{}", told(&large));
}

#[tokio::test]
async fn the_shell_runs_in_the_granted_directories_alone() {
    let host = world().start(SHELL).await;
    let there = host.world.path("outside/deep");
    let look = json!({"command": "ls", "workdir": there});
    let outcome = host.call("bash", look.clone()).await;
    assert_eq!(outcome.code(), "denied.fs.read", "{}", told(&outcome));
    let fix = outcome.result.expect_err("it was refused").fix.expect("a refusal names its line");
    let twin = host.end().start(&remedy::applied(SHELL, &fix)).await;
    assert_eq!(twin.told("bash", look).await, "ok: below.txt\n");
    let host = world().start(SHELL).await;
    for command in [
        "cat /etc/passwd",
        "cat ../outside/secret.txt",
        "cd ..; cat outside/secret.txt",
        "ln -s ../outside/secret.txt way && cat way",
        "ln -s /etc way && cat way/passwd",
        "cat /proc/self/environ /proc/1/cmdline",
        "cat ~/.ssh/id_rsa",
        ". /etc/profile",
        "tar cf a.tar /etc/passwd && tar xOf a.tar",
        "exec 3</dev/tcp/127.0.0.1/80",
        "curl -s http://127.0.0.1/",
        "wget -q -O- http://127.0.0.1/",
        "/bin/ls /",
        "exec /bin/sh -c 'echo got out'",
    ] {
        let said = bash(&host, command).await;
        assert!(said.contains("[stderr]\n") && said.contains("[exit code: "), "{command}: {said}");
        assert!(
            !said.contains("root:") && !said.contains("secret\n") && !said.contains("got out"),
            "{command}: {said}"
        );
    }
    let environment = bash(&host, "env | cut -d= -f1 | sort | tr '\\n' ' '").await;
    assert_eq!(environment, "ok: HOME PWD USER ", "nothing of the host's");
    let host = world().link("../outside", "w/way").start(SHELL).await;
    let said = bash(&host, "cat way/secret.txt").await;
    assert!(said.ends_with("[exit code: 1]"), "a link that was there before leads nowhere either: {said}");
    let granted = SHELL.replace(":/w:rw\"", ":/w:rw\", \"./outside:/outside\"");
    let host = world().start(&granted).await;
    assert_eq!(bash(&host, "cat /outside/secret.txt ../outside/secret.txt").await, "ok: secretsecret");
    assert_eq!(host.told("bash", json!({"command": "ls", "workdir": "/outside"})).await, "ok: deep\nsecret.txt\n");
}

#[tokio::test]
async fn the_shell_changes_what_it_may_change_and_nothing_else_lasts() {
    let change =
        "echo new > new.txt; echo more >> fruits.txt; rm people.csv; mkdir d; mv log.txt d; sed -i s/os/re/ src/a.py";
    let there = |host: &TestHost, name: &str| host.world.path(&format!("w/{name}")).exists();
    let host = world().start(&SHELL.replace(":rw", "")).await;
    let said = bash(&host, change).await;
    assert!(
        said.contains("Permission denied (granted to be read only; its entry in `fs` would have to end in `:rw`)"),
        "{said}"
    );
    assert!(there(&host, "people.csv") && there(&host, "log.txt") && !there(&host, "new.txt") && !there(&host, "d"));
    assert_eq!(bash(&host, "tail -1 fruits.txt; head -1 src/a.py").await, "ok: fig\nimport os\n");
    let host = world().start(SHELL).await;
    assert_eq!(bash(&host, change).await, "ok: (no output)");
    assert!(!there(&host, "people.csv") && there(&host, "new.txt") && there(&host, "d/log.txt"));
    assert_eq!(bash(&host, "tail -1 fruits.txt; head -1 src/a.py").await, "ok: more\nimport re\n");
    let elsewhere = "echo x > /tmp/x; echo y > ~/y; v=z; cat /tmp/x ~/y; echo $v";
    assert_eq!(bash(&host, elsewhere).await, "ok: x\ny\nz\n");
    assert_eq!(bash(&host, "ls /tmp ~; echo [$v]").await, "ok: /tmp:\n\n/home/user:\n[]\n");
    let bare = World::new().start("[plugins.shell]\ncomponent = \"builtin:shell\"\n").await;
    assert_eq!(bash(&bare, "pwd; echo 1 > a; cat a; ls /").await, "ok: /home/user\n1\ndev\nhome\ntmp\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_would_never_end_do_and_the_next_is_unharmed() {
    let host = world().start(&format!("{SHELL}limits = {{ time = \"20s\" }}\n")).await;
    for (command, ends) in [
        ("echo first; while true; do :; done", "Command timed out after 2s: echo first; while true; do :; done\nfirst"),
        ("echo first; sleep 100", "Command timed out after 2s: echo first; sleep 100\nfirst"),
        ("yes > /dev/null", "yes: output limit (10000 lines) exceeded"),
        ("echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa! | grep -E '^(a+)+$'", "[exit code: 1]"),
        ("x=aaaaaaaa; while true; do x=$x$x; done", "memory"),
        ("f() { f; }; f", "maximum function depth exceeded"),
        ("a=(); i=0; while true; do a[i]=$(printf '%01000d' 1); i=$((i + 1)); done", "Command timed out after 2s"),
        ("eval \"$(printf '(%.0s' $(seq 5000))\"", ""),
        ("echo $(printf '%s' \"$(seq 1000000)\" | tr -d '\\n' | wc -c)", "ok: "),
    ] {
        let outcome = host.call("bash", json!({"command": command, "timeout": 2})).await;
        let said = told(&outcome);
        assert!(said.contains(ends), "{command}: {said}");
        assert_eq!(bash(&host, "echo unharmed").await, "ok: unharmed\n", "{command}");
    }
    // What runs in the background is waited for, and ends with the command's time.
    assert_eq!(bash(&host, "(sleep 0.5; echo late > late.txt) & echo soon").await, "ok: soon\n");
    assert!(host.world.path("w/late.txt").exists());
    let outcome = host.call("bash", json!({"command": "(sleep 60; echo > later.txt) & echo soon", "timeout": 1})).await;
    assert!(told(&outcome).ends_with("\nsoon"), "{}", told(&outcome));
    assert!(!host.world.path("w/later.txt").exists());
    let patient = world().start(&format!("{SHELL}limits = {{ time = \"1s\" }}\n")).await;
    let outcome = patient.call("bash", json!({"command": "sleep 60"})).await;
    assert_eq!(outcome.code(), "limit.time", "{}", told(&outcome));
    let fix = outcome.result.expect_err("it was ended").fix.expect("it names its line");
    let longer = remedy::applied(&format!("{SHELL}limits = {{ time = \"1s\" }}\n"), &fix);
    let host = world().start(&longer).await;
    assert_eq!(bash(&host, "sleep 1.2; echo done").await, "ok: done\n");
}

#[tokio::test]
async fn what_the_shell_lacks_is_said_where_a_model_reads_it() {
    let host = world().start(SHELL).await;
    let (_, tool) = host.host.list(&host.who()).into_iter().next().expect("there is one");
    let description = tool.description().replace('\n', " ");
    for said in
        ["No other program can be started", "in the background is waited for", "no network", "end with the command"]
    {
        assert!(description.contains(said), "{said}: {description}");
    }
    let schema: Value = host.schema("bash");
    let keys: Vec<&String> = schema["properties"].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["command", "workdir", "timeout"]);
    assert_eq!(schema["required"], json!(["command"]));
}
