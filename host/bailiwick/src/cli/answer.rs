//! An outcome as the command line shows it: as text for people, or as JSON in the shape of MCP.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use bailiwick_core::outcome::{Content, EmbeddedResource, Failure, Media, Outcome, Output, ResourceBody, ResourceLink};
use bailiwick_core::redact::visible;

use crate::ambient;
use crate::artifact::Artifacts;

/// Where the pieces of a result that are no text go.
pub(super) struct Pieces<'h> {
    /// The folder of `--out`.
    pub(super) out: Option<PathBuf>,
    pub(super) artifacts: &'h Artifacts,
}

impl Pieces<'_> {
    /// The result as people read it.
    ///
    /// # Errors
    /// When a piece cannot be saved.
    pub(super) fn text(&self, output: &Output) -> Result<String, SaveError> {
        let mut text = String::new();
        for (index, piece) in output.content.iter().enumerate() {
            let shown = match piece {
                Content::Text(text) => text.clone(),
                Content::Image(media) => self.media("image", index, media)?,
                Content::Audio(media) => self.media("audio", index, media)?,
                Content::Resource(resource) => self.resource(index, resource)?,
                Content::Link(link) => self.link(link),
            };
            text.push_str(&shown);
            if !shown.ends_with('\n') {
                text.push('\n');
            }
        }
        if let (true, Some(structured)) = (output.content.is_empty(), &output.structured) {
            let _ = writeln!(text, "{structured:#}");
        }
        Ok(text)
    }

    fn media(&self, kind: &str, index: usize, media: &Media) -> Result<String, SaveError> {
        let label = format!("{kind} {}, {} bytes", visible(&media.mime_type), media.data.len());
        self.saved(&label, &file_name(kind, index, &media.mime_type), &media.data)
    }

    fn resource(&self, index: usize, resource: &EmbeddedResource) -> Result<String, SaveError> {
        match &resource.body {
            ResourceBody::Text(text) => Ok(text.clone()),
            ResourceBody::Blob(blob) => {
                let mime_type = resource.mime_type.as_deref().unwrap_or("application/octet-stream");
                let label = format!("resource {} {}, {} bytes", visible(&resource.uri), visible(mime_type), blob.len());
                self.saved(&label, &file_name("resource", index, mime_type), blob)
            }
        }
    }

    /// Saves a piece if there is a place for it, and says where it is.
    fn saved(&self, label: &str, name: &str, data: &[u8]) -> Result<String, SaveError> {
        let Some(folder) = &self.out else { return Ok(format!("[{label}; --out DIR saves it]")) };
        let path = save(folder, name, data).map_err(|error| SaveError { folder: folder.clone(), error })?;
        Ok(format!("[{label}: {}]", path.display()))
    }

    fn link(&self, link: &ResourceLink) -> String {
        let place = self.artifacts.path(&link.uri).map_or_else(String::new, |path| format!(" {}", path.display()));
        format!("[link {} {}{place}]", visible(&link.name), visible(&link.uri))
    }
}

/// A piece of a result cannot be saved.
#[derive(Debug, thiserror::Error)]
#[error("nothing can be saved in {}: {error}", folder.display())]
pub(super) struct SaveError {
    folder: PathBuf,
    error: io::Error,
}

/// Saves `data` under a name that is free: `image-1.png`, else `image-1-2.png` and so on.
fn save(folder: &Path, name: &str, data: &[u8]) -> io::Result<PathBuf> {
    ambient::create_private_dir(folder)?;
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "bin"));
    for number in 1..10_000 {
        let name = if number == 1 { name.to_owned() } else { format!("{stem}-{number}.{extension}") };
        let path = folder.join(name);
        match ambient::create_private(&path, data) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A name for a piece. Of the media type only a known ending is taken: the plugin wrote it.
fn file_name(kind: &str, index: usize, mime_type: &str) -> String {
    let extension = match mime_type.split(';').next().unwrap_or_default().trim() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/svg+xml" => "svg",
        "audio/mpeg" => "mp3",
        "audio/wav" | "audio/x-wav" => "wav",
        "audio/ogg" => "ogg",
        "application/pdf" => "pdf",
        "application/json" => "json",
        "application/zip" => "zip",
        "text/html" => "html",
        _ => "bin",
    };
    format!("{kind}-{}.{extension}", index + 1)
}

/// The outcome for programs: a result as MCP has it, with our code beside it.
pub(super) fn json(outcome: &Outcome) -> Value {
    let mut answer = match &outcome.result {
        Ok(output) => result_json(output),
        Err(failure) => failure_json(failure),
    };
    answer["denials"] = outcome.denials.iter().map(denial_json).collect();
    answer
}

