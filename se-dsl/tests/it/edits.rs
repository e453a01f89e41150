//! What findings say can be mended, is mended by their edits and by nothing else.

use se_dsl::diagnostic::{Edit, apply};
use se_dsl::{Diagnostics, FileId, Options, Severity, Sources, check};

/// The sources with some files in other words.
pub(crate) fn with_texts(sources: &Sources, text: impl Fn(FileId) -> Option<String>) -> Sources {
    let mut changed = Sources::new();
    for file in sources.files() {
        let text = text(file).unwrap_or_else(|| sources.text(file).to_owned());
        changed.add(sources.path(file), text);
    }
    for (path, size) in sources.assets() {
        changed.add_asset(path, size);
    }
    changed
}

/// Every error and warning by code and message: what edits must not add to.
fn told(found: &Diagnostics) -> Vec<(String, String)> {
    let told = found.iter().filter(|it| it.severity != Severity::Note);
    told.map(|it| (it.code.to_string(), it.message.clone()))
        .collect()
}

/// What is wrong with the edits that findings of these sources carry; and how many have some.
pub(crate) fn broken_edits(name: &str, sources: &Sources) -> (String, usize) {
    let found = check(sources, Options::default()).diagnostics;
    let before = told(&found);
    let mut wrong = String::new();
    let mut count = 0;
    for it in found.iter().filter(|it| !it.edits.is_empty()) {
        count += 1;
        let mended = with_texts(sources, |file| {
            let of_file = it.edits.iter().filter(|edit| edit.span.file == file);
            let of_file: Vec<Edit> = of_file.cloned().collect();
            Some(apply(sources.text(file), &of_file))
        });
        let after = told(&check(&mended, Options::default()).diagnostics);
        let key = (it.code.to_string(), it.message.clone());
        let news: Vec<_> = after.iter().filter(|it| !before.contains(it)).collect();
        if after.contains(&key) || !news.is_empty() {
            wrong.push_str(&format!(
                "==== {name}: {key:?} by {:?} leaves {after:?}\n",
                it.edits
            ));
        }
    }
    (wrong, count)
}

#[test]
fn all_edits_of_a_package_are_applied_together() {
    let mut files = crate::lab::files();
    for (path, bytes) in &mut files {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let changed = match path.as_str() {
            "PAv1/jobs/grade.yaml" => text
                .replacen("capture: { output: sw01", "captures: { output: sw01", 1)
                .replacen("{ items: graded_items }", "{ \"graded_items\": items }", 1)
                .replacen("action: continue", "action: \"contineu\"", 1),
            "PAv1/lifecycle.yaml" => text.replacen("post_init@v1", "'post_int@v1'", 1),
            _ => continue,
        };
        *bytes = changed.into_bytes();
    }
    let sources = crate::lab::sources(&files);
    let found = check(&sources, Options::default()).diagnostics;
    let (texts, mended) = found.mended(&sources);
    assert_eq!(mended, 4);
    let sources = with_texts(&sources, |file| texts.get(&file).cloned());
    let again = check(&sources, Options::default()).diagnostics;
    assert_eq!(told(&again), []);
    assert_eq!(again.mended(&sources).1, 0);
    let text = |path| sources.text(sources.find(path).unwrap());
    assert!(text("PAv1/lifecycle.yaml").contains("'post_init@v1'"));
    assert!(text("PAv1/jobs/grade.yaml").contains("{ \"items\": graded_items }"));
}
