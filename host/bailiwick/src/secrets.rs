//! The secrets of one plugin: read once when it is loaded, put into requests by the host, taken out of whatever comes
//! back. A guest sees a value only through `reveal = true`.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use http::HeaderValue;
use zeroize::{Zeroize as _, Zeroizing};

use bailiwick_core::grant::{Origin, Placement, SecretGrant, SecretSource};
use bailiwick_core::name::SecretName;
use bailiwick_core::redact::Redactor;

use crate::ambient;

/// Largest file that is read as a secret; a key or a token has a few KiB at most.
const MAX_FILE: u64 = 64 << 10;
/// A secret shorter than this can be guessed, and is easily mistaken for ordinary text when it is masked.
const SHORT: usize = 8;

/// What is known of one plugin's secrets. `Debug` shows names, never values.
#[derive(Default)]
pub struct Secrets {
    values: BTreeMap<SecretName, Zeroizing<String>>,
    redactor: Redactor,
}

/// A secret that cannot be used; says where it is granted, never what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret `{name}` ({at}) {reason}")]
pub struct SecretError {
    /// Which one.
    pub name: SecretName,
    /// Its line in the configuration, `FILE:LINE`.
    pub at: String,
    /// What is wrong, and what to do about it.
    pub reason: String,
}

/// A secret to put into a request.
#[derive(Clone, Copy)]
pub struct Injection<'a> {
    /// Which one.
    pub name: &'a SecretName,
    /// Where it goes.
    pub placement: &'a Placement,
    /// What it is.
    pub value: &'a str,
}

impl Secrets {
    /// Reads every granted secret from its source; `at` is the `FILE:LINE` of the plugin's table.
    ///
    /// # Ambient authority
    /// Reads the environment variables and files, and runs the commands, that the operator named.
    ///
    /// # Errors
    /// All secrets that are missing, empty, or not fit for the place they are meant for.
    pub fn load(grants: &[SecretGrant], at: &str) -> Result<Self, Vec<SecretError>> {
        Self::load_with(grants, at, &ambient::command_output)
    }

