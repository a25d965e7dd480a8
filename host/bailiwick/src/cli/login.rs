//! `bailiwick login` and `bailiwick logout`: a person agrees in a browser that the host asks a server in their name, and
//! the other way round.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use bailiwick_core::config::{self, Auth, Config, Remote};
use bailiwick_core::confine::Life;
use bailiwick_core::redact::visible;

use crate::egress::Egress;
use crate::load::{self, StartError};
use crate::registrations::Vault;
use crate::remote::{self, Invitation, LoggedIn, PATIENCE, Site};
use crate::resolver::Resolver;
use crate::store::{self, Store};
use crate::{ambient, settings};

use super::call::interrupted;
use super::start::{self, Ground, cannot_start};
use super::terminal::{Terminal, Trouble, say};
use super::{Exit, Global};

pub(super) const EXAMPLES: &str = "\
Examples:
  bailiwick login tracker
  bailiwick login tracker --port 8765          # where the authorization server knows only this port
  bailiwick --json login tracker               # the page on standard output, then what came of it

For a plugin with `mcp = { url = \"https://…\", auth = \"oauth\" }`. The page is shown, not opened: look at
it in a browser on this machine, within five minutes. What the authorization server then gives is kept
in the database of the state folder, is put into requests to that URL and into no other, and is
renewed without asking again where the server lets it be. A server that runs uses it at once.

The plugin's `net` has to let the host reach the authorization server too; if it does not, what is
refused is told with the line that would allow it.";

pub(super) const LOGOUT_EXAMPLES: &str = "\
Examples:
  bailiwick logout tracker

Forgets what `bailiwick login` was given. The authorization server is not told: what was given stays
good there until it expires, or is revoked on a page of its own.";

pub(super) fn run(terminal: &Terminal, global: &Global, name: &str, port: u16) -> Result<Exit, Trouble> {
    let settings = start::settings(global.config.as_deref())?;
    let (plugin, remote) = wanted(&settings.config, name)?;
    let (plugin, remote) = (plugin.clone(), remote.clone());
    // Before the process is confined: from then on it opens no port.
    let listener = ambient::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_err(|error| {
        let message = format!("cannot listen at port {port} of this machine: {error}");
        Trouble::new(Exit::Start, "login.listen", &message).with("fix", "name another port, or none, with `--port`")
    })?;
    let ground = start::stand(terminal, global, settings, Life::Listening, None)?;
    start::with_threads(log_in(terminal, &ground, &plugin, &remote, listener))
}

async fn log_in(
    terminal: &Terminal,
    ground: &Ground,
    plugin: &config::Plugin,
    remote: &Remote,
    listener: TcpListener,
) -> Result<Exit, Trouble> {
    let site = site(ground, plugin, remote).await?;
    let listener = tokio::net::TcpListener::from_std(listener)
        .map_err(|error| Trouble::new(Exit::Start, "login.listen", &error.to_string()))?;
    let told = interrupted();
    let login = site.login(listener, |invitation| invite(terminal, plugin, invitation), PATIENCE);
    let logged_in = tokio::select! {
        logged_in = login => logged_in.map_err(|failure| Trouble::of(&failure))?,
        () = told => return Ok(Exit::Interrupted),
    };
    tell(terminal, plugin, &logged_in)?;
    Ok(Exit::Done)
}

/// The plugin's server, with no more of a host than it takes.
async fn site(ground: &Ground, plugin: &config::Plugin, remote: &Remote) -> Result<Site, Trouble> {
    let config = &ground.settings.config;
    let store = Arc::new(open(config)?);
    let authorities = load::authorities(config).map_err(|error| cannot_start(&error))?;
    let resolver = ground.wall.as_ref().map_or_else(Resolver::default, |wall| wall.resolver());
    let egress = Egress::new(resolver, &authorities);
    let egress = Arc::new(egress.map_err(|error| cannot_start(&StartError::Egress(error.to_string())))?);
    let failed = |message: String| Trouble::new(Exit::Failed, "plugin.left-out", &message);
    let secrets = load::secrets(plugin, ground.wall.as_ref(), &Vault::default()).await.map_err(failed)?;
    Ok(Site::new(plugin, remote, egress, secrets, store))
}

