//! Wrong Dockerfiles, and what the real buildx 0.29 on Docker 28.5 says of each,
//! with its excerpt: `wrong.txt` holds both. What a build says before it runs
//! anything, this crate says in the same words.

use std::collections::{BTreeMap, BTreeSet};

use gantry_dockerfile::ignore::Patterns;
use gantry_dockerfile::lint::{Base, Setting, check};

const RECORDED: &str = include_str!("wrong.txt");

#[test]
fn everything_wrong_is_said_as_buildx_says_it() {
    let setting = Setting {
        predefined: &[("TARGETPLATFORM", "linux/amd64".to_owned())],
        build_args: &BTreeMap::new(),
        contexts: &BTreeSet::new(),
        ignored: &Patterns::default(),
        target: None,
        image: &|_, _| Ok(Base::default()),
        options: None,
    };
    let mut differences = Vec::new();
    let cases = RECORDED
        .split("==== wrong\n")
        .filter(|case| !case.is_empty());
    let mut count = 0;
    for case in cases {
        let (file, expected) = case.split_once("---- says\n").expect("an answer");
        let said = match check(file.as_bytes(), &setting).error {
            None => "nothing\n".to_owned(),
            Some(error) => {
                let excerpt = error.excerpt("Dockerfile", file.as_bytes());
                format!("{error}\n{}", excerpt.unwrap_or_default())
            }
        };
        // Where BuildKit shows no lines we may.
        let said = match expected.lines().count() {
            1 => said.lines().next().unwrap_or_default().to_owned(),
            _ => said,
        };
        if said.trim_end() != expected.trim_end() {
            differences.push(format!("{file}expected {expected}got {said}"));
        }
        count += 1;
    }
    assert!(count > 70, "{count}");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
