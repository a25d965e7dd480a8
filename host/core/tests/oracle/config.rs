//! Configurations: whatever the file says, an answer with places in it, and nothing read that its rules forbid.

use std::path::Path;

use bailiwick_core::config::{Config, Effective, Mistake, Plugin, Source, code, read, render};
use bailiwick_core::grant::{Access, FsGrant, Limits, NetGrant, SecretSource};

use super::is_plain;

/// The folder of the file.
pub const BASE: &str = "/srv/app";

/// The file with its name and place.
pub fn source(text: &str) -> Source {
    Source { name: "bailiwick.toml".to_owned(), text: text.to_owned(), base: BASE.into() }
}

/// The variables that are set. One holds what no message should be able to act on.
pub fn environment(name: &str) -> Option<String> {
    let value = match name {
        "HOME" => "/home/me",
        "HOST" => "api.example.com",
        "EMPTY" => "",
        "HOSTILE" => "\u{1b}]0;x\u{7}\n[plugins.evil]\u{202e}",
        _ => return None,
    };
    Some(value.to_owned())
}

/// Reads a text and looks at what came of it.
pub fn check(text: &str) -> Result<Config, Vec<Mistake>> {
    let source = source(text);
    let config = read(&source, &environment);
    match &config {
        Ok(config) => check_config(config),
        Err(mistakes) => {
            check_mistakes(&source, mistakes);
            assert_eq!(Some(mistakes), read(&source, &environment).err().as_ref(), "{text:?} is read in two ways");
        }
    }
    config
}

fn check_mistakes(source: &Source, mistakes: &[Mistake]) {
    let text = &source.text;
    assert!((1..=101).contains(&mistakes.len()), "{} mistakes in {text:?}", mistakes.len());
    let mut last = 0;
    for mistake in mistakes {
        let span = mistake.place.span.clone();
        assert!(code::ALL.contains(&mistake.code) && !mistake.message.is_empty(), "{mistake:?}");
        assert!(span.start <= span.end && text.get(span.clone()).is_some(), "{mistake:?} in {text:?}");
        assert!(last <= span.start, "{mistake:?} is out of order in {text:?}");
        last = span.start;
        let before = &text[..span.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1;
        let place = (before.matches('\n').count() + 1, column);
        assert_eq!((mistake.place.line, mistake.place.column), place, "{mistake:?} in {text:?}");
    }
    let shown = render(source, mistakes);
    assert!(is_plain(&shown) && !shown.contains('\t'), "{shown:?}");
    let n_heads = shown.lines().filter(|line| line.starts_with("error[")).count();
    assert_eq!(n_heads, mistakes.len(), "a mistake forges another: {shown}");
}

/// What holds for every configuration that is read, whatever it says.
fn check_config(config: &Config) {
    assert!((1..=1_000).contains(&config.host.calls) && config.host.queue <= 10_000);
    let names: Vec<&str> = config.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    assert!(names.iter().enumerate().all(|(at, name)| !names[..at].contains(name)), "{names:?}");
    for plugin in &config.plugins {
        check_plugin(config, plugin);
        let unnamed = plugin.rules_for("a-tool-that-no-rule-names");
        check_effective(plugin, &unnamed);
        for (name, rule) in &plugin.tools {
            let effective = plugin.rules_for(name);
            check_effective(plugin, &effective);
            assert_eq!(effective.allowed, rule.allow.unwrap_or(unnamed.allowed), "{name} of {plugin:?}");
        }
        for (second, first) in &plugin.alias {
            assert!(second != first && !plugin.alias.contains_key(first), "{second} of {plugin:?}");
        }
    }
}

fn check_plugin(config: &Config, plugin: &Plugin) {
    let Limits { http_concurrent, memory, time, .. } = plugin.limits;
    let (least, most) = (Limits::LEAST, Limits::MOST);
    assert!((least.memory..=most.memory).contains(&memory) && (least.time..=most.time).contains(&time));
    assert!((least.http_concurrent..=most.http_concurrent).contains(&http_concurrent));
    for grant in plugin.grants.net.iter() {
        let again = NetGrant::parse(grant.text(), grant.index(), grant.place().clone());
        assert_eq!(again.as_ref(), Ok(grant));
    }
    let own = [&config.host.state, &config.host.cache, &config.audit.file];
    for grant in plugin.grants.fs.iter() {
        check_directory(grant);
        let touches = |path: &Path| path.starts_with(&grant.host) || grant.host.starts_with(path);
        assert!(!own.iter().any(|path| path.as_deref().is_some_and(touches)), "{grant:?} shows the host's own files");
        let writes = grant.access == Access::ReadWrite;
        assert!(!(writes && Path::new(BASE).starts_with(&grant.host)), "{grant:?} can change this file");
        for secret in plugin.grants.secrets.iter().filter(|secret| !secret.reveal) {
            let SecretSource::File(file) = &secret.source else { continue };
            assert!(!file.starts_with(&grant.host), "{grant:?} shows {secret:?}");
        }
    }
    for secret in &plugin.grants.secrets {
        let used = secret.binding.as_ref().map(|binding| plugin.grants.net.names(&binding.origin));
        assert!(used.unwrap_or(secret.reveal), "{secret:?} is of no use");
    }
}

fn check_directory(grant: &FsGrant) {
    assert_eq!(
        FsGrant::parse(&grant.text, super::fs::roots(), grant.place.clone()).map(|again| again.host),
        Ok(grant.host.clone())
    );
    let plain = |path: &str| path.starts_with('/') && !path.split('/').any(|step| matches!(step, "." | ".."));
    assert!(grant.host.to_str().is_some_and(|host| host != "/" && plain(host)), "{grant:?}");
    assert!(plain(&grant.guest) && !grant.guest.contains("//"), "{grant:?}");
}

/// A tool never has more than its plugin.
fn check_effective(plugin: &Plugin, effective: &Effective) {
    for grant in effective.grants.net.iter() {
        assert!(plugin.grants.net.covers(grant), "{grant:?} is more than {plugin:?}");
    }
    for grant in effective.grants.fs.iter() {
        check_directory(grant);
        assert!(plugin.grants.fs.covers(grant), "{grant:?} is more than {plugin:?}");
    }
    for secret in &effective.grants.secrets {
        assert!(plugin.grants.secrets.contains(secret), "{secret:?} is more than {plugin:?}");
    }
    assert_eq!(effective.grants.env, plugin.grants.env);
    let (own, most) = (&effective.limits, &plugin.limits);
    assert!(own.time <= most.time && own.memory <= most.memory && own.output <= most.output, "{own:?}");
    assert!(own.log <= most.log && own.artifacts <= most.artifacts && own.handles <= most.handles, "{own:?}");
    assert!(own.http_requests <= most.http_requests && own.http_concurrent <= most.http_concurrent, "{own:?}");
    assert!(own.http_request_body <= most.http_request_body && own.http_response_body <= most.http_response_body);
    assert!(own.table_elements <= most.table_elements && own.concurrency <= most.concurrency, "{own:?}");
    assert!(plugin.inject.keys().all(|name| effective.inject.contains_key(name)), "{effective:?}");
    assert!(plugin.arguments.iter().all(|rule| effective.arguments.contains(rule)), "{effective:?}");
}

/// Any text.
pub fn input(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = check(text);
    }
}
