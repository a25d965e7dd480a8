//! The corpora of the fuzz targets, which are cases too: what a fuzzer once found stays found.

use std::fs;
use std::path::{Path, PathBuf};

use crate::oracle::TARGETS;

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_case_of_every_corpus_holds() {
    for (target, input) in TARGETS {
        let cases = corpus(target);
        assert!(!cases.is_empty(), "`{target}` has no corpus");
        for path in cases {
            let data = fs::read(&path).unwrap();
            let outcome = std::panic::catch_unwind(|| input(&data));
            assert!(outcome.is_ok(), "{}", path.display());
        }
    }
}
