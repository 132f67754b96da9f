//! A Dockerfile as a graph of steps, in the words of both builders: the inputs of each
//! step come before it, and each stage's image can be told without running anything.
#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_build::dockerfile::{Base, Dialect, FETCHED, Named, Options, World, image, plan};
use gantry_build::graph::Local;
use gantry_build::{Error, Result};
use gantry_types::{Digest, ImageConfig, ImageId, Platform};
use libfuzzer_sys::fuzz_target;

fn directory(path: &str) -> Arc<Local> {
    Arc::new(Local {
        directory: path.into(),
        ..Local::default()
    })
}

/// Every image is there, but for some; what it has is made of its name.
struct Images;

impl World for Images {
    fn image(&self, name: &str, _platform: Option<&Platform>) -> Result<Base> {
        if name.len() % 7 == 6 {
            return Err(Error::NotFound(name.to_owned()));
        }
        let text = serde_json::json!({
            "architecture": "amd64",
            "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(name.as_bytes()).to_string()] },
            "config": { "Env": ["PATH=/bin"], "OnBuild": [format!("COPY {name} /x"), format!("RUN {name}")] },
        });
        let config: ImageConfig =
            serde_json::from_value(text).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(Base {
            id: ImageId(Digest::of(name.as_bytes())),
            diff_ids: config.rootfs.diff_ids.clone(),
            config,
        })
    }

    fn fetch(&self, _url: &str, _checksum: Option<&str>) -> Result<Arc<Local>> {
        Ok(directory(FETCHED))
    }

    fn check_out(&self, source: &gantry_git::Source) -> Result<Arc<Local>> {
        let _ = format!("{source:?}");
        Ok(directory(FETCHED))
    }

    fn named(&self, name: &str) -> Option<Named> {
        (name == "c").then(|| Named::Image("d".to_owned()))
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(file) = gantry_dockerfile::parse(data) else {
        return;
    };
    for dialect in [Dialect::Classic, Dialect::BuildKit] {
        let options = Options {
            dialect,
            build_args: BTreeMap::from([("a".to_owned(), Some("b/c".to_owned()))]),
            ..Options::default()
        };
        let context = Some(directory("/nowhere"));
        let Ok(plan) = plan(&file, &options, context, &Images) else {
            continue;
        };
        for (id, node) in plan.graph.nodes.iter().enumerate() {
            assert!(node.op.inputs().iter().all(|input| *input < id));
        }
        let count = plan.graph.nodes.len();
        assert!(plan.wanted.is_none_or(|wanted| wanted < count));
        let _ = image(&plan, &options, &BTreeMap::new());
    }
});
