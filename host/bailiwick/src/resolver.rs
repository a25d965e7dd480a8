//! Where names become addresses: by the system's resolver, by another process, or from a table.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use bailiwick_core::name::PluginName;

use crate::broker::Broker;
use crate::{ambient, lanes};

/// Where names become addresses.
#[derive(Debug, Clone, Default)]
pub enum Resolver {
    /// The operating system's resolver.
    #[default]
    System,
    /// Another process, which asks the operating system's resolver for a host that is confined.
    Broker(Arc<Broker>),
    /// A fixed table, for tests: every look-up is counted, names that are not in it do not exist.
    Fixed(Arc<FixedNames>),
}

/// Names with their addresses, and how often they were looked up.
#[derive(Debug, Default)]
pub struct FixedNames {
    /// The addresses; each look-up takes the next list, the last one stays.
    pub names: HashMap<String, Vec<Vec<IpAddr>>>,
    /// How many look-ups there were.
    pub lookups: std::sync::atomic::AtomicUsize,
}

impl Resolver {
    /// All addresses of `name`, asked for on behalf of `plugin`.
    ///
    /// # Ambient authority
    /// Asks the system's resolver, that is `/etc/hosts` and the network's DNS.
    ///
    /// # Errors
    /// When there are none, or the resolver fails.
    pub async fn resolve(&self, plugin: &PluginName, name: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::System => {
                let name = name.to_owned();
                // The system gives up on a silent name server after half a minute, long after whoever asked.
                lanes::run(plugin, move || ambient::look_up(&name)).await?
            }
            Self::Broker(broker) => broker.look_up(name).await,
            Self::Fixed(table) => {
                let earlier = table.lookups.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let answers = table.names.get(name).ok_or(io::ErrorKind::NotFound)?;
                answers.get(earlier).or(answers.last()).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }

    /// All addresses of a name that the configuration itself names, for a request of the host's own.
    ///
    /// # Ambient authority
    /// As [`Self::resolve`].
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub(crate) async fn resolve_own(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::System => {
                let name = name.to_owned();
                tokio::task::spawn_blocking(move || ambient::look_up(&name)).await.map_err(io::Error::other)?
            }
            Self::Broker(broker) => broker.look_up(name).await,
            Self::Fixed(table) => {
                let answers = table.names.get(name).ok_or(io::ErrorKind::NotFound)?;
                answers.last().cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }
}
