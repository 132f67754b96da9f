//! A stage while it is being planned: what it is by now, and the steps so far.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use gantry_dockerfile::Span;
use gantry_types::{Platform, ProcessConfig};

use super::Step;
use super::cache_from::Sources;
use super::variables::Scope;
use crate::graph::NodeId;

/// What the configurations between the steps may take in all, in bytes of JSON: a file of
/// ten thousand labels would have gigabytes of them.
pub(super) const KEPT_CONFIGS: usize = 4 << 20;

/// A stage that is being planned.
pub(super) struct Current {
    pub(super) index: usize,
    /// The number of the instruction, for its place.
    pub(super) number: usize,
    /// Steps of the stage that make layers.
    pub(super) name: String,
    pub(super) node: Option<NodeId>,
    /// Without the environment, which the scope has.
    pub(super) config: ProcessConfig,
    pub(super) scope: Scope,
    pub(super) steps: Vec<Step>,
    pub(super) author: String,
    pub(super) cmd_given: bool,
    pub(super) platform: Platform,
    pub(super) fresh: bool,
    pub(super) trigger: bool,
    /// What has its next step, and how many were looked for.
    pub(super) sources: Sources,
    pub(super) looked_up: usize,
    /// Where its `FROM` stands: what triggers do is said of that.
    pub(super) from: Span,
    /// How many more bytes of configurations may be kept, in all stages.
    pub(super) keeps: Rc<Cell<usize>>,
    pub(super) platform_args: BTreeMap<String, String>,
}

impl Current {
    /// Remembers an instruction that is done.
    pub(super) fn push(
        &mut self,
        text: String,
        node: Option<NodeId>,
        created_by: String,
        span: Span,
    ) {
        if let Some(node) = node {
            self.node = Some(node);
        }
        self.steps.push(Step {
            text,
            node,
            created_by,
            trigger: self.trigger,
            author: self.author.clone(),
            config: self.kept(),
            span,
            created: None,
        });
    }

    /// The configuration as it is now.
    pub(super) fn configured(&self) -> ProcessConfig {
        ProcessConfig {
            env: Some(self.scope.env.list().clone()),
            ..self.config.clone()
        }
    }

    /// The same, unless too much of them is kept already.
    fn kept(&self) -> Option<Arc<ProcessConfig>> {
        if self.keeps.get() == 0 {
            return None;
        }
        let config = self.configured();
        let last = self.steps.last().and_then(|step| step.config.as_ref());
        if let Some(last) = last.filter(|last| ***last == config) {
            return Some(Arc::clone(last));
        }
        let size = serde_json::to_vec(&config).map_or(usize::MAX, |json| json.len());
        let left = self.keeps.get().checked_sub(size);
        self.keeps.set(left.unwrap_or(0));
        left.map(|_| Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Base, Dialect, Named, Options, World, plan};
    use super::*;
    use crate::graph::Local;
    use crate::{Error, Result};

    /// Where there is nothing.
    struct Nothing;

    impl World for Nothing {
        fn image(&self, name: &str, _: Option<&Platform>) -> Result<Base> {
            Err(Error::Invalid(name.to_owned()))
        }

        fn fetch(&self, url: &str, _: Option<&str>) -> Result<Arc<Local>> {
            Err(Error::Invalid(url.to_owned()))
        }

        fn check_out(&self, _: &gantry_git::Source) -> Result<Arc<Local>> {
            Err(Error::Invalid(String::new()))
        }

        fn named(&self, _: &str) -> Option<Named> {
            None
        }
    }

    /// The configurations that a file of so many labels keeps.
    fn kept(labels: usize, dialect: Dialect) -> usize {
        use std::fmt::Write as _;
        let mut text = "FROM scratch\n".to_owned();
        for label in 0..labels {
            let _ = writeln!(text, "LABEL label{label}=value");
        }
        let file = gantry_dockerfile::parse(text.as_bytes()).expect("a Dockerfile");
        let options = Options {
            dialect,
            ..Options::default()
        };
        let plan = plan(&file, &options, None, &Nothing).expect("a plan");
        let steps = plan.stages.iter().flat_map(|stage| &stage.steps);
        steps.filter(|step| step.config.is_some()).count()
    }

    #[test]
    fn an_argument_without_a_value_has_its_default() {
        let text = "ARG BASE=scratch\nFROM $BASE\nARG WORD=default\nLABEL word=$WORD\n";
        let file = gantry_dockerfile::parse(text.as_bytes()).expect("a Dockerfile");
        for dialect in [Dialect::Classic, Dialect::BuildKit] {
            let names = ["BASE", "WORD"].map(|name| (name.to_owned(), None));
            let options = Options {
                dialect,
                build_args: names.into(),
                ..Options::default()
            };
            let plan = plan(&file, &options, None, &Nothing).expect("a plan");
            let labels = plan.stages[0].config.labels.clone().expect("labels");
            assert_eq!(labels["word"], "default");
        }
    }

    #[test]
    fn the_classic_builder_says_that_a_stage_takes_of_itself() {
        let text = "FROM scratch\nCOPY --from=0 a b\n";
        let file = gantry_dockerfile::parse(text.as_bytes()).expect("a Dockerfile");
        let options = Options {
            dialect: Dialect::Classic,
            ..Options::default()
        };
        let error = plan(&file, &options, None, &Nothing).expect_err("a circle");
        let said = "invalid from flag value 0: refers to current build stage";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn what_is_kept_of_thousands_of_steps_is_bounded() {
        assert_eq!(kept(50, Dialect::Classic), 50);
        assert_eq!(kept(50, Dialect::BuildKit), 0);
        let many = kept(4_000, Dialect::Classic);
        assert!((200..2_000).contains(&many), "{many}");
    }

    #[test]
    fn thousands_of_stages_stand_on_each_other_and_take_from_each_other() {
        // As much stack as a build has.
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let planned = small.spawn(deep_stages).expect("a thread");
        planned.join().expect("all of it");
    }

    fn deep_stages() {
        use std::fmt::Write as _;
        let (mut on, mut from) = (
            "FROM scratch AS s0\n".to_owned(),
            "FROM scratch\n".to_owned(),
        );
        for stage in 1..2_000 {
            let _ = writeln!(on, "FROM s{} AS s{stage}\nENV A{stage}=1", stage - 1);
            let _ = writeln!(from, "FROM scratch\nCOPY --from={} a b", stage - 1);
        }
        let options = Options {
            target: "1999".to_owned(),
            dialect: Dialect::BuildKit,
            ..Options::default()
        };
        let file = gantry_dockerfile::parse(from.as_bytes()).expect("a Dockerfile");
        let taken = plan(&file, &options, None, &Nothing).expect("a plan");
        assert_eq!(taken.stages.len(), 2_000);
        let file = gantry_dockerfile::parse(on.as_bytes()).expect("a Dockerfile");
        let options = Options::default();
        let plan = plan(&file, &options, None, &Nothing).expect("a plan");
        let image = super::super::image(&plan, &options, &BTreeMap::new());
        assert_eq!(image.history.len(), 1_999);
        let env = image.config.and_then(|config| config.env);
        assert_eq!(env.map(|env| env.len()), Some(2_000));
    }
}
