//! The findings of an audit as SARIF 2.1.0, which code hosts show beside the lines they are about.

use std::path::{Component, Path};

use serde_json::{Value, json};
use url::Url;

use bailiwick_core::review::{Finding, Rule};

use crate::ambient;

use super::audit::Audit;

/// The log: one run with all rules and all findings.
pub(super) fn log(audit: &Audit<'_>) -> Value {
    let uri = uri(audit.file);
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "bailiwick",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": Rule::ALL.iter().map(|rule| rule_json(*rule)).collect::<Value>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": audit.findings.iter().map(|finding| result(finding, &uri)).collect::<Value>(),
        }],
    })
}

fn rule_json(rule: Rule) -> Value {
    json!({
        "id": rule.id(),
        "shortDescription": {"text": rule.meaning()},
        "defaultConfiguration": {"level": rule.level().as_str()},
    })
}

fn result(finding: &Finding, uri: &str) -> Value {
    let index = Rule::ALL.iter().position(|rule| *rule == finding.rule);
    let mut text = finding.message.clone();
    for more in [&finding.detail, &finding.fix].into_iter().flatten() {
        text.push_str("\n\n");
        text.push_str(more);
    }
    json!({
        "ruleId": finding.rule.id(),
        "ruleIndex": index,
        "level": finding.rule.level().as_str(),
        "message": {"text": text},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri},
            "region": {"startLine": finding.place.line, "startColumn": finding.place.column},
        }}],
        // The same finding in the next run, wherever its line has moved.
        "partialFingerprints": {"bailiwickFinding/v1": finding.id()},
        "properties": {"plugin": finding.plugin.as_ref().map(|plugin| plugin.as_str()), "subject": finding.subject},
    })
}

/// The configuration file as a URI: relative where it was named so, which is what code hosts can place.
fn uri(file: &Path) -> String {
    let file = file.strip_prefix("./").unwrap_or(file);
    let is_plain = file.components().all(|part| matches!(part, Component::Normal(_)));
    if is_plain && let Ok(url) = Url::from_file_path(Path::new("/").join(file)) {
        return url.path().trim_start_matches('/').to_owned();
    }
    let absolute = ambient::canonical(file).unwrap_or_else(|_| file.to_owned());
    Url::from_file_path(&absolute).map_or_else(|()| absolute.display().to_string(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_becomes_a_uri() {
        assert_eq!(uri(Path::new("bailiwick.toml")), "bailiwick.toml");
        assert_eq!(uri(Path::new("./deploy/my config.toml")), "deploy/my%20config.toml");
        assert_eq!(uri(Path::new("/nowhere/b.toml")), "file:///nowhere/b.toml");
    }
}
