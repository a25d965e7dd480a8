//! What a service wants callers to prove, and what of it the operator has not given yet.

use std::collections::BTreeSet;

use bailiwick_operation::Location;

use super::{Scheme, SchemeKind, Service};
use crate::grant::{Placement, SecretGrant};

/// The lines that would give what a service's document asks for and no secret gives: one sentence for each scheme that
/// stands in the way of some tool. `logs_in` says whether the host has a login there.
#[must_use]
pub fn advice(service: &Service, plugin: &str, secrets: &[SecretGrant], logs_in: bool) -> Vec<String> {
    let is_met = |name: &String| {
        let scheme = service.schemes.iter().find(|scheme| scheme.name == *name);
        scheme.is_none_or(|scheme| logs_in || is_met(&scheme.kind, secrets))
    };
    let mut unmet: BTreeSet<&String> = BTreeSet::new();
    for tool in &service.tools {
        let is_open = tool.security.is_empty() || tool.security.iter().any(|wanted| wanted.iter().all(is_met));
        if !is_open {
            unmet.extend(tool.security.first().into_iter().flatten().filter(|name| !is_met(name)));
        }
    }
    let origin = service.base.origin().ascii_serialization();
    let schemes = service.schemes.iter().filter(|scheme| unmet.contains(&scheme.name));
    schemes.map(|scheme| sentence(scheme, plugin, &origin)).collect()
}

fn is_met(kind: &SchemeKind, secrets: &[SecretGrant]) -> bool {
    let placements = || secrets.iter().filter_map(|secret| Some(&secret.binding.as_ref()?.placement));
    let in_header = |wanted: &str| {
        placements().any(|placement| match placement {
            Placement::Header { name, .. } => name.eq_ignore_ascii_case(wanted),
            Placement::Basic { .. } => wanted.eq_ignore_ascii_case("authorization"),
            Placement::Query { .. } => false,
        })
    };
    match kind {
        SchemeKind::Key { at: Location::Query, name } => {
            placements().any(|placement| matches!(placement, Placement::Query { key } if key == name))
        }
        SchemeKind::Key { at: Location::Cookie, .. } => in_header("cookie"),
        SchemeKind::Key { at: _, name } => in_header(name),
        SchemeKind::Basic | SchemeKind::Bearer | SchemeKind::OAuth { .. } | SchemeKind::OpenId { .. } => {
            in_header("authorization")
        }
        // No secret answers these.
        SchemeKind::Other(_) => true,
    }
}

fn sentence(scheme: &Scheme, plugin: &str, origin: &str) -> String {
    let place = match &scheme.kind {
        SchemeKind::Key { at: Location::Query, name } => format!("query = \"{name}\""),
        SchemeKind::Key { at: Location::Cookie, name } => format!("header = \"Cookie\", format = \"{name}={{}}\""),
        SchemeKind::Key { at: _, name } => format!("header = \"{name}\""),
        SchemeKind::Basic => "basic = \"USER\"".to_owned(),
        SchemeKind::Bearer | SchemeKind::OAuth { .. } | SchemeKind::OpenId { .. } | SchemeKind::Other(_) => {
            "header = \"Authorization\", format = \"Bearer {}\"".to_owned()
        }
    };
    let or = match &scheme.kind {
        SchemeKind::OAuth { token_url: Some(url), .. } => {
            format!("; or have the host log in at `{url}` with `openapi.login`")
        }
        SchemeKind::Key { .. }
        | SchemeKind::Basic
        | SchemeKind::Bearer
        | SchemeKind::OAuth { .. }
        | SchemeKind::OpenId { .. }
        | SchemeKind::Other(_) => String::new(),
    };
    let name = &scheme.name;
    format!(
        "its document asks for `{name}`: add `[plugins.{plugin}.secrets.NAME]` with `env = \"VARIABLE\", \
         origin = \"{origin}\", {place}`{or}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Options, read};
    use super::*;
    use crate::config::Place;
    use crate::grant::{Binding, Origin, SecretSource};
    use crate::name::SecretName;

    fn service() -> Service {
        let document = json!({
            "openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "servers": [{"url": "https://a.example"}],
            "components": {"securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
                "token": {"type": "http", "scheme": "bearer"},
                "unused": {"type": "http", "scheme": "basic"},
            }},
            "security": [{"key": []}, {"token": []}],
            "paths": {"/a": {"get": {"operationId": "a"}}, "/b": {"get": {"operationId": "b", "security": []}}},
        });
        read(&document, &Options::default()).unwrap()
    }

    fn secret(header: &str) -> SecretGrant {
        let placement = Placement::Header { name: header.to_owned(), format: "{}".to_owned() };
        SecretGrant {
            name: SecretName::parse("KEY").unwrap(),
            source: SecretSource::Env("KEY".to_owned()),
            binding: Some(Binding { origin: Origin::parse("https://a.example").unwrap(), placement }),
            variable: None,
            reveal: false,
            place: Place::default(),
        }
    }

    #[test]
    fn what_no_secret_gives_is_told_with_the_line_that_would() {
        let told = advice(&service(), "shop", &[], false);
        assert_eq!(
            told,
            ["its document asks for `key`: add `[plugins.shop.secrets.NAME]` with `env = \"VARIABLE\", \
              origin = \"https://a.example\", header = \"X-Key\"`"]
        );
    }

    #[test]
    fn one_way_in_is_enough() {
        assert!(advice(&service(), "shop", &[secret("x-key")], false).is_empty());
        assert!(advice(&service(), "shop", &[secret("authorization")], false).is_empty());
        assert!(advice(&service(), "shop", &[], true).is_empty());
        assert_eq!(advice(&service(), "shop", &[secret("x-other")], false).len(), 1);
    }
}