/// Shows the page. It comes from a server, so nothing of it is run, opened or acted on by a terminal.
fn invite(terminal: &Terminal, plugin: &config::Plugin, invitation: &Invitation) {
    let page = invitation.page.as_str();
    if terminal.json {
        // Nobody who reads it can be asked anything: if it cannot be written, nobody will come.
        let _ = terminal.print_json(&json!({"page": page, "scopes": invitation.scopes}));
        return;
    }
    let scopes = match invitation.scopes.as_slice() {
        [] => "what the server decides".to_owned(),
        scopes => scopes.join(" "),
    };
    let minutes = PATIENCE.as_secs() / 60;
    say(&visible(&format!(
        "to log in for `{}`, look at this page in a browser on this machine, within {minutes} minutes:\n\n  {page}\n\n\
         it asks for: {scopes}\n",
        plugin.name
    )));
}

fn tell(terminal: &Terminal, plugin: &config::Plugin, logged_in: &LoggedIn) -> Result<(), Trouble> {
    let LoggedIn { scopes, expires, renews } = logged_in;
    let expires = expires.and_then(|at| Timestamp::from_second(i64::try_from(at).ok()?).ok()).map(|at| at.to_string());
    if terminal.json {
        let name = plugin.name.as_str();
        return terminal.print_json(&json!({"plugin": name, "scopes": scopes, "expires": expires, "renews": renews}));
    }
    let until = match (renews, expires) {
        (true, _) => "it is renewed without asking again".to_owned(),
        (false, Some(at)) => format!("it is good until {at}"),
        (false, None) => "it does not say how long it is good".to_owned(),
    };
    let scopes = if scopes.is_empty() { String::new() } else { format!(" for {}", scopes.join(" ")) };
    terminal.print(&visible(&format!("`{}` is logged in{scopes}; {until}\n", plugin.name)))
}

pub(super) fn logout(terminal: &Terminal, global: &Global, name: &str) -> Result<Exit, Trouble> {
    let config = start::settings(global.config.as_deref())?.config;
    let (plugin, _) = wanted(&config, name)?;
    let forgotten = remote::logout(&open(&config)?, &plugin.name).map_err(|failure| Trouble::of(&failure))?;
    if forgotten == 0 {
        let message = format!("`{}` is not logged in", plugin.name);
        return Err(Trouble::new(Exit::Failed, "login.none", &message));
    }
    if terminal.json {
        terminal.print_json(&json!({"plugin": plugin.name.as_str(), "logged_in": false}))?;
    } else {
        terminal.print(&format!("`{}` is logged out\n", plugin.name))?;
    }
    Ok(Exit::Done)
}

/// The plugin of this name, if it is one that somebody logs in for.
fn wanted<'c>(config: &'c Config, name: &str) -> Result<(&'c config::Plugin, &'c Remote), Trouble> {
    let logs_in =
        |plugin: &&config::Plugin| plugin.class.remote().is_some_and(|remote| matches!(remote.auth, Auth::Login(_)));
    let found = config.plugins.iter().find(|plugin| plugin.name.as_str() == name);
    if let Some((plugin, remote)) = found.filter(logs_in).and_then(|plugin| Some((plugin, plugin.class.remote()?))) {
        return Ok((plugin, remote));
    }
    let message = match found {
        Some(_) => format!("nobody logs in for `{name}`: it has no `mcp` with `url` and `auth = \"oauth\"`"),
        None => format!("there is no plugin `{}` in the configuration", visible(name)),
    };
    let all = config.plugins.iter().filter(logs_in).map(|plugin| format!("`{}`", plugin.name));
    let all = all.collect::<Vec<_>>().join(", ");
    let trouble = Trouble::new(Exit::Usage, "usage.login", &message);
    Err(trouble.with("known", if all.is_empty() { "none" } else { &all }))
}

fn open(config: &Config) -> Result<Store, Trouble> {
    let folder = settings::state_folder(config);
    let folder = folder.ok_or_else(|| cannot_start(&StartError::NoFolder("state", "state")))?;
    let unusable = |error| cannot_start(&StartError::File { path: folder.clone(), error });
    ambient::create_private_dir(&folder).map_err(unusable)?;
    Store::open(&folder.join(store::FILE)).map_err(|error| cannot_start(&error.into()))
}
