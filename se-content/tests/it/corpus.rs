//! Every zip of the fuzzing corpus, through the function that is fuzzed.

#[path = "../../../fuzz/src/zipped.rs"]
mod zipped;

#[test]
fn zips_of_the_corpus_are_answered() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = 0;
    for file in std::fs::read_dir(root.join("../fuzz/corpus/zip")).unwrap() {
        zipped::zip(&std::fs::read(file.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 15, "{files} files");
}
