//! A secret is found nowhere but in the requests to its origin: not in results, failures, logs at TRACE, audit records,
//! artifacts, questions, reports of progress, nor in the guest's own memory.

use std::path::Path;

use bailiwick::channel::{Answer, Channel, Progress, Question};
use bailiwick_core::outcome::Outcome;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::host::World;
use crate::support::upstream::Received;
use crate::support::{Reply, TestHost, Upstream, log, remedy, told};

/// The forms of `canary` that stand in `bytes`.
pub(crate) fn leaks(canary: &str, bytes: &[u8]) -> Vec<String> {
    let mut forms = vec![
        canary.to_owned(),
        hex::encode(canary),
        hex::encode_upper(canary),
        canary.chars().skip(4).take(canary.chars().count() - 6).collect(),
    ];
    for before in ["", "x", "xx"] {
        let text = format!("{before}{canary}");
        let skip = [0, 2, 3][before.len()];
        for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            forms.push(encoded[skip..encoded.len() - 1].to_owned());
        }
    }
    forms.retain(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes()));
    forms
}

/// A way back to a caller who says yes to everything, with all that was said on it.
struct Listener {
    channel: Channel,
    heard: JoinHandle<String>,
}

impl Listener {
    fn new() -> Self {
        let (progress, mut reports) = mpsc::channel::<Progress>(64);
        let (questions, mut asked) = mpsc::channel::<Question>(64);
        let heard = tokio::spawn(async move {
            let mut heard = String::new();
            loop {
                tokio::select! {
                    Some(report) = reports.recv() => heard.push_str(&format!("{report:?}\n")),
                    Some(question) = asked.recv() => {
                        heard.push_str(&format!("{question:?}\n"));
                        drop(question.reply.send(Answer::Accepted(json!({}))));
                    }
                    else => return heard,
                }
            }
        });
        Self { channel: Channel { progress: Some(progress), questions: Some(questions), ..Channel::default() }, heard }
    }
}

/// Nothing that left the host has the canary in it.
async fn assert_silent(canary: &str, host: TestHost, outcomes: &[Outcome], heard: JoinHandle<String>) {
    let shown: Vec<String> = host
        .host
        .list(&bailiwick_core::call::Caller::operator("x"))
        .iter()
        .map(|(_, tool)| format!("{tool:?}"))
        .collect();
    let problems = host.problems().join("\n");
    let mut seen =
        vec![("tools".to_owned(), shown.join("\n").into_bytes()), ("problems".to_owned(), problems.into_bytes())];
    for outcome in outcomes {
        seen.push(("outcome".to_owned(), format!("{}\n{outcome:?}", told(outcome)).into_bytes()));
        // As numbers in a `Debug` print the bytes of an image would not be recognised.
        seen.push(("content".to_owned(), told(outcome).into_bytes()));
    }
    seen.push(("log".to_owned(), log::everything().into_bytes()));
    let state = host.world.path("state");
    let host = host.channel(Channel::default());
    seen.push(("channel".to_owned(), heard.await.expect("it listens").into_bytes()));
    let folder = keep_folder(&host);
    let records = host.audit();
    assert_eq!(records.len(), outcomes.len(), "one record for each call");
    seen.push(("audit".to_owned(), format!("{records:?}").into_bytes()));
    seen.extend(folder);
    drop(state);
    for (place, bytes) in seen {
        let found = leaks(canary, &bytes);
        assert!(found.is_empty(), "in {place}: {found:?}\n{}", String::from_utf8_lossy(&bytes));
    }
}

/// Every file the host wrote, with its name.
fn keep_folder(host: &TestHost) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    gather(&host.world.path("state"), &mut found);
    found
}

fn gather(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("it is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, found);
        } else {
            let name = path.display().to_string();
            found.push((name.clone(), [name.into_bytes(), std::fs::read(&path).expect("it can be read")].concat()));
        }
    }
}

/// A server that says back what it was told, in every form it can think of, cut at every place.
async fn parrot() -> Upstream {
    Upstream::new(|request| {
        let told = everything_in(request);
        let body = format!(
            "{told}\n{}\n{}\n{}\n{}\n{}\n{}",
            STANDARD.encode(&told),
            STANDARD.encode(format!("x{told}")),
            URL_SAFE_NO_PAD.encode(format!("xx{told}")),
            hex::encode(&told),
            hex::encode_upper(&told),
            json!({ "told": told }),
        );
        let one_by_one = body.bytes().map(|byte| vec![byte]);
        Reply::chunks(one_by_one).header("x-told", told.replace('\n', " ")).header("x-told-hex", hex::encode(told))
    })
    .await
}

