//! Directory grants against the model.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::oracle::fs::judge;
use crate::{Tally, any_of, for_all};

const HOST_STEPS: &[&str] = &["a", "b", "docs", "..", ".", "", "a b", "\u{e4}", "docs.d"];
const STARTS: &[&str] = &["./", "", "/srv/", "/srv/app/", "~/", "/home/me/", "/", "/proc/", "../"];
const GUESTS: &[&str] = &["", "", "", ":/docs", ":/docs/a", ":/", ":/x/", ":docs", ":/x/../y", ":/a:b", ":/d\u{e4}"];
const ACCESS: &[&str] = &["", ":ro", ":rw", ":rw", ":RW"];
const PATHS: &[&str] =
    &["docs", "a", "b", "x", "srv", "app", "home", "me", "..", ".", "", "docs.d", "d\u{e4}", "a\u{0}"];

fn grants() -> impl Strategy<Value = String> {
    (any_of(STARTS), vec(any_of(HOST_STEPS), 0..4), any_of(GUESTS), any_of(ACCESS))
        .prop_map(|(start, steps, guest, access)| format!("{start}{}{guest}{access}", steps.join("/")))
}

#[test]
fn decisions_are_those_of_the_model() {
    let paths = (any::<bool>(), any_of(&["/", "/", "/", "", "/srv/app/"]), vec(any_of(PATHS), 0..5)).prop_map(
        |(write, start, steps)| {
            let keyword = if write { "write" } else { "read" };
            format!("{keyword}: {start}{}\n", steps.join("/"))
        },
    );
    let tally = Tally::default();
    for_all(2_000, (vec(grants(), 0..5), vec(grants(), 0..4), vec(paths, 25)), |(plugin, tool, paths)| {
        let plugin: String = plugin.iter().map(|grant| format!("plugin: {grant}\n")).collect();
        let tool: String = tool.iter().map(|grant| format!("tool: {grant}\n")).collect();
        tally.add(judge(format!("{plugin}{tool}{}", paths.concat()).as_bytes()));
    });
    tally.expect(100_000, 50);
}
