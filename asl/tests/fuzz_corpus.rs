//! Replays the fuzzers' corpus on a stable compiler.

use std::path::Path;

#[path = "../fuzz/targets.rs"]
mod targets;

#[test]
fn no_input_of_the_corpus_does_harm() {
    for (name, target) in [
        ("definition", targets::definition as fn(&[u8])),
        ("jsonpath", targets::jsonpath),
        ("execution", targets::execution),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut replayed = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            target(&std::fs::read(entry.unwrap().path()).unwrap());
            replayed += 1;
        }
        assert!(replayed > 0, "{} is empty", folder.display());
    }
}