fn everything_in(request: &Received) -> String {
    let headers: Vec<String> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let basic = request.header("authorization").and_then(|value| value.strip_prefix("Basic "));
    let plain =
        basic.and_then(|basic| STANDARD.decode(basic).ok()).map(|plain| String::from_utf8_lossy(&plain).into_owned());
    format!("{} {}\n{}\n{}", request.method, request.target, headers.join("\n"), plain.unwrap_or_default())
}

fn gossip(web: &Upstream, secret: &str) -> String {
    let port = web.port;
    format!(
        "[plugins.gossip]\ncomponent = \"gossip.wasm\"\nnet = [\"http://127.0.0.1:{port}\"]\nlimits.output = \"1MiB\"\n\
         [plugins.gossip.secrets.TOKEN]\nfile = \"canary\"\norigin = \"http://127.0.0.1:{port}\"\n{secret}\n"
    )
}

/// The secret reaches its origin as `expected` says, and comes back in no form.
async fn goes_there_and_nowhere_else(canary: &str, placement: &str, expected: impl Fn(&Received) -> bool) {
    let web = parrot().await;
    let listener = Listener::new();
    let host = World::new()
        .secret("canary", &format!("{canary}\n"))
        .start(&gossip(&web, placement))
        .await
        .channel(listener.channel);
    let reversed: String = canary.chars().rev().collect();
    let outcomes = [
        host.call("fetch", json!({"url": web.url("/a?b=c"), "reversed": reversed})).await,
        host.call("fail", json!({"url": web.url("/")})).await,
        host.call("know", json!({})).await,
        host.call("has", json!({"name": "TOKEN"})).await,
    ];
    let fetched =
        outcomes[0].result.as_ref().unwrap_or_else(|failure| panic!("{failure}")).structured.clone().expect("a result");
    assert_eq!(fetched["status"], 200);
    assert_eq!(fetched["found in memory"], 0, "the guest never had it");
    assert_eq!(outcomes[1].code(), "tool.failed");
    assert_eq!(told(&outcomes[3]), "ok: true", "that it is there is known");
    assert!(
        outcomes[2].result.as_ref().is_ok_and(|output| output
            .structured
            .as_ref()
            .is_some_and(|known| known["secrets"] == json!({"TOKEN": "not-revealed"}))),
        "{}",
        told(&outcomes[2])
    );
    let requests = web.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(expected), "{requests:?}");
    assert_silent(canary, host, &outcomes, listener.heard).await;
}

#[tokio::test]
async fn a_secret_in_a_header_comes_back_in_no_form() {
    let canary = "canary-of-headers/7f+31";
    goes_there_and_nowhere_else(canary, "header = \"Authorization\"\nformat = \"Bearer {}\"", |request| {
        request.header("authorization") == Some(&format!("Bearer {canary}"))
    })
    .await;
}

#[tokio::test]
async fn a_secret_in_a_header_of_its_own_comes_back_in_no_form() {
    let canary = "canary-of-api-keys_0042";
    goes_there_and_nowhere_else(canary, "header = \"X-Api-Key\"", |request| {
        request.header("x-api-key") == Some(canary)
    })
    .await;
}

#[tokio::test]
async fn a_secret_as_a_password_comes_back_in_no_form() {
    let canary = "canary-of-passwords&%\u{20ac}";
    goes_there_and_nowhere_else(canary, "basic = \"someone\"", |request| {
        request.header("authorization") == Some(&format!("Basic {}", STANDARD.encode(format!("someone:{canary}"))))
    })
    .await;
}

#[tokio::test]
async fn a_secret_in_a_query_comes_back_in_no_form() {
    let canary = "canary-of-queries=19&x";
    goes_there_and_nowhere_else(canary, "query = \"key\"", |request| {
        request.target.ends_with("key=canary%2Dof%2Dqueries%3D19%26x")
    })
    .await;
}

#[tokio::test]
async fn the_hosts_secret_replaces_what_the_guest_wrote() {
    let web = Upstream::hello().await;
    let text = gossip(&web, "header = \"Authorization\"\nformat = \"Bearer {}\"");
    let host = World::new().secret("canary", "the-real-thing").start(&text).await;
    let asked = json!({"url": web.url("/"), "headers": {"authorization": "Bearer mine", "AUTHORIZATION": "Bearer mine too", "accept-encoding": "gzip"}});
    host.value("fetch", asked).await;
    let headers = &web.requests()[0].headers;
    let sent: Vec<&str> =
        headers.iter().filter(|(name, _)| name == "authorization").map(|(_, value)| value.as_str()).collect();
    assert_eq!(sent, ["Bearer the-real-thing"]);
    assert_eq!(web.requests()[0].header("accept-encoding"), Some("identity"), "a packed answer could not be searched");
}

