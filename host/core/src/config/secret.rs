//! The `[plugins.NAME.secrets.SECRET]` tables: from text to what they mean.

use super::Typing;
use super::file::SecretTable;
use super::mistake::{Flaw, Mistake, Place, code, shown};
use super::reader::{At, Named, joined};
use super::variables::is_variable;
use crate::grant::{Binding, NetGrants, Origin, Placement, SecretGrant, SecretSource};
use crate::name::SecretName;

/// What a secret's table says wrongly has been noted.
struct Noted;

impl Typing<'_, '_> {
    /// Reads all secrets of a plugin. Whether one could ever be used is asked only if the whole of `net` is known. Those in
    /// `own` are for the host to prove who it is, and have no place of their own.
    pub(super) fn secrets(
        &mut self,
        path: &str,
        tables: Named<At<SecretTable>>,
        net: Option<&NetGrants>,
        own: &[SecretName],
    ) -> Vec<SecretGrant> {
        let mut secrets = Vec::new();
        let path = joined(path, "secrets");
        for (key, table) in tables.0 {
            let parsed = SecretName::parse(&key.value)
                .map_err(|error| Flaw::new(format!("{} is not a secret name", shown(&key.value))).legal(error.legal()));
            let name = self.reading.accept(parsed, &key.place);
            if !table.clean {
                continue;
            }
            secrets.extend(self.secret(&joined(&path, &key.value), name, &key.place, table.value, (net, own)));
        }
        secrets
    }

    fn secret(
        &mut self,
        path: &str,
        name: Option<SecretName>,
        place: &Place,
        table: SecretTable,
        (net, own): (Option<&NetGrants>, &[SecretName]),
    ) -> Option<SecretGrant> {
        let reveal = table.reveal.is_some_and(|reveal| reveal.value);
        let source = self.secret_source(path, place, table.env, table.file, table.command);
        let variable = self.variable(table.variable);
        let placement = self.placement(path, table.header, table.format, table.basic, table.query);
        let origin = self.origin(table.origin, net);
        let missing = match (&origin, &placement) {
            (Err(Noted), _) | (_, Err(Noted)) | (Ok(Some(_)), Ok(Some(_))) => None,
            (Ok(Some(_)), Ok(None)) => Some(("where in a request it stands", "`header`, `basic` or `query`")),
            (Ok(None), Ok(Some(_))) => Some(("which requests it is for", "`origin = \"https://…\"`")),
            (Ok(None), Ok(None)) if reveal || variable.is_some() => None,
            (Ok(None), Ok(None)) if name.as_ref().is_some_and(|name| own.contains(name)) => None,
            (Ok(None), Ok(None)) => {
                Some(("what it is for", "`origin` with `header`, `basic` or `query`; `variable`; or `reveal = true`"))
            }
        };
        if let Some((what, legal)) = missing {
            let message = format!("`[{path}]` does not say {what}");
            self.reading.note(Mistake::new(code::MISSING_KEY, place.clone(), message).legal(legal));
        }
        let binding = match (origin.ok()?, placement.ok()?) {
            (Some(origin), Some(placement)) => Some(Binding { origin, placement }),
            (Some(_), None) | (None, Some(_) | None) => None,
        };
        let variable = variable.map(|variable| variable.value);
        Some(SecretGrant { name: name?, source: source?, binding, variable, reveal, place: place.clone() })
    }

    fn origin(&mut self, text: Option<At<String>>, net: Option<&NetGrants>) -> Result<Option<Origin>, Noted> {
        let Some(text) = text else {
            return Ok(None);
        };
        let origin = self.reading.accept(Origin::parse(&text.value), &text.place).ok_or(Noted)?;
        if net.is_some_and(|net| !net.names(&origin)) {
            let message = format!("no `net` grant reaches `{origin}`, so this secret would never be used");
            let mistake = Mistake::new(code::UNUSED, text.place, message);
            self.reading.note(mistake.suggest(format!("to grant it, add `net = [\"{origin}\"]`")));
        }
        Ok(Some(origin))
    }

