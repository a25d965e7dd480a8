//! Documents and services that mean harm: what they say about themselves, what callers say to them, and what they answer.
//! Each is a server of the test's own that gives a document and keeps every request as it came.

mod answers;
mod bombs;
mod changes;
mod circles;
mod contents;
mod elsewhere;
mod hidden;
mod names;
mod places;

use serde_json::{Value, json};

use crate::support::host::World;
use crate::support::upstream::Received;
use crate::support::{Reply, TestHost, Upstream};

/// A service that gives its document at `/openapi.json` and is content with everything else.
struct Service {
    web: Upstream,
}

impl Service {
    /// One that is described so. `SHOP` in it is the service's own host and port.
    async fn of(document: &Value) -> Self {
        Self::answering(document, |_| Reply::ok("done")).await
    }

    /// The same, answering as the function says.
    async fn answering(document: &Value, answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let document = document.to_string();
        Self::serving(move |request| match path(&request.target) {
            "/openapi.json" => Reply::ok(document.replace("SHOP", request.header("host").unwrap_or_default())),
            _ => answer(request),
        })
        .await
    }

    /// One whose document is exactly this.
    async fn text(document: impl Into<Vec<u8>>) -> Self {
        let document = document.into();
        Self::serving(move |request| match path(&request.target) {
            "/openapi.json" => Reply::ok(document.clone()),
            _ => Reply::ok("done"),
        })
        .await
    }

    /// One that answers everything as the function says, its document too.
    async fn serving(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self { web: Upstream::new(answer).await }
    }

    /// A plugin of this name for it: more of its table `openapi`, and lines of its own.
    fn plugin(&self, name: &str, openapi: &str, lines: &str) -> String {
        let url = self.web.url("");
        format!("[plugins.{name}]\nopenapi = {{ url = \"{url}\"{openapi} }}\nnet = [\"* {url}\"]\n{lines}\n")
    }

    /// A host with it as its only plugin.
    async fn host(&self, openapi: &str, lines: &str) -> TestHost {
        World::new().start(&self.plugin("shop", openapi, lines)).await
    }

    /// The same for a table `openapi` that says where the document is: then what is wrong with it is told.
    fn named(&self, name: &str) -> String {
        self.plugin(name, &format!(", spec = \"{}\"", self.web.url("/openapi.json")), "")
    }

    /// What it was asked beside its document.
    fn asked(&self) -> Vec<Received> {
        let mut requests = self.web.requests();
        requests.retain(|request| !is_document(&request.target));
        requests
    }

    /// The last of that.
    fn last(&self) -> Received {
        self.asked().pop().expect("it was asked")
    }
}

/// The path of what was asked for.
fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// Whether something is one of the places where documents are looked for.
fn is_document(target: &str) -> bool {
    matches!(path(target), "/openapi.json" | "/openapi.yaml" | "/swagger.json" | "/v3/api-docs")
}

/// A document with these paths.
fn document(paths: Value) -> Value {
    json!({"openapi": "3.0.3", "info": {"title": "Shop", "version": "1"}, "paths": paths})
}

/// A document with these paths and schemas.
fn with_schemas(paths: Value, schemas: Value) -> Value {
    let mut document = document(paths);
    document["components"] = json!({"schemas": schemas});
    document
}

/// `GET` under this name with these parameters.
fn get(name: &str, parameters: Value) -> Value {
    json!({"get": {"operationId": name, "parameters": parameters}})
}

/// `POST` under this name with a JSON body of this schema.
fn post(name: &str, schema: Value) -> Value {
    json!({"post": {"operationId": name, "requestBody": {"content": {"application/json": {"schema": schema}}}}})
}

/// What of the only plugin is no tool, and why.
fn left_out(host: &TestHost) -> String {
    host.host.snapshot().plugins.iter().flat_map(|plugin| plugin.left_out()).collect::<Vec<_>>().join("\n")
}

/// Starts a host of which not every plugin has to be there.
async fn tried(world: World, text: &str) -> TestHost {
    world.try_start(text).await.unwrap_or_else(|error| panic!("the host does not start: {error}"))
}

/// Says how much was tried.
fn counted(id: &str, inputs: usize) {
    println!("measured: {id}: {inputs} inputs");
}
