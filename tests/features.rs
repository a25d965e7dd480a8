//! Holds cases/features.toml to its word: each row of what callers rely on has its test, or the reason why it has none.

use std::path::Path;

use toml::Table;

use crate::hostile::index::{Entry, entry, exists};

#[test]
fn every_feature_has_its_test_or_its_reason() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/features.toml");
    let features: Table = std::fs::read_to_string(path).expect("it is there").parse().expect("it is TOML");
    let (mut covered, mut left_out, mut missing) = (0, 0, Vec::new());
    for (group, rows) in &features {
        for (id, row) in rows.as_table().expect("a group is a table") {
            let id = format!("{group}{id}");
            match entry(&id, row) {
                Entry::Covered(tests) => {
                    assert!(!tests.is_empty(), "{id} names no test");
                    missing.extend(tests.iter().filter(|test| !exists(test)).map(|test| format!("{id}: {test}")));
                    covered += 1;
                }
                Entry::LeftOut(reason) => {
                    println!("left out: {id}: {reason}");
                    left_out += 1;
                }
            }
        }
    }
    assert!(missing.is_empty(), "it names tests that are not there:\n{}", missing.join("\n"));
    println!("measured: {} features, {covered} covered, {left_out} left out with a reason", covered + left_out);
}
