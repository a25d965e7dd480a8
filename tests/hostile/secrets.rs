//! Secrets beyond where they are placed: what looks like a placeholder, what changes while it is used, what a guest puts
//! where the host puts it, and every sort of source that is not there.

use std::os::unix::fs::PermissionsExt as _;

use bailiwick::channel::{Answer, Channel, Question};
use serde_json::json;
use tokio::sync::mpsc;

use crate::support::host::World;
use crate::support::{Reply, TestHost, Upstream, log, told};

fn gossip(web: &Upstream, lines: &str) -> String {
    format!(
        "[plugins.gossip]\ncomponent = \"gossip.wasm\"\nnet = [\"GET,POST http://127.0.0.1:{port}\"]\n\
         [plugins.gossip.secrets.TOKEN]\nfile = \"canary\"\norigin = \"http://127.0.0.1:{port}\"\n{lines}\n",
        port = web.port
    )
}

#[tokio::test]
async fn what_looks_like_a_placeholder_is_sent_as_it_is() {
    let web = Upstream::hello().await;
    let other = Upstream::hello().await;
    let text =
        gossip(&web, "header = \"X-Token\"").replace("\"]\n", &format!("\", \"http://127.0.0.1:{}\"]\n", other.port));
    let host = World::new().secret("canary", "canary-behind-a-name").start(&text).await;
    for form in [
        "{{secret:TOKEN}}",
        "${TOKEN}",
        "$TOKEN",
        "{TOKEN}",
        "%TOKEN%",
        "{{secret:{{secret:TOKEN}}}}",
        "{{secret:OTHER}}",
        "{}",
    ] {
        for server in [&web, &other] {
            let asked =
                json!({"url": server.url("/?q=1"), "headers": {"x-mine": form, "x-other": format!("Bearer {form}")}});
            assert_eq!(host.value("fetch", asked).await["status"], 200);
            let request = server.requests().pop().expect("it came");
            assert_eq!(request.header("x-mine"), Some(form), "nothing is put in for it");
            assert_eq!(request.header("x-other"), Some(&*format!("Bearer {form}")));
            let all = format!("{request:?}");
            assert_eq!(all.contains("canary-behind-a-name"), std::ptr::eq(server, &raw const web), "{all}");
        }
    }
}

