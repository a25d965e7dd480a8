//! Values by name: what a caller gave and what the operator injects. The operator's always win.

use std::collections::BTreeSet;

use bailiwick_operation::Source;
use bailiwick_sdk::Failure;
use serde_json::{Map, Value};

/// All values of one call.
pub(crate) struct Values<'v> {
    given: &'v Map<String, Value>,
    injected: &'v Map<String, Value>,
    /// Arguments that have a place.
    used: BTreeSet<&'v str>,
}

impl<'v> Values<'v> {
    pub(crate) fn new(given: &'v Map<String, Value>, injected: &'v Map<String, Value>) -> Self {
        Self { given, injected, used: BTreeSet::new() }
    }

    /// The value from there; none: there is none, or it is `null`.
    pub(crate) fn take(&mut self, source: &Source) -> Option<&'v Value> {
        let value = match source {
            Source::Argument(name) => return self.argument(name).filter(|value| !value.is_null()),
            Source::Injected(name) => self.injected.get(name),
        };
        value.filter(|value| !value.is_null())
    }

    /// What a caller gave under this name, `null` too.
    pub(crate) fn argument(&mut self, name: &str) -> Option<&'v Value> {
        let (name, value) = self.given.get_key_value(name)?;
        self.used.insert(name);
        // An operator may hide what a caller knows by another name.
        (!self.injected.contains_key(name.as_str())).then_some(value)
    }

    /// What the operator injects under this name.
    pub(crate) fn injected(&self, name: &str) -> Option<&'v Value> {
        self.injected.get(name)
    }

    /// Whether the operator injects something of this name, whatever its case.
    pub(crate) fn is_injected(&self, name: &str) -> bool {
        self.injected.keys().any(|known| is_taken(known, name))
    }

    /// Arguments that had no place until now; they have one then.
    pub(crate) fn take_rest(&mut self) -> Vec<(&'v str, &'v Value)> {
        let rest: Vec<_> = self.rest().collect();
        self.used.extend(rest.iter().map(|(name, _)| *name));
        rest
    }

    /// Arguments that have no place yet and no injected name.
    pub(crate) fn rest(&self) -> impl Iterator<Item = (&'v str, &'v Value)> + '_ {
        let all = self.given.iter().map(|(name, value)| (name.as_str(), value));
        all.filter(|(name, _)| !self.used.contains(name) && !self.is_injected(name))
    }
}

/// Names in a query, a form or the cookies that have a meaning. What a caller names itself, the keys of an object, must
/// not take one of them.
#[derive(Debug, Default)]
pub(crate) struct Names {
    operators: Vec<String>,
    declared: Vec<String>,
}

impl Names {
    /// Adds a name that is filled from there.
    pub(crate) fn add(&mut self, wire: &str, from: &Source) {
        match from {
            Source::Argument(_) => self.declared.push(wire.to_owned()),
            Source::Injected(_) => self.operators.push(wire.to_owned()),
        }
    }

    /// Adds a name whose value the operator wrote.
    pub(crate) fn add_operators(&mut self, wire: String) {
        self.operators.push(wire);
    }

    /// Whether a caller's own name is sent. One of the operator's is left out: that it is there is none of the caller's
    /// business.
    ///
    /// # Errors
    ///
    /// `arguments.invalid` for a name that another argument is for.
    pub(crate) fn allow(&self, name: &str, values: &Values<'_>) -> Result<bool, Failure> {
        if values.is_injected(name) || self.operators.iter().any(|known| is_taken(known, name)) {
            return Ok(false);
        }
        if self.declared.iter().any(|known| is_same(known, name)) {
            return Err(Failure::invalid(format!("The key `{}` is an argument of its own.", name.escape_debug())));
        }
        Ok(true)
    }
}

/// Whether a service might take one name for the other: many do not look at the case.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || one.to_lowercase() == other.to_lowercase()
}

/// Whether a service might take a caller's name for one of the operator's: many read `key[]` and `key[a]` as `key` too, and
/// some `_` in `.` and in a space, and nothing in spaces around a name or behind a NUL.
pub(crate) fn is_taken(operators: &str, name: &str) -> bool {
    let meant = |name: &str| {
        let whole = name.split('\0').next().unwrap_or_default();
        whole.trim_matches(|c: char| c.is_whitespace() || c.is_control()).replace(['.', ' '], "_")
    };
    let before = name.split('[').next().unwrap_or_default();
    [name, before].iter().any(|name| is_same(operators, name) || is_same(&meant(operators), &meant(name)))
}
