//! Every file of the fuzzing corpus, through the functions that are fuzzed.

#[path = "../../../fuzz/src/entries.rs"]
mod entries;

#[expect(clippy::disallowed_methods, reason = "a test reads the corpus")]
fn replay(target: &str, entry: fn(&[u8]), least: usize) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("../fuzz/corpus").join(target);
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        entry(&bytes);
        files += 1;
    }
    assert!(files >= least, "{files} files for {target}");
}

#[test]
fn documents_of_the_corpus_are_answered() {
    replay("yaml", entries::yaml, 20);
}

#[test]
fn expressions_of_the_corpus_are_answered() {
    replay("expression", entries::expression, 100);
}

#[test]
fn rubrics_of_the_corpus_are_answered() {
    replay("rubric", entries::rubric, 10);
}
