//! How a server's program is started: by the keeper, with its secrets in its environment, and with the host's egress for
//! all its network.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use zeroize::Zeroizing;

use bailiwick_core::config::{self, Effective};
use bailiwick_core::grant::Limits;
use bailiwick_core::name::PluginName;

use crate::artifact::Artifacts;
use crate::bridge::{Launcher, Streams};
use crate::context::CallContext;
use crate::egress::{Egress, proxy};
use crate::keeper::{Keeper, Order};
use crate::secrets::Secrets;

use super::Underway;

/// A program that can be started.
pub(super) struct Launched {
    keeper: Arc<Keeper>,
    plugin: PluginName,
    variables: BTreeMap<String, Zeroizing<String>>,
    rights: Arc<Rights>,
}

impl Launched {
    pub(super) fn new(
        keeper: Arc<Keeper>,
        configured: &config::Plugin,
        secrets: &Arc<Secrets>,
        egress: &Arc<Egress>,
        artifacts: &Arc<Artifacts>,
        underway: Arc<Underway>,
    ) -> Self {
        let of_secret = |secret: &bailiwick_core::grant::SecretGrant| {
            let value = secrets.value(&secret.name)?;
            Some((secret.variable.clone()?, Zeroizing::new(value.to_owned())))
        };
        let variables = configured.grants.secrets.iter().filter_map(of_secret).collect();
        let rights = Rights {
            plugin: configured.name.clone(),
            effective: Arc::new(effective(configured)),
            secrets: Arc::clone(secrets),
            egress: Arc::clone(egress),
            artifacts: Arc::clone(artifacts),
            underway,
        };
        Self { keeper, plugin: configured.name.clone(), variables, rights: Arc::new(rights) }
    }
}

/// What a program may reach at any time, whichever call it is busy with.
fn effective(configured: &config::Plugin) -> Effective {
    let limits = Limits {
        time: Limits::MOST.time,
        http_request_body: Limits::MOST.http_request_body,
        http_response_body: Limits::MOST.http_response_body,
        ..configured.limits.clone()
    };
    Effective { limits, ..configured.rules_for("*") }
}

impl Launcher for Launched {
    fn launch(&self) -> BoxFuture<'_, Result<Streams, String>> {
        async move {
            let order = Order {
                plugin: self.plugin.clone(),
                arguments: Vec::new(),
                variables: self.variables.clone(),
                cwd: None,
            };
            let running = self.keeper.launch(order).await.map_err(|error| error.to_string())?;
            let proxy = running.proxy.map(|listener| {
                let rights: Arc<dyn proxy::Program> = Arc::<Rights>::clone(&self.rights);
                Ended(tokio::spawn(proxy::serve(listener, rights)).abort_handle())
            });
            Ok(Streams {
                stdin: Box::new(running.stdin),
                stdout: Box::new(running.stdout),
                stderr: Some(Box::new(running.stderr)),
                ended: running.ended,
                leash: Box::new((running.leash, proxy)),
            })
        }
        .boxed()
    }
}

/// A task that ends with what it is for.
struct Ended(tokio::task::AbortHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a program's requests are judged by.
struct Rights {
    plugin: PluginName,
    effective: Arc<Effective>,
    secrets: Arc<Secrets>,
    egress: Arc<Egress>,
    artifacts: Arc<Artifacts>,
    underway: Arc<Underway>,
}

impl proxy::Program for Rights {
    fn call(&self) -> Arc<CallContext> {
        let effective = Arc::clone(&self.effective);
        CallContext::aside("program", &self.plugin, effective, &self.secrets, &self.egress, &self.artifacts)
    }

    fn settle(&self, call: &CallContext) {
        let denials = call.ledger.denials();
        for denial in &denials {
            tracing::warn!(plugin = %self.plugin, code = %denial.code, "{denial}");
        }
        for (want, by) in call.ledger.wants() {
            self.underway.want(&want, by);
        }
        self.underway.note(&denials, call.ledger.operations().into_keys());
    }
}
