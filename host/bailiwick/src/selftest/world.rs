//! The private world of a self-test: a folder of its own, two servers, names that lead where they are told, a host on a
//! configuration that grants three plugins nothing, something and everything.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bailiwick_core::config::{self, Source};

use super::SelftestError;
use super::server::Server;
use crate::ambient;
use crate::audit::{Archive, BEGUN, Filter, Row};
use crate::builtin::SELFTEST;
use crate::host::Host;
use crate::load::Setup;
use crate::resolver::{FixedNames, Resolver};
use crate::runtime::Compiler;

/// A folder that is gone with this value.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = ambient::remove_tree(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the folder of the self-test is left behind");
        }
    }
}

/// See the top of this file.
#[derive(Debug)]
pub(super) struct World {
    /// What must never be seen: the value of a secret and of a file nobody granted.
    pub(super) canary: String,
    /// The server that is granted.
    pub(super) door: Server,
    /// The server that is not.
    pub(super) inner: Server,
    names: Arc<FixedNames>,
    folder: Folder,
}

impl World {
    pub(super) async fn new() -> Result<Self, SelftestError> {
        let plugin = SELFTEST.ok_or(SelftestError::NoPlugin)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let canary = format!("canary-{}", hex::encode(random));
        let folder = Folder(ambient::temporary_dir("bailiwick-selftest")?);
        furnish(&folder.0, plugin.wasm, &canary)?;
        let inner = Server::start(String::new()).await?;
        let door = Server::start(format!("http://127.0.0.1:{}/", inner.port)).await?;
        let here = vec![vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]];
        let names = HashMap::from([("inner.selftest".to_owned(), here)]);
        let names = Arc::new(FixedNames { names, ..FixedNames::default() });
        Ok(Self { canary, door, inner, names, folder })
    }

    /// The whole path of something in the folder.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.0.join(name).display().to_string()
    }

    /// A host with the three plugins.
    pub(super) async fn start(&self, compiler: Compiler) -> Result<Arc<Host>, SelftestError> {
        let refused = |reason: String| SelftestError::Start(reason);
        let source = Source { name: "selftest.toml".to_owned(), text: self.text(), base: self.folder.0.clone() };
        let config =
            config::read(&source, &|_| None).map_err(|mistakes| refused(config::render(&source, &mistakes)))?;
        let resolver = Resolver::Fixed(Arc::clone(&self.names));
        let setup = Setup { resolver, compiler, ..Setup::default() };
        let host = Host::start(&config, setup).await.map_err(|error| refused(error.to_string()))?;
        match host.snapshot().problems.first() {
            Some(problem) => Err(refused(problem.to_string())),
            None => Ok(Arc::new(host)),
        }
    }

    fn text(&self) -> String {
        let (door, inner) = (self.door.port, self.inner.port);
        let secret = |name: &str, reveal: &str| {
            format!(
                "[plugins.{name}.secrets.TOKEN]\nfile = \"canary\"\norigin = \"http://127.0.0.1:{door}\"\nheader = \"X-Token\"\n{reveal}\n"
            )
        };
        format!(
            "[host]\nstate = \"./state\"\ncache = \"./cache\"\n\
             [plugins.bare]\ncomponent = \"selftest.wasm\"\n{LIMITS}\
             [plugins.partly]\ncomponent = \"selftest.wasm\"\n{LIMITS}\
             fs = [\"./inside:/inside:ro\"]\n\
             net = [\"http://127.0.0.1:{door}\", \"http://*\", \"http://*:{inner}\"]\n{}\
             [plugins.granted]\ncomponent = \"selftest.wasm\"\n{LIMITS}\
             fs = [\"./inside:/inside:rw\", \"./outside:/outside:ro\"]\n\
             env = {{ SELFTEST = \"granted\" }}\n\
             net = [\"http://127.0.0.1:{door}\", \"http://127.0.0.1:{inner}\", \"http://inner.selftest:{inner}\"]\n\
             addresses = [\"127.0.0.1\"]\n{}\
             [plugins.granted.secrets.MARK]\nfile = \"outside-canary\"\nreveal = true\n",
            secret("partly", ""),
            secret("granted", "reveal = true"),
        )
    }

    /// Whether a text holds what must never be seen.
    pub(super) fn is_leaked(&self, text: &str) -> bool {
        text.contains(&self.canary) || text.contains(&hex::encode(&self.canary))
    }

    /// What is wrong after all `calls`: ends the host, so that its audit is whole.
    pub(super) async fn findings(&self, host: Arc<Host>, calls: usize, leaks: &[String]) -> Vec<String> {
        let mut findings: Vec<String> =
            leaks.iter().map(|name| format!("`{name}` saw a value that no tool should see")).collect();
        let mut expect = |holds: bool, finding: String| {
            if !holds {
                findings.push(finding);
            }
        };
        drop(Arc::into_inner(host));
        let (records, audit) = self.audit().unwrap_or_default();
        expect(records == calls, format!("{calls} calls left {records} audit records"));
        expect(!self.is_leaked(&audit), "the audit holds a value that nobody should see".to_owned());
        // By the granted twins alone: one by address, one by name, one by redirect.
        let came = self.inner.connections();
        expect(came == 3, format!("{came} connections reached the server that was granted three times"));
        let lookups = self.names.lookups.load(Ordering::SeqCst);
        expect(lookups == 2, format!("two requests by name caused {lookups} look-ups"));
        let outside = ambient::read(Path::new(&self.path("outside/secret.txt")), 1 << 10).unwrap_or_default();
        expect(outside == self.outside().as_bytes(), "a file outside of what was granted has changed".to_owned());
        findings
    }

    /// How many calls were recorded, and all that was written of them.
    fn audit(&self) -> Option<(usize, String)> {
        let archive = Archive::open(Path::new(&self.path("state/audit.db"))).ok()??;
        let rows = archive.records(&Filter::default(), 0, u32::MAX).ok()?;
        let begun = |row: &&Row| row.record.contains(&format!("\"outcome\":\"{BEGUN}\""));
        let calls = rows.len() - rows.iter().filter(begun).count();
        Some((calls, rows.into_iter().map(|row| row.record + "\n").collect()))
    }

    fn outside(&self) -> String {
        format!("{}-outside", self.canary)
    }
}

/// Short enough that the whole takes seconds.
const LIMITS: &str = "limits.time = \"500ms\"\nlimits.memory = \"32MiB\"\nlimits.handles = 100\n";

fn furnish(folder: &Path, plugin: &[u8], canary: &str) -> io::Result<()> {
    for name in ["inside", "inside/folder", "outside", "state", "cache"] {
        ambient::create_private_dir(&folder.join(name))?;
    }
    let outside = format!("{canary}-outside");
    for (name, content) in [
        ("selftest.wasm", plugin),
        ("canary", canary.as_bytes()),
        ("outside-canary", outside.as_bytes()),
        ("outside/secret.txt", outside.as_bytes()),
        ("inside/folder/deep.txt", b"deep"),
    ] {
        ambient::create_private(&folder.join(name), content)?;
    }
    ambient::symlink("../outside/secret.txt", &folder.join("inside/way-out"))?;
    ambient::make_pipe(&folder.join("inside/pipe"))
}