#[tokio::test]
async fn a_value_is_told_only_to_a_plugin_that_is_granted_it() {
    let web = Upstream::hello().await;
    let canary = "canary-told-by-name-55";
    let text = gossip(&web, "header = \"Authorization\"");
    let world = || World::new().secret("canary", canary);
    let asked = json!({"name": "TOKEN", "how": "length"});
    let host = world().start(&text).await;
    let outcome = host.call("tell", asked.clone()).await;
    assert_eq!(
        told(&outcome),
        "plugin.not-configured: A secret the tool needs the value of lacks `reveal = true`.\n  \
         on the way denied.secret: `tell` may not see the value of the secret `TOKEN`: the host uses it in its place; \
         add `reveal = true` under `[plugins.gossip.secrets.TOKEN]` (bailiwick.toml:1)"
    );
    let fix = outcome.denials[0].fix.clone().expect("a refusal names its line");
    let host_that_reveals = world().start(&remedy::applied(&text, &fix)).await;
    assert_eq!(host_that_reveals.told("tell", asked).await, format!("ok: {}", canary.len()));
    assert_eq!(
        host.told("tell", json!({"name": "OTHER", "how": "length"})).await,
        "plugin.not-configured: A secret the tool needs is not granted to it.\n  \
         on the way denied.secret: `tell` may not use the secret `OTHER`: it is not granted; \
         add `secrets.OTHER = { env = \"OTHER\", … }` under `[plugins.gossip]` (bailiwick.toml:1)"
    );
    let records = host_that_reveals.audit();
    assert_eq!(records[0]["operations"], json!({"secret reveal TOKEN": 1}), "that it was told is on record");
}

#[tokio::test]
async fn a_value_that_was_told_is_taken_out_of_all_that_leaves() {
    let web = Upstream::hello().await;
    let canary = "canary-in-the-hands-of-a-guest";
    let listener = Listener::new();
    let text = gossip(&web, "header = \"Authorization\"\nreveal = true");
    let host = World::new().secret("canary", canary).start(&text).await.channel(listener.channel);
    let mut outcomes = Vec::new();
    for how in
        ["text", "structured", "image", "resource", "link", "hex", "failure", "denial", "panic", "spread", "request"]
    {
        outcomes.push(host.call("tell", json!({"name": "TOKEN", "how": how})).await);
    }
    let codes: Vec<&str> = outcomes.iter().map(Outcome::code).collect();
    assert_eq!(
        codes,
        ["ok", "ok", "ok", "ok", "ok", "ok", "tool.failed", "denied.fs.read", "plugin.trap", "ok", "denied.net.host"]
    );
    assert_eq!(told(&outcomes[0]), "ok: it is [secret TOKEN]!");
    assert_eq!(told(&outcomes[1]), "ok: = {\"is\":\"[secret TOKEN]\",\"[secret TOKEN]\":[\"[secret TOKEN]\"]}");
    assert_silent(canary, host, &outcomes, listener.heard).await;
}

#[tokio::test]
async fn a_secret_goes_to_its_origin_alone() {
    let (own, other) = (Upstream::hello().await, Upstream::hello().await);
    let text = format!(
        "[plugins.gossip]\ncomponent = \"gossip.wasm\"\naddresses = [\"127.0.0.1\"]\n\
         net = [\"http://127.0.0.1:{own}\", \"https://127.0.0.1:{own}\", \"http://127.0.0.1:{other}\", \"http://localhost:{own}\", \"http://alias.test:{own}\"]\n\
         [plugins.gossip.secrets.TOKEN]\nfile = \"canary\"\norigin = \"http://127.0.0.1:{own}\"\nheader = \"X-Token\"\n\
         [plugins.gossip.secrets.TLS]\nfile = \"canary\"\norigin = \"https://127.0.0.1:{own}\"\nheader = \"X-Tls\"\n",
        own = own.port,
        other = other.port
    );
    let host = World::new()
        .name("localhost", &["127.0.0.1"])
        .name("alias.test", &["127.0.0.1"])
        .secret("canary", "canary-for-one")
        .start(&text)
        .await;
    for url in [own.url("/1"), own.named("localhost", "/2"), own.named("alias.test", "/3"), other.url("/4")] {
        assert_eq!(host.value("fetch", json!({"url": url})).await["status"], 200);
    }
    let sent = |web: &Upstream| {
        web.requests()
            .iter()
            .map(|request| format!("{} {:?} {:?}", request.target, request.header("x-token"), request.header("x-tls")))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        sent(&own),
        ["/1 Some(\"canary-for-one\") None", "/2 None None", "/3 None None"],
        "neither by another name nor in another scheme"
    );
    assert_eq!(sent(&other), ["/4 None None"]);
}