fn result_json(output: &Output) -> Value {
    let content: Vec<Value> = output.content.iter().map(content_json).collect();
    let mut answer = json!({"content": content, "isError": false});
    if let Some(structured) = &output.structured {
        answer["structuredContent"] = structured.clone();
    }
    answer
}

fn failure_json(failure: &Failure) -> Value {
    let mut answer = json!({
        "content": [{"type": "text", "text": failure.to_string()}],
        "isError": true,
        "code": failure.code,
        "message": failure.message,
    });
    if let Some(fix) = &failure.fix {
        answer["fix"] = fix.as_str().into();
    }
    answer
}

fn denial_json(failure: &Failure) -> Value {
    let mut denial = json!({"code": failure.code, "message": failure.message});
    if let Some(fix) = &failure.fix {
        denial["fix"] = fix.as_str().into();
    }
    denial
}

fn content_json(piece: &Content) -> Value {
    match piece {
        Content::Text(text) => json!({"type": "text", "text": text}),
        Content::Image(media) => media_json("image", media),
        Content::Audio(media) => media_json("audio", media),
        Content::Resource(resource) => resource_json(resource),
        Content::Link(link) => link_json(link),
    }
}

fn media_json(kind: &str, media: &Media) -> Value {
    json!({"type": kind, "data": STANDARD.encode(&media.data), "mimeType": media.mime_type})
}

fn resource_json(resource: &EmbeddedResource) -> Value {
    let mut inner = json!({"uri": resource.uri});
    if let Some(mime_type) = &resource.mime_type {
        inner["mimeType"] = mime_type.as_str().into();
    }
    match &resource.body {
        ResourceBody::Text(text) => inner["text"] = text.as_str().into(),
        ResourceBody::Blob(blob) => inner["blob"] = STANDARD.encode(blob).into(),
    }
    json!({"type": "resource", "resource": inner})
}

fn link_json(link: &ResourceLink) -> Value {
    let mut answer = json!({"type": "resource_link", "uri": link.uri, "name": link.name});
    for (key, text) in [("title", &link.title), ("description", &link.description), ("mimeType", &link.mime_type)] {
        if let Some(text) = text {
            answer[key] = text.as_str().into();
        }
    }
    if let Some(size) = link.size {
        answer["size"] = size.into();
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_core::outcome::Code;

    fn pieces() -> Output {
        let media = Media { data: vec![1, 2, 3], mime_type: "image/png; x=\"\u{1b}\"".to_owned() };
        let link = ResourceLink {
            uri: "artifact://c-1/result.txt".into(),
            name: "result.txt".into(),
            size: Some(9),
            ..ResourceLink::default()
        };
        Output {
            content: vec![Content::Text("hello".into()), Content::Image(media), Content::Link(link)],
            structured: None,
            ..Output::default()
        }
    }

    #[test]
    fn what_is_no_text_has_a_line_of_its_own() {
        let artifacts = Artifacts::new("/state/artifacts".into());
        let shown = Pieces { out: None, artifacts: &artifacts }.text(&pieces()).unwrap();
        assert_eq!(
            shown,
            "hello\n[image image/png; x=\"\\u{1b}\", 3 bytes; --out DIR saves it]\n\
             [link result.txt artifact://c-1/result.txt /state/artifacts/c-1/result.txt]\n"
        );
    }

    #[test]
    fn a_result_without_content_shows_its_structure() {
        let artifacts = Artifacts::new("/state".into());
        let output = Output { structured: Some(json!({"a": 1})), ..Output::default() };
        assert_eq!(Pieces { out: None, artifacts: &artifacts }.text(&output).unwrap(), "{\n  \"a\": 1\n}\n");
    }

    #[test]
    fn programs_get_mcp_content_and_our_code() {
        let failure = Failure::new(Code::DeniedNetHost, "no").with_fix("add it");
        let outcome = Outcome { result: Err(failure.clone()), denials: vec![failure] };
        assert_eq!(
            json(&outcome),
            json!({
                "content": [{"type": "text", "text": "no; add it"}], "isError": true,
                "code": "denied.net.host", "message": "no", "fix": "add it",
                "denials": [{"code": "denied.net.host", "message": "no", "fix": "add it"}],
            })
        );
        assert_eq!(
            json(&Outcome::done(pieces()))["content"],
            json!([
                {"type": "text", "text": "hello"},
                {"type": "image", "data": "AQID", "mimeType": "image/png; x=\"\u{1b}\""},
                {"type": "resource_link", "uri": "artifact://c-1/result.txt", "name": "result.txt", "size": 9},
            ])
        );
    }
}
