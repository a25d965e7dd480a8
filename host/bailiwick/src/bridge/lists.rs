//! What a server gives: all pages of all its lists, as far as there is an end to them.

use rmcp::model::{
    ClientRequest, ErrorCode, ListPromptsRequest, ListResourceTemplatesRequest, ListResourcesRequest, ListToolsRequest,
    PaginatedRequestParams,
};
use serde_json::Value;

use bailiwick_core::context::{MAX_PROMPTS, MAX_RESOURCES};
use bailiwick_core::outcome::{Code, Failure};
use bailiwick_core::registry::MAX_TOOLS;

use super::line::{Fault, Line};
use super::translate::taken;
use crate::channel::Able;

/// Pages of one list.
const MAX_PAGES: usize = 64;
/// Bytes of one list, as JSON.
const MAX_BYTES: usize = 8 << 20;

/// What a server gives, as it wrote it.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) tools: Vec<Value>,
    pub(super) prompts: Vec<Value>,
    pub(super) resources: Vec<Value>,
    pub(super) templates: Vec<Value>,
}

/// The four kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl Kind {
    fn request(self, cursor: Option<String>) -> ClientRequest {
        let page = PaginatedRequestParams::default().with_cursor(cursor);
        match self {
            Self::Tools => ClientRequest::ListToolsRequest(ListToolsRequest::with_param(page)),
            Self::Prompts => ClientRequest::ListPromptsRequest(ListPromptsRequest::with_param(page)),
            Self::Resources => ClientRequest::ListResourcesRequest(ListResourcesRequest::with_param(page)),
            Self::Templates => {
                ClientRequest::ListResourceTemplatesRequest(ListResourceTemplatesRequest::with_param(page))
            }
        }
    }

    /// The field of an answer, a word for people, and how many there may be.
    fn shape(self) -> (&'static str, &'static str, usize) {
        match self {
            Self::Tools => ("tools", "tools", MAX_TOOLS),
            Self::Prompts => ("prompts", "prompts", MAX_PROMPTS),
            Self::Resources => ("resources", "resources", MAX_RESOURCES),
            Self::Templates => ("resourceTemplates", "templates of resources", MAX_PROMPTS),
        }
    }
}

/// Asks for all of it.
///
/// # Errors
/// When a list cannot be had, or has no end.
pub(super) async fn all(line: &Line) -> Result<Lists, Fault> {
    let mut lists = Lists { tools: list(line, Kind::Tools).await?, ..Lists::default() };
    if line.has("prompts") {
        lists.prompts = list(line, Kind::Prompts).await?;
    }
    if line.has("resources") {
        lists.resources = list(line, Kind::Resources).await?;
        lists.templates = list(line, Kind::Templates).await?;
    }
    Ok(lists)
}

async fn list(line: &Line, kind: Kind) -> Result<Vec<Value>, Fault> {
    let (field, word, most) = kind.shape();
    let endless = |what: String| Fault::Failed(Failure::new(Code::PluginInvalid, format!("the list of {word} {what}")));
    let (mut items, mut bytes, mut cursor) = (Vec::new(), 0, None::<String>);
    for _ in 0..MAX_PAGES {
        let mut page = match line.exchange(kind.request(cursor.clone()), Able::NOTHING, None).await {
            Ok(page) => page,
            // It has none, and no word for that.
            Err(Fault::Refused(error)) if error.code == ErrorCode::METHOD_NOT_FOUND => return Ok(items),
            Err(fault) => return Err(fault),
        };
        let Value::Array(more) = taken(&mut page, field) else {
            return Err(endless(format!("has no `{field}`")));
        };
        bytes += more.iter().map(|item| item.to_string().len()).sum::<usize>();
        items.extend(more);
        if items.len() > most {
            return Err(endless(format!("has more than {most} of them")));
        }
        if bytes > MAX_BYTES {
            return Err(endless(format!("is larger than {} MiB", MAX_BYTES >> 20)));
        }
        let next = page["nextCursor"].as_str().map(str::to_owned);
        match next {
            None => return Ok(items),
            next if next == cursor => return Err(endless("leads back to where it was".to_owned())),
            next => cursor = next,
        }
    }
    Err(endless(format!("has more than {MAX_PAGES} pages")))
}