#[tokio::test]
async fn a_secret_that_holds_anything_stands_where_it_can_and_comes_back_in_no_form() {
    for value in
        ["{{secret:TOKEN}}-loop", "{}-canary-{}", "canary \u{20ac} euro", "canary\"quoted\\", "  canary with spaces"]
    {
        let web = Upstream::new(|request| Reply::ok(request.header("x-token").unwrap_or("none").to_owned())).await;
        let host = World::new().secret("canary", value).start(&gossip(&web, "header = \"X-Token\"")).await;
        let answer = host.value("fetch", json!({"url": web.url("/")})).await;
        let sent = web.requests()[0].header("x-token").map(str::to_owned);
        assert_eq!(sent.as_deref(), Some(value.trim()), "{value:?}");
        assert!(!answer.to_string().contains("canary") && !answer.to_string().contains("loop"), "{answer}");
    }
    for value in ["canary\r\nx-injected: 1", "canary\0", "canary\nmore"] {
        let web = Upstream::hello().await;
        let text = gossip(&web, "header = \"X-Token\"");
        let host = World::new().secret("canary", value).try_start(&text).await.expect("it starts");
        let problem = host.problems().join("\n");
        assert!(
            problem.contains("control character") && !problem.contains("canary\r") && !problem.contains("injected"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn the_hosts_parameter_wins_in_every_form_a_guest_can_write_it() {
    let web = Upstream::new(|request| Reply::ok(request.target.clone())).await;
    let canary = "canaryinaquery31";
    let text = gossip(&web, "query = \"key\"");
    let host = World::new().secret("canary", canary).start(&text).await;
    for query in [
        "",
        "key=mine",
        "KEY=mine&key=mine",
        "%6bey=mine",
        "key[]=mine",
        "key%5B0%5D=mine",
        "a=1&key=mine&b=2",
        "key",
        "key=mine#key=mine",
    ] {
        let answer = host.value("fetch", json!({"url": web.url(&format!("/x?{query}"))})).await;
        let target = web.requests().pop().expect("it came").target;
        assert_eq!(target.matches("mine").count(), 0, "{query}: {target}");
        assert_eq!(target.matches(&format!("key={canary}")).count(), 1, "{query}: {target}");
        assert!(!answer.to_string().contains(canary), "{answer}");
    }
}

#[tokio::test]
async fn a_secret_that_is_replaced_is_replaced_for_new_calls_and_hidden_in_old_ones() {
    let web = Upstream::new(|request| Reply::ok(request.header("x-token").unwrap_or("none").to_owned())).await;
    let text = gossip(&web, "header = \"X-Token\"\nreveal = true");
    let (questions, mut received) = mpsc::channel::<Question>(4);
    let host = World::new()
        .secret("canary", "canary-of-yesterday")
        .start(&text)
        .await
        .channel(Channel { questions: Some(questions), ..Channel::default() });
    // It asks in the middle, between having the secret and telling it.
    let under_way = host.told("tell", json!({"name": "TOKEN", "how": "spread"}));
    let meanwhile = async {
        let question = received.recv().await.expect("it asks");
        let path = host.world.path("canary");
        std::fs::write(&path, "canary-of-today").expect("it can be written");
        host.reload(&text).await;
        assert_eq!(host.value("fetch", json!({"url": web.url("/")})).await["status"], 200);
        drop(question.reply.send(Answer::Declined));
    };
    let (old, ()) = tokio::join!(under_way, meanwhile);
    assert_eq!(old, "ok: spread");
    assert_eq!(web.requests()[0].header("x-token"), Some("canary-of-today"));
    let log = log::everything();
    assert!(!log.contains("canary-of-yesterday") && !log.contains("canary-of-today"));
}

#[tokio::test]
async fn a_source_that_is_no_good_leaves_its_plugin_out_and_says_nothing_of_its_content() {
    let web = Upstream::hello().await;
    let base = format!("[plugins.gossip]\ncomponent = \"gossip.wasm\"\nnet = [\"http://127.0.0.1:{}\"]\n", web.port);
    let world = || {
        let world = World::new()
            .secret("fine", "canary-fine")
            .secret("empty", "")
            .secret("feed", "\n")
            .secret("large", &"canary".repeat(20_000))
            .folder("folder")
            .link("fine", "link");
        std::fs::write(world.path("bytes"), b"canary\xff\xfe").expect("a file can be written");
        std::fs::write(world.path("open"), "canary-open").expect("a file can be written");
        for (name, mode) in [("bytes", 0o600), ("open", 0o640)] {
            std::fs::set_permissions(world.path(name), std::fs::Permissions::from_mode(mode))
                .expect("a mode can be set");
        }
        world
    };
    for (source, expected) in [
        ("file = \"nowhere\"", "cannot be read"),
        ("file = \"empty\"", "is empty"),
        ("file = \"feed\"", "is empty"),
        ("file = \"large\"", "cannot be read"),
        ("file = \"folder\"", "is not"),
        ("file = \"bytes\"", "is not UTF-8"),
        ("file = \"open\"", "others may read or write"),
        ("env = \"BAILIWICK_NEVER_SET\"", "is not set"),
        ("command = [\"false\"]", "failed"),
        ("command = [\"/nowhere/at/all\"]", "failed"),
        ("command = [\"printf\", \"\"]", "is empty"),
        ("command = [\"head\", \"-c\", \"100000\", \"/dev/zero\"]", "failed"),
    ] {
        let text = format!("{base}[plugins.gossip.secrets.TOKEN]\n{source}\nreveal = true\n");
        let host = world().try_start(&text).await.expect("it starts");
        let problem = host.problems().join("\n");
        assert!(problem.contains(expected) && !problem.contains("canary"), "{source}: {problem}");
    }
    let text = format!("{base}[plugins.gossip.secrets.TOKEN]\nfile = \"link\"\nreveal = true\n");
    assert_eq!(world().start(&text).await.told("tell", json!({"name": "TOKEN", "how": "length"})).await, "ok: 11");
}

#[tokio::test]
async fn a_guest_learns_nothing_of_secrets_that_are_not_its_own() {
    let web = Upstream::hello().await;
    let text = gossip(&web, "header = \"X-Token\"")
        + "[plugins.other]\ncomponent = \"gossip.wasm\"\n[plugins.other.secrets.OWN]\nfile = \"canary\"\nreveal = true\n";
    let host = World::new().secret("canary", "canary-of-one").start(&text).await;
    let known = host.value("other__know", json!({})).await;
    assert_eq!(known["environment"], json!({}), "no variable of the host");
    assert_eq!(known["secrets"], json!({"OWN": "[secret OWN]"}), "its own names alone");
    for name in ["TOKEN", "token", "OWN\0", "../TOKEN", "OWN/../TOKEN", ""] {
        let outcome = host.call("other__tell", json!({"name": name, "how": "length"})).await;
        assert_eq!(outcome.code(), "plugin.not-configured", "{name:?}: {}", told(&outcome));
        assert_eq!(host.told("other__has", json!({"name": name})).await, "ok: false", "{name:?}");
    }
}

#[tokio::test]
async fn short_secrets_are_warned_of() {
    let web = Upstream::hello().await;
    let world = World::new().secret("canary", "abc");
    let place = "bailiwick.toml:4";
    let host = world.start(&gossip(&web, "header = \"X-Token\"")).await;
    assert_eq!(host.value("fetch", json!({"url": web.url("/")})).await["status"], 200);
    assert!(!log::lines_with("shorter than 8 bytes").is_empty(), "{place}");
    assert!(TestHost::new("[plugins.polite]\ncomponent = \"polite.wasm\"\n").await.problems().is_empty());
}
