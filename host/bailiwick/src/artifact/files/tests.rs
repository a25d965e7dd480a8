use std::sync::Arc;

use bailiwick_core::call::CallId;
use bailiwick_core::config::Effective;
use bailiwick_core::grant::{Grants, Limits};
use bailiwick_core::name::PluginName;
use bailiwick_core::outcome::{Content, Outcome, Output, ResourceLink};

use super::*;
use crate::artifact::{Artifacts, Owner};
use crate::channel::Channel;
use crate::egress::Egress;
use crate::resolver::Resolver;

/// A folder with what a call of `key:a` left.
struct World {
    folder: tempfile::TempDir,
    artifacts: Arc<Artifacts>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Arc::new(Artifacts::new(folder.path().join("artifacts")));
        let world = Self { folder, artifacts };
        world.keep("key:a", "c-1", "a.txt", b"hello").await;
        world.keep("key:b", "c-2", "b.txt", b"not yours").await;
        world
    }

    async fn keep(&self, owner: &str, call: &str, name: &str, data: &[u8]) {
        let call = CallId::new(call);
        let uri = self.artifacts.keep(&call, name, data.to_vec()).await.unwrap();
        let link = ResourceLink { uri, mime_type: Some("text/plain".to_owned()), ..ResourceLink::default() };
        let output = Output { content: vec![Content::Link(link)], ..Output::default() };
        self.artifacts.note(&Owner::Named(owner.into()), &call, &Outcome::done(output));
    }

    async fn filled(&self, owner: Owner, files: &[&str], arguments: &str) -> Result<String, String> {
        let limits = Limits { http_request_body: 10, ..Limits::DEFAULT };
        let grants = Grants { table: "plugins.up".into(), at: "bailiwick.toml:1".into(), ..Grants::default() };
        let effective = Arc::new(Effective { limits, grants: grants.into(), ..Effective::default() });
        let egress = Arc::new(Egress::new(Resolver::default(), &[]).unwrap());
        let plugin = PluginName::parse("up").unwrap();
        let aside = CallContext::aside("upload", &plugin, effective, &Arc::default(), &egress, &self.artifacts);
        let context = CallContext {
            channel: Channel { owner, ..Channel::default() },
            ..Arc::into_inner(aside).expect("nobody else has it")
        };
        let filled = files_in(files, arguments, &context).await;
        filled.map(Cow::into_owned).map_err(|failure| format!("{}: {failure}", failure.code.as_str()))
    }
}

fn a() -> Owner {
    Owner::Named("key:a".into())
}

#[tokio::test]
async fn what_an_earlier_call_left_is_put_in_the_place_of_a_file() {
    let world = World::new().await;
    let hello = r#"{"base64":"aGVsbG8=","name":"a.txt","type":"text/plain"}"#;
    for (given, expected) in [
        (r#"{"f":{"artifact":"artifact://c-1/a.txt"}}"#, format!(r#"{{"f":{hello}}}"#)),
        (r#"{"f":"artifact://c-1/a.txt"}"#, format!(r#"{{"f":{hello}}}"#)),
        (
            r#"{"n":123456789012345678901234567890.10,"f":["YQ==",{"artifact":"c-1/a.txt"}]}"#,
            format!(r#"{{"f":["YQ==",{hello}],"n":123456789012345678901234567890.10}}"#),
        ),
        // Nothing to do: as it came.
        (r#"{ "f" : "YQ==" }"#, r#"{ "f" : "YQ==" }"#.to_owned()),
        (r#"{ "g":{"artifact":"artifact://c-1/a.txt"}}"#, r#"{ "g":{"artifact":"artifact://c-1/a.txt"}}"#.to_owned()),
        ("{}", "{}".to_owned()),
    ] {
        assert_eq!(world.filled(a(), &["f"], given).await, Ok(expected), "{given}");
    }
    let given = r#"{"f":"artifact://c-1/a.txt"}"#;
    assert_eq!(world.filled(a(), &[], given).await.as_deref(), Ok(given));
}

#[tokio::test]
async fn what_others_were_left_is_nobody_elses() {
    let world = World::new().await;
    let unknown = |uri: &str| Err(format!("tool.not-found: `f`: no earlier call of yours left the artifact `{uri}`"));
    for (owner, uri) in [
        (a(), "artifact://c-2/b.txt"),
        (a(), "artifact://c-3/none"),
        (a(), "artifact://c-1/../c-2/b.txt"),
        (Owner::Nobody, "artifact://c-1/a.txt"),
        (Owner::Operator, "artifact://../host.key"),
        (Owner::Operator, "artifact://c-3/none"),
    ] {
        let given = format!(r#"{{"f":{{"artifact":"{uri}"}}}}"#);
        assert_eq!(world.filled(owner, &["f"], &given).await, unknown(uri));
    }
    let given = r#"{"f":"artifact://c-2/b.txt"}"#;
    assert!(world.filled(Owner::Operator, &["f"], given).await.is_ok());
    crate::ambient::remove_tree(&world.folder.path().join("artifacts")).unwrap();
    assert_eq!(world.filled(a(), &["f"], r#"{"f":"c-1/a.txt"}"#).await.as_deref(), Ok(r#"{"f":"c-1/a.txt"}"#));
    let given = r#"{"f":"artifact://c-1/a.txt"}"#;
    assert_eq!(world.filled(a(), &["f"], given).await, unknown("artifact://c-1/a.txt"));
}

#[tokio::test]
async fn files_are_no_more_than_may_be_sent() {
    let world = World::new().await;
    let (one, other) = (r#""artifact://c-1/a.txt""#, r#"{"artifact":"c-1/a.txt"}"#);
    assert!(world.filled(a(), &["f"], &format!(r#"{{"f":[{one},{other}]}}"#)).await.is_ok());
    let refused = "limit.http: `upload` would send files of more than 10 bytes; `g` does not fit; raise \
                   `limits.http_request_body` under `[plugins.up]` (bailiwick.toml:1)";
    let three = format!(r#"{{"f":[{one},{other}],"g":{one}}}"#);
    assert_eq!(world.filled(a(), &["f", "g"], &three).await, Err(refused.to_owned()));
}