    /// The variable of a program that holds a secret, if it can be one.
    fn variable(&mut self, variable: Option<At<String>>) -> Option<At<String>> {
        let variable = variable?;
        let flaw = || {
            let flaw = Flaw::new(format!("{} is not a name an environment variable can have", shown(&variable.value)));
            flaw.legal("A-Z, a-z, 0-9 and `_`, not starting with a digit")
        };
        self.reading.accept(is_variable(&variable.value).then_some(()).ok_or_else(flaw), &variable.place)?;
        Some(variable)
    }

    fn secret_source(
        &mut self,
        path: &str,
        place: &Place,
        env: Option<At<String>>,
        file: Option<At<String>>,
        command: Option<At<Vec<At<String>>>>,
    ) -> Option<SecretSource> {
        const SOURCES: &str = "exactly one of `env`, `file`, `command`";
        let given: Vec<&Place> = [
            env.as_ref().map(|env| &env.place),
            file.as_ref().map(|file| &file.place),
            command.as_ref().map(|command| &command.place),
        ]
        .into_iter()
        .flatten()
        .collect();
        match given.as_slice() {
            [] => {
                let message = format!("`[{path}]` does not say where its value comes from");
                self.reading.note(Mistake::new(code::MISSING_KEY, place.clone(), message).legal(SOURCES));
            }
            [_] => {}
            [_, second, ..] => {
                let message = format!("`[{path}]` has two sources");
                self.reading.note(Mistake::new(code::CONFLICT, (*second).clone(), message).legal(SOURCES));
                return None;
            }
        }
        if let Some(env) = env {
            let named = is_variable(&env.value).then(|| SecretSource::Env(env.value.clone()));
            let flaw = || {
                let flaw = Flaw::new(format!("{} is not a name an environment variable can have", shown(&env.value)));
                flaw.legal("the variable's name, such as `API_TOKEN`; not its value")
            };
            return self.reading.accept(named.ok_or_else(flaw), &env.place);
        }
        if let Some(file) = file {
            return self.path(&file).map(SecretSource::File);
        }
        let command = command?;
        let argv: Vec<String> = command.value.into_iter().map(|word| word.value).collect();
        let runs =
            argv.first().is_some_and(|program| !program.is_empty()) && !argv.iter().any(|word| word.contains('\0'));
        let flaw = || {
            Flaw::new("the command has no program").legal("a program and its arguments: `[\"pass\", \"show\", \"x\"]`")
        };
        let source = runs.then_some(SecretSource::Command(argv));
        self.reading.accept(source.ok_or_else(flaw), &command.place)
    }

    fn placement(
        &mut self,
        path: &str,
        header: Option<At<String>>,
        format: Option<At<String>>,
        basic: Option<At<String>>,
        query: Option<At<String>>,
    ) -> Result<Option<Placement>, Noted> {
        if let Some(second) = [&header, &basic, &query].into_iter().flatten().nth(1) {
            let message = format!("`[{path}]` stands in two places of a request");
            let mistake = Mistake::new(code::CONFLICT, second.place.clone(), message);
            self.reading.note(mistake.legal("exactly one of `header`, `basic`, `query`"));
            return Err(Noted);
        }
        if let (Some(format), None) = (&format, &header) {
            let message = "`format` says what a header holds, and there is no `header`";
            self.reading.note(Mistake::new(code::CONFLICT, format.place.clone(), message));
            return Err(Noted);
        }
        let placement = if let Some(header) = header {
            let name = self.reading.accept(Placement::header(&header.value), &header.place);
            let format = match format {
                Some(format) => self.reading.accept(Placement::format(&format.value), &format.place),
                None => Some("{}".to_owned()),
            };
            Placement::Header { name: name.ok_or(Noted)?, format: format.ok_or(Noted)? }
        } else if let Some(basic) = basic {
            let user = plain(&basic.value, "a user name", &[':']);
            Placement::Basic { user: self.reading.accept(user, &basic.place).ok_or(Noted)? }
        } else if let Some(query) = query {
            let key = plain(&query.value, "a query parameter", &[]);
            Placement::Query { key: self.reading.accept(key, &query.place).ok_or(Noted)? }
        } else {
            return Ok(None);
        };
        Ok(Some(placement))
    }
}

fn plain(text: &str, what: &str, never: &[char]) -> Result<String, Flaw> {
    if text.is_empty() || text.contains(never) || text.contains(char::is_control) {
        return Err(Flaw::new(format!("{} cannot be {what}", shown(text))));
    }
    Ok(text.to_owned())
}
