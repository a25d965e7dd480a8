//! From WIT names to tool names.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::name::ToolName;

/// The longest name model providers take.
const LONGEST: usize = 64;

/// The WIT name of an exported function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionName {
    /// Its interface as exported, for example `docs:adder/add@0.1.0`; none: it stands in the world itself.
    pub interface: Option<String>,
    /// Its own name, for example `add` or `[static]counter.total`.
    pub function: String,
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{interface}#{}", self.function),
            None => f.write_str(&self.function),
        }
    }
}

impl FunctionName {
    /// The interface without package and version: `add` of `docs:adder/add@0.1.0`.
    #[must_use]
    pub fn short_interface(&self) -> Option<&str> {
        let unversioned = without_version(self.interface.as_deref()?);
        Some(unversioned.rsplit('/').next().unwrap_or(unversioned))
    }

    /// The parts in order, joined by `_`, which no WIT name holds: `docs_adder_add_add`.
    fn joined(&self) -> String {
        let function = self.function.split_once(']').map_or(self.function.as_str(), |(_, name)| name);
        let whole = match &self.interface {
            Some(interface) => format!("{}_{function}", without_version(interface)),
            None => function.to_owned(),
        };
        whole.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
    }
}

fn without_version(interface: &str) -> &str {
    interface.split('@').next().unwrap_or(interface)
}

/// The tool names of a component's functions, in their order. A name that does not fit, or that two functions would
/// have (of two versions of an interface, say), ends in 8 hexadecimal digits of the SHA-256 of the whole WIT name. So a
/// name depends on its own function, and only where two would be the same on another's.
#[must_use]
pub fn tool_names(functions: &[FunctionName]) -> Vec<ToolName> {
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for function in functions {
        *wanted.entry(function.joined()).or_default() += 1;
    }
    let name = |function: &FunctionName| {
        let joined = function.joined();
        let fits = wanted.get(&joined) == Some(&1) && joined.len() <= LONGEST;
        let plain = fits.then(|| ToolName::parse(&joined).ok()).flatten();
        plain.unwrap_or_else(|| hashed(&joined, function))
    };
    functions.iter().map(name).collect()
}

fn hashed(joined: &str, function: &FunctionName) -> ToolName {
    let digest = hex::encode(Sha256::digest(function.to_string().as_bytes()));
    let head: String = joined.chars().take(LONGEST - 9).collect();
    let name = format!("{head}_{}", &digest[..8]);
    ToolName::parse(&name).unwrap_or_else(|_| unreachable!("`{name}` is made of legal characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> FunctionName {
        match text.split_once('#') {
            Some((interface, function)) => {
                FunctionName { interface: Some(interface.to_owned()), function: function.to_owned() }
            }
            None => FunctionName { interface: None, function: text.to_owned() },
        }
    }

    #[track_caller]
    fn check(wit: &[&str], expected: &[&str]) {
        let names = tool_names(&wit.iter().map(|text| name(text)).collect::<Vec<_>>());
        assert_eq!(names.iter().map(ToolName::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_name_is_package_interface_and_function() {
        check(
            &["add-item", "golem:it/api#add-item", "docs:adder/add@0.1.0#add", "tools#run-DNS", "a:b:c/d#e"],
            &["add-item", "golem_it_api_add-item", "docs_adder_add_add", "tools_run-DNS", "a_b_c_d_e"],
        );
        check(&["a:b/c#[static]counter.total", "[static]counter.total"], &["a_b_c_counter_total", "counter_total"]);
    }

    #[test]
    fn a_name_stays_when_others_come() {
        let all = ["f", "a:b/c#f", "a:b/c#g", "a:b/d#f", "x:b/c#f"];
        for count in 1..=all.len() {
            check(&all[..count], &["f", "a_b_c_f", "a_b_c_g", "a_b_d_f", "x_b_c_f"][..count]);
        }
    }

    #[test]
    fn two_versions_of_an_interface_are_told_apart_whatever_their_order() {
        let (one, two) = ("a:b/c@1.0.0#f", "a:b/c@2.0.0#f");
        check(&[one, two], &["a_b_c_f_4c6fd186", "a_b_c_f_f5694387"]);
        check(&[two, one], &["a_b_c_f_f5694387", "a_b_c_f_4c6fd186"]);
        check(&[two, "a:b/c@2.0.0#g"], &["a_b_c_f", "a_b_c_g"]);
    }

    #[test]
    fn a_long_name_is_cut_and_stays_distinct() {
        let long = "x".repeat(60);
        let (one, two) = (format!("a:b/c#{long}a"), format!("a:b/c#{long}b"));
        let names = tool_names(&[name(&one), name(&two)]);
        assert_eq!([names[0].as_str().len(), names[1].as_str().len()], [64, 64]);
        assert_ne!(names[0], names[1]);
        let fits = format!("a:b/c#{}", "x".repeat(58));
        check(&[&fits], &[&format!("a_b_c_{}", "x".repeat(58))]);
    }

    #[test]
    fn messages_show_the_wit_name() {
        assert_eq!(name("a:b/c@1.0.0#f").to_string(), "a:b/c@1.0.0#f");
        assert_eq!(name("f").to_string(), "f");
        assert_eq!(name("a:b/c@1.0.0#f").short_interface(), Some("c"));
        assert_eq!(name("tools#f").short_interface(), Some("tools"));
        assert_eq!(name("f").short_interface(), None);
    }
}
