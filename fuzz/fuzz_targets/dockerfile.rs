//! A Dockerfile: parsed, its stages resolved, every word expanded, every rule
//! asked, every trigger read again.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use gantry_dockerfile::ignore::Patterns;
use gantry_dockerfile::lint::{Base, Setting, check};
use gantry_dockerfile::{
    Command, Error, Word, expand, expand_for_display, parse, parse_instruction,
};
use libfuzzer_sys::fuzz_target;

fn lookup(name: &str) -> Option<String> {
    (name.len() % 2 == 1).then(|| name.repeat(3))
}

fn image(name: &str, _platform: Option<&str>) -> Result<Base, Error> {
    if name.len() % 7 == 6 {
        return Err(Error::new("not found"));
    }
    Ok(Base {
        triggers: vec![format!("COPY --from={name} a b")],
        ..Base::default()
    })
}

fuzz_target!(|data: &[u8]| {
    let build_args = BTreeMap::from([("a".to_owned(), "b/c".to_owned())]);
    let contexts = BTreeSet::from(["c".to_owned()]);
    let ignored = Patterns::parse(b"**/a\n!b").unwrap_or_default();
    let report = check(
        data,
        &Setting {
            predefined: &[("TARGETPLATFORM", "linux/amd64".to_owned())],
            build_args: &build_args,
            contexts: &contexts,
            ignored: &ignored,
            target: None,
            image: &image,
            options: None,
        },
    );
    let _ = report.text("Dockerfile", data);
    let file = match parse(data) {
        Ok(file) => file,
        Err(error) => {
            let _ = error.excerpt("Dockerfile", data);
            return;
        }
    };
    for instruction in file.stages.iter().flat_map(|stage| &stage.instructions) {
        let line = Word::from(instruction.original.as_str());
        let _ = expand(&line, file.escape(), &lookup);
        let _ = expand_for_display(&line.0, file.escape(), &lookup);
        if let Command::Onbuild(text) = &instruction.command {
            let _ = parse_instruction(text);
        }
    }
});
