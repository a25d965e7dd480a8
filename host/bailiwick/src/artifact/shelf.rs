//! Which artifacts are whose: what a call left is for whoever made it, for as long as this process runs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_core::call::CallId;
use bailiwick_core::outcome::{Content, Outcome, Output, ResourceLink};

/// Artifacts one owner can use; after that its oldest fall out.
const MAX_KEPT: usize = 500;
/// Owners that are known; after that those fall out who were left nothing for the longest time.
const MAX_OWNERS: usize = 1_000;

/// Who can use what a call leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Owner {
    /// Nobody in another call: nothing is known of who asks.
    #[default]
    Nobody,
    /// Later calls under this name.
    Named(Arc<str>),
    /// Who may read the state folder anyway, and so can use what any call left.
    Operator,
}

/// The links of a result.
pub(crate) fn links(output: &Output) -> impl Iterator<Item = &ResourceLink> {
    output.content.iter().filter_map(|piece| match piece {
        Content::Link(link) => Some(link),
        Content::Text(_) | Content::Image(_) | Content::Audio(_) | Content::Resource(_) => None,
    })
}

/// What is kept for whom.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Owners>);

#[derive(Debug, Default)]
struct Owners {
    /// URIs with their media types, the oldest first.
    kept: HashMap<Arc<str>, VecDeque<(String, Option<String>)>>,
    /// Owners, the one that was left nothing for the longest time first.
    order: VecDeque<Arc<str>>,
}

impl Shelf {
    /// Remembers what a call left. A link to what another call left stays a mere link: the plugin wrote it, and must not be
    /// able to open what another caller was given.
    pub(super) fn note(&self, owner: &Arc<str>, call: &CallId, outcome: &Outcome) {
        let Ok(output) = &outcome.result else { return };
        let own = format!("{}{call}/", super::SCHEME);
        let mut links = links(output).filter(|link| link.uri.starts_with(&own)).peekable();
        if links.peek().is_none() {
            return;
        }
        let mut owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        owners.order.retain(|known| known != owner);
        owners.order.push_back(Arc::clone(owner));
        let kept = owners.kept.entry(Arc::clone(owner)).or_default();
        for link in links {
            kept.push_back((link.uri.clone(), link.mime_type.clone()));
            if kept.len() > MAX_KEPT {
                kept.pop_front();
            }
        }
        if owners.order.len() > MAX_OWNERS
            && let Some(oldest) = owners.order.pop_front()
        {
            owners.kept.remove(&oldest);
        }
    }

    /// The media type of an artifact that belongs to `owner`, as far as it has one.
    pub(super) fn owned(&self, owner: &str, uri: &str) -> Option<Option<String>> {
        let owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, mime_type) = owners.kept.get(owner)?.iter().find(|(known, _)| known == uri)?;
        Some(mime_type.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(shelf: &Shelf, owner: &str, uris: &[String]) {
        let link = |uri: &String| Content::Link(ResourceLink { uri: uri.clone(), ..ResourceLink::default() });
        let output = Output { content: uris.iter().map(link).collect(), ..Output::default() };
        shelf.note(&owner.into(), &CallId::new("c"), &Outcome::done(output));
    }

    #[test]
    fn an_artifact_belongs_to_who_called_and_the_oldest_fall_out() {
        let shelf = Shelf::default();
        let uri = |n: usize| format!("artifact://c/{n}");
        let foreign = ["https://x/y", "artifact://d/0", "artifact://c"].map(str::to_owned);
        note(&shelf, "key:a", &[&[uri(0)], &foreign[..]].concat());
        assert_eq!(shelf.owned("key:a", &uri(0)), Some(None));
        assert_eq!(shelf.owned("key:b", &uri(0)), None);
        for uri in &foreign {
            assert_eq!(shelf.owned("key:a", uri), None, "{uri}");
        }
        note(&shelf, "key:a", &(1..=MAX_KEPT).map(uri).collect::<Vec<_>>());
        assert_eq!(shelf.owned("key:a", &uri(0)), None);
        assert_eq!(shelf.owned("key:a", &uri(MAX_KEPT)), Some(None));
        for n in 0..MAX_OWNERS {
            note(&shelf, &format!("oauth:{n}"), &[uri(n)]);
        }
        assert_eq!(shelf.owned("key:a", &uri(MAX_KEPT)), None);
        assert_eq!(shelf.owned("oauth:0", &uri(0)), Some(None));
    }
}
