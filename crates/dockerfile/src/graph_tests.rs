//! Whole files, what their stages need, and the complaints about it.

use std::collections::BTreeMap;

use super::*;
use crate::parse::parse;

fn graph_of(text: &str, contexts: &[&str]) -> Result<Graph, Error> {
    let file = parse(text.as_bytes())?;
    let predefined = [("TARGETPLATFORM", "linux/amd64".to_owned())];
    let given = BTreeMap::from([("GIVEN".to_owned(), "given".to_owned())]);
    let globals = Globals::new(&file, &predefined, &given)?;
    let contexts = contexts.iter().map(|name| (*name).to_owned()).collect();
    Graph::new(&file, &globals, contexts)
}

fn graph(text: &str) -> Graph {
    graph_of(text, &[]).expect(text)
}

fn complaint(text: &str) -> String {
    let needed = |graph: Graph| graph.needed(graph.nodes().len() - 1);
    let error = graph_of(text, &[]).and_then(needed).expect_err(text);
    assert!(error.span().is_some(), "{error}");
    error.to_string()
}

#[test]
fn bases_are_stages_images_or_nothing() {
    let graph = graph("ARG V=1\nFROM a:$V AS one\nFROM One\nFROM scratch\nFROM $V/${GIVEN:-x}\n");
    let sources: Vec<_> = graph
        .nodes()
        .iter()
        .map(|node| node.source.clone())
        .collect();
    assert_eq!(
        sources,
        [
            Source::Image("a:1".into()),
            Source::Stage(0),
            Source::Scratch,
            Source::Image("1/x".into())
        ]
    );
    assert_eq!(graph.nodes()[1].name, "stage-1");
    assert_eq!(graph.target(None), Ok(3));
    assert_eq!(graph.target(Some("ONE")), Ok(0));
    assert_eq!(graph.target(Some("2")), Ok(2));
    assert_eq!(
        graph
            .target(Some("onne"))
            .map_err(|error| error.to_string()),
        Err("target stage \"onne\" could not be found (did you mean one?)".to_owned())
    );
}

#[test]
fn only_what_is_needed_is_needed() {
    let graph = graph(
        "FROM a AS one\nFROM b AS two\nFROM c AS three\nCOPY --from=one x y\nFROM d\nRUN --mount=from=three,target=/x z\nCOPY --from=img q r\n",
    );
    assert_eq!(graph.needed(3), Ok(vec![0, 2, 3]));
    assert_eq!(graph.needed(1), Ok(vec![1]));
    assert_eq!(graph.nodes()[3].uses[1].source, Source::Image("img".into()));
    assert_eq!(graph.did_you_mean("busibox").as_deref(), Some("busybox"));
}

#[test]
fn triggers_of_stages_need_what_they_name() {
    let graph = graph("FROM a AS x\nFROM b AS base\nONBUILD COPY --from=x /a /b\nFROM base\n");
    assert_eq!(graph.nodes()[2].triggers.len(), 1);
    assert_eq!(graph.needed(2), Ok(vec![0, 1, 2]));
    assert_eq!(graph.needed(1), Ok(vec![1]));
}

#[test]
fn contexts_replace_stages_and_images() {
    let text = "FROM a AS one\nCOPY --from=5 a b\nFROM two\nCOPY --from=one x y\n";
    let graph = graph_of(text, &["one", "two"]).expect("a graph");
    assert!(graph.nodes()[0].replaced);
    assert_eq!(graph.nodes()[1].source, Source::Context("two".into()));
    assert_eq!(graph.needed(1), Ok(vec![0, 1]));
}

#[test]
fn complaints_have_a_place() {
    for (text, expected) in [
        ("FROM $NONE", "base name ($NONE) should not be blank"),
        (
            "FROM --platform=$TARGETPLATFROM a",
            "empty platform value from expression $TARGETPLATFROM (did you mean TARGETPLATFORM?)",
        ),
        ("FROM a\nCOPY --from=3 a b", "invalid stage index 3"),
        (
            "FROM a\nCOPY --from=$X a b",
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
        ),
        (
            "FROM a AS b\nCOPY --from=b x y",
            "circular dependency detected on stage: b",
        ),
        (
            "FROM a AS b\nCOPY --from=c x y\nFROM a AS c\nRUN --mount=from=b,target=/x y",
            "circular dependency detected on stage: b",
        ),
        (
            "FROM a AS b\nCOPY --from=c x y\nFROM a AS c\nFROM b",
            "cannot copy from stage \"c\", it needs to be defined before current stage \"b\"",
        ),
    ] {
        assert_eq!(complaint(text), expected, "{text}");
    }
}