    /// The same, with another way to run commands.
    ///
    /// # Errors
    /// As [`Secrets::load`].
    pub fn load_with(
        grants: &[SecretGrant],
        at: &str,
        run: &dyn Fn(&[String]) -> io::Result<Vec<u8>>,
    ) -> Result<Self, Vec<SecretError>> {
        let mut values = BTreeMap::new();
        let mut errors = Vec::new();
        for grant in grants {
            match read(&grant.source, run).and_then(|value| fit(grant, value)) {
                Ok(value) => {
                    if value.len() < SHORT {
                        let place = line(grant, at);
                        tracing::warn!(secret = %grant.name, at = place, "the secret is shorter than {SHORT} bytes: it is easily guessed, and may not be masked everywhere");
                    }
                    values.insert(grant.name.clone(), value);
                }
                Err(reason) => errors.push(SecretError { name: grant.name.clone(), at: line(grant, at), reason }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let redactor = Redactor::new(values.iter().map(|(name, value)| (name, value.as_str())));
        Ok(Self { values, redactor })
    }

    /// These secrets and one more, which stands in the place of one of its name.
    pub(crate) fn clone_with(&self, name: &SecretName, value: &Zeroizing<String>) -> Self {
        let mut values = self.values.clone();
        values.insert(name.clone(), value.clone());
        let redactor = Redactor::new(values.iter().map(|(name, value)| (name, value.as_str())));
        Self { values, redactor }
    }

    /// Takes these secrets out of text and bytes.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The value of a secret. Who asks must have a grant that lets the value out.
    #[must_use]
    pub fn value(&self, name: &SecretName) -> Option<&str> {
        self.values.get(name).map(|value| value.as_str())
    }

    /// What to put into a request to exactly this origin: those of the `granted` secrets that are bound to it.
    pub fn for_origin<'a>(
        &'a self,
        origin: &'a Origin,
        granted: &'a [SecretGrant],
    ) -> impl Iterator<Item = Injection<'a>> {
        granted.iter().filter_map(|grant| {
            let binding = grant.binding.as_ref().filter(|binding| binding.origin == *origin)?;
            let value = self.value(&grant.name)?;
            Some(Injection { name: &grant.name, placement: &binding.placement, value })
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").field(&self.values.keys()).finish()
    }
}

impl fmt::Debug for Injection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Injection").field("name", self.name).field("placement", self.placement).finish_non_exhaustive()
    }
}

/// The line of the secret itself, in the file that `at` names.
fn line(grant: &SecretGrant, at: &str) -> String {
    match at.rsplit_once(':') {
        Some((file, _)) if grant.place.line > 0 => format!("{file}:{}", grant.place.line),
        Some(_) | None => at.to_owned(),
    }
}

fn read(source: &SecretSource, run: &dyn Fn(&[String]) -> io::Result<Vec<u8>>) -> Result<Zeroizing<String>, String> {
    match source {
        SecretSource::Env(name) => ambient::env(name)
            .map(Zeroizing::new)
            .ok_or_else(|| format!("is not there: the environment variable `{name}` is not set, or not UTF-8")),
        SecretSource::File(path) => file(path).and_then(text),
        SecretSource::Command(argv) => run(argv)
            .map_err(|error| {
                let program = argv.first().map_or("", String::as_str);
                format!("is not there: the command `{program}` failed: {error}")
            })
            .and_then(text),
    }
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let unreadable = |error: io::Error| format!("is not there: {shown} cannot be read: {error}");
    let (mode, _) = ambient::mode_and_owner(path).map_err(unreadable)?;
    if mode & 0o077 != 0 {
        return Err(format!(
            "is not used: others may read or write {shown} (mode {mode:04o}); run `chmod 600 {shown}`"
        ));
    }
    ambient::read(path, MAX_FILE).map_err(unreadable)
}

/// The bytes as text, without the line feed that editors and programs put at the end.
fn text(bytes: Vec<u8>) -> Result<Zeroizing<String>, String> {
    let mut text = match String::from_utf8(bytes) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            error.into_bytes().zeroize();
            return Err("is not UTF-8".to_owned());
        }
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// The value, if it can stand where it is meant to.
fn fit(grant: &SecretGrant, value: Zeroizing<String>) -> Result<Zeroizing<String>, String> {
    if value.is_empty() {
        return Err("is empty".to_owned());
    }
    let placement = grant.binding.as_ref().map(|binding| &binding.placement);
    let in_header = matches!(placement, Some(Placement::Header { .. } | Placement::Basic { .. }));
    if in_header && HeaderValue::from_bytes(value.as_bytes()).is_err() {
        return Err("holds a line break or another control character, which cannot stand in a header".to_owned());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use bailiwick_core::grant::Binding;

    use super::*;

    fn grant(name: &str, source: SecretSource, placement: Option<Placement>) -> SecretGrant {
        let origin = Origin::parse("https://api.example.com").unwrap();
        SecretGrant {
            name: SecretName::parse(name).unwrap(),
            source,
            binding: placement.map(|placement| Binding { origin, placement }),
            variable: None,
            reveal: false,
            place: bailiwick_core::config::Place { line: 7, ..Default::default() },
        }
    }

    fn printed(text: &str) -> SecretSource {
        SecretSource::Command(vec!["printf".to_owned(), text.to_owned()])
    }

    fn bearer() -> Option<Placement> {
        Some(Placement::Header { name: "authorization".to_owned(), format: "Bearer {}".to_owned() })
    }

    fn write(name: &str, bytes: &[u8], mode: u32) -> (tempdir::Folder, PathBuf) {
        let folder = tempdir::Folder::new();
        let path = folder.path().join(name);
        ambient::write_private(&path, bytes).unwrap();
        set_mode(&path, mode);
        (folder, path)
    }

    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    mod tempdir {
        use std::path::{Path, PathBuf};
        use std::sync::atomic::{AtomicU32, Ordering};

        /// A folder of a test's own, gone with it.
        pub(super) struct Folder(PathBuf);

        impl Folder {
            pub(super) fn new() -> Self {
                static NEXT: AtomicU32 = AtomicU32::new(0);
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let path = std::env::temp_dir().join(format!("bailiwick-secrets-{}-{number}", std::process::id()));
                crate::ambient::create_private_dir(&path).unwrap();
                Self(path)
            }

            pub(super) fn path(&self) -> &Path {
                &self.0
            }
        }

        impl Drop for Folder {
            #[expect(clippy::disallowed_methods, reason = "a test's own folder")]
            fn drop(&mut self) {
                let _ = std::fs::remove_dir_all(&self.0);
            }
        }
    }

    #[track_caller]
    fn refused(grant: SecretGrant) -> String {
        let errors = Secrets::load(&[grant], "bailiwick.toml:3").unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_secret_is_read_from_its_source_without_the_last_line_feed() {
        let (_folder, path) = write("token", b"from-a-file-1\n", 0o600);
        let grants =
            [grant("A", SecretSource::File(path), bearer()), grant("B", printed("from-a-command\\r\\n"), None)];
        let secrets = Secrets::load(&grants, "bailiwick.toml:3").unwrap();
        assert_eq!(secrets.value(&grants[0].name), Some("from-a-file-1"));
        assert_eq!(secrets.value(&grants[1].name), Some("from-a-command"));
        assert_eq!(secrets.redactor().secrets("x from-a-file-1"), "x [secret A]");
    }

    #[test]
    fn only_one_line_feed_is_taken_off() {
        let grants = [grant("A", printed("two-line-feeds\\n\\n"), None)];
        let secrets = Secrets::load(&grants, "b.toml:1").unwrap();
        assert_eq!(secrets.value(&grants[0].name), Some("two-line-feeds\n"));
    }

    #[test]
    fn a_file_others_may_read_is_refused() {
        let (_folder, path) = write("token", b"canary-value", 0o644);
        let message = refused(grant("A", SecretSource::File(path.clone()), None));
        let shown = path.display();
        let expected = format!(
            "the secret `A` (bailiwick.toml:7) is not used: others may read or write {shown} (mode 0644); run `chmod 600 {shown}`"
        );
        assert_eq!(message, expected);
    }

    #[test]
    fn what_is_not_there_or_empty_is_refused_without_its_value() {
        let missing = refused(grant("A", SecretSource::Env("BAILIWICK_TEST_NOT_SET".to_owned()), None));
        assert_eq!(
            missing,
            "the secret `A` (bailiwick.toml:7) is not there: the environment variable `BAILIWICK_TEST_NOT_SET` is not set, or not UTF-8"
        );
        assert_eq!(refused(grant("A", printed(""), None)), "the secret `A` (bailiwick.toml:7) is empty");
        assert_eq!(refused(grant("A", printed("\\n"), None)), "the secret `A` (bailiwick.toml:7) is empty");
        for broken in ["canary\\rvalue", "canary\\nvalue", "canary\\0value"] {
            let message = refused(grant("A", printed(broken), bearer()));
            assert!(message.contains("control character") && !message.contains("canary"), "{message}");
            assert!(Secrets::load(&[grant("A", printed(broken), None)], "b.toml:1").is_ok(), "only a header cares");
        }
        assert!(refused(grant("A", SecretSource::File("/does/not/exist".into()), None)).contains("cannot be read"));
        assert!(refused(grant("A", SecretSource::Command(vec!["false".to_owned()]), None)).contains("`false` failed"));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let grants =
            [grant("A", printed(""), None), grant("B", printed("all-right-here"), None), grant("C", printed(""), None)];
        assert_eq!(Secrets::load(&grants, "b.toml:1").unwrap_err().len(), 2);
    }

    #[test]
    fn a_secret_goes_to_its_origin_and_only_where_it_is_granted() {
        let grants = [grant("A", printed("canary-value"), bearer()), grant("B", printed("unbound-value"), None)];
        let secrets = Secrets::load(&grants, "b.toml:1").unwrap();
        let names = |origin: &str, granted: &[SecretGrant]| {
            let origin = Origin::parse(origin).unwrap();
            secrets.for_origin(&origin, granted).map(|injection| injection.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("https://api.example.com", &grants), ["A"]);
        assert!(names("https://api.example.com", &grants[1..]).is_empty(), "not granted to this tool");
        for other in
            ["https://api.example.com:8443", "https://example.com", "https://x.api.example.com", "http://localhost"]
        {
            assert!(names(other, &grants).is_empty(), "{other}");
        }
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let grants = [grant("A", printed("canary-value"), bearer())];
        let secrets = Secrets::load(&grants, "b.toml:1").unwrap();
        let origin = Origin::parse("https://api.example.com").unwrap();
        let injection = secrets.for_origin(&origin, &grants).next().unwrap();
        for shown in [format!("{secrets:?}"), format!("{injection:?}")] {
            assert!(shown.contains('A') && !shown.contains("canary"), "{shown}");
        }
    }
}