#[tokio::test]
async fn a_secret_does_not_follow_a_redirect() {
    let goal = Upstream::hello().await;
    for status in [301, 302, 303, 307, 308] {
        let location = goal.url("/goal");
        let own = Upstream::new(move |_| Reply::redirect(status, location.clone())).await;
        let text = format!(
            "[plugins.gossip]\ncomponent = \"gossip.wasm\"\nnet = [\"http://127.0.0.1:{own}\", \"http://127.0.0.1:{goal}\"]\n\
             [plugins.gossip.secrets.TOKEN]\nfile = \"canary\"\norigin = \"http://127.0.0.1:{own}\"\nheader = \"X-Token\"\n\
             [plugins.gossip.secrets.KEY]\nfile = \"canary\"\norigin = \"http://127.0.0.1:{own}\"\nquery = \"key\"\n",
            own = own.port,
            goal = goal.port
        );
        let host = World::new().secret("canary", "canary-on-the-move").start(&text).await;
        assert_eq!(host.value("fetch", json!({"url": own.url("/")})).await["body"], "hello");
        assert_eq!(own.requests()[0].header("x-token"), Some("canary-on-the-move"));
        assert_eq!(own.requests()[0].target, "/?key=canary%2Don%2Dthe%2Dmove");
    }
    let there: Vec<String> = goal.requests().iter().map(everything_in).collect();
    assert_eq!(there.len(), 5);
    assert!(there.iter().all(|request| !request.contains("canary") && request.starts_with("GET /goal\n")), "{there:?}");
}

#[tokio::test]
async fn a_secret_is_used_only_for_the_tools_and_plugins_that_have_it() {
    let web = Upstream::hello().await;
    let text = format!(
        "{}[plugins.gossip.tools.fail]\nsecrets = []\n[plugins.other]\ncomponent = \"probe.wasm\"\nnet = [\"http://127.0.0.1:{}\"]\n",
        gossip(&web, "header = \"X-Token\""),
        web.port
    );
    let host = World::new().secret("canary", "canary-for-some").start(&text).await;
    host.value("fetch", json!({"url": web.url("/granted")})).await;
    assert_eq!(host.call("fail", json!({"url": web.url("/tool")})).await.code(), "tool.failed");
    host.value("get", json!({"url": web.url("/plugin")})).await;
    let sent: Vec<String> =
        web.requests().iter().map(|request| format!("{} {:?}", request.target, request.header("x-token"))).collect();
    assert_eq!(sent, ["/granted Some(\"canary-for-some\")", "/tool None", "/plugin None"]);
}

#[tokio::test]
async fn a_secret_comes_from_a_variable_a_file_or_a_command() {
    let web = Upstream::hello().await;
    let port = web.port;
    let text = format!(
        "[plugins.gossip]\ncomponent = \"gossip.wasm\"\nnet = [\"http://127.0.0.1:{port}\"]\n\
         [plugins.gossip.secrets.A]\nenv = \"CARGO_PKG_NAME\"\norigin = \"http://127.0.0.1:{port}\"\nheader = \"X-A\"\n\
         [plugins.gossip.secrets.B]\nfile = \"canary\"\norigin = \"http://127.0.0.1:{port}\"\nheader = \"X-B\"\n\
         [plugins.gossip.secrets.C]\ncommand = [\"printf\", \"said by a %s\", \"command\"]\norigin = \"http://127.0.0.1:{port}\"\nheader = \"X-C\"\n"
    );
    let host = World::new().secret("canary", "kept in a file").start(&text).await;
    host.value("fetch", json!({"url": web.url("/")})).await;
    let request = &web.requests()[0];
    let sent = ["x-a", "x-b", "x-c"].map(|name| request.header(name).unwrap_or_default());
    assert_eq!(sent, ["bailiwick-tests", "kept in a file", "said by a command"]);
}

#[tokio::test]
async fn a_secret_that_is_not_there_leaves_its_plugin_out() {
    let world = World::new().file("canary", "open to all");
    let path = world.path("canary");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("a mode can be set");
    let text = "[plugins.gossip]\ncomponent = \"gossip.wasm\"\n[plugins.gossip.secrets.A]\nenv = \"BAILIWICK_NOT_SET\"\nreveal = true\n\
                [plugins.gossip.secrets.B]\nfile = \"canary\"\nreveal = true\n[plugins.polite]\ncomponent = \"polite.wasm\"\n";
    let host = world.try_start(text).await.expect("it starts");
    assert_eq!(
        host.problems(),
        [format!(
            "plugin `gossip` (bailiwick.toml:1) is left out: the secret `A` (bailiwick.toml:3) is not there: the environment \
             variable `BAILIWICK_NOT_SET` is not set, or not UTF-8; the secret `B` (bailiwick.toml:6) is not used: others may \
             read or write {path} (mode 0644); run `chmod 600 {path}`",
            path = path.display()
        )]
    );
    assert_eq!(host.value("echo", json!({"name": "x"})).await["name"], Value::from("x"), "the others run");
}
