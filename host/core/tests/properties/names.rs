//! Names, and how tools get theirs.

use proptest::collection::vec;
use proptest::prelude::*;

use bailiwick_core::registry::Naming;

use crate::oracle::names::{check, check_registry, check_yielding};
use crate::{Tally, any_of, for_all};

#[test]
fn a_name_is_what_its_sort_allows() {
    let texts = prop_oneof!["[a-zA-Z0-9_-]{0,70}", "[a-z][a-z0-9_-]{0,34}", ".{0,8}", "[a-z]{1,3}.[a-z]{1,3}"];
    for_all(20_000, texts, |text| check(&text));
}

/// Few names, so that they are in each other's way in every manner there is.
#[test]
fn tools_get_the_same_names_in_every_order_and_nobody_takes_anothers() {
    const PLUGINS: &[&str] = &["a", "b", "a_", "long-plugin-name-with-32-character"];
    const TOOLS: &[&str] = &[
        "read",
        "read",
        "write",
        "a__read",
        "b__read",
        "_read",
        "a___read",
        "b__a__read",
        "list",
        "a___",
        "call_tool",
        "a-tool-with-a-name-that-is-nearly-as-long-as-a-name-can-ever-be",
    ];
    let aliases = vec(any_of(TOOLS), 0..2);
    let wanted = vec((any_of(PLUGINS), any_of(TOOLS), aliases), 0..8);
    let tally = Tally::default();
    for_all(10_000, wanted, |wanted| {
        tally.add(if check_registry(&wanted) { (1, 0) } else { (0, 1) });
    });
    tally.expect(10_000, 100);
}

/// Servers of other people beside components: what they call their tools changes nothing for these.
#[test]
fn tools_that_yield_take_nothing_from_those_that_do_not() {
    const PLUGINS: &[&str] = &["a", "b", "a-b", "a_", "long-plugin-name-with-32-character"];
    const TOOLS: &[&str] = &[
        "read",
        "Read",
        "read-all",
        "read_all",
        "a__read",
        "b__read",
        "a-b__read",
        "A__Read",
        "_read",
        "a___read",
        "b__a__read",
        "search_tools",
        "Search-Tools",
        "a-tool-with-a-name-that-is-nearly-as-long-as-a-name-can-ever-be1",
        "a-tool-with-a-name-that-is-nearly-as-long-as-a-name-can-ever-be2",
        "long-plugin-name-with-32-character__a-tool-with-a-name-_10ad25d6",
    ];
    let naming = (any::<bool>(), any::<bool>()).prop_map(|(yields, prefix_always)| Naming { yields, prefix_always });
    let wanted = vec((any_of(PLUGINS), any_of(TOOLS), naming), 0..10);
    for_all(10_000, wanted, |wanted| check_yielding(&wanted));
}
