//! `--cgroup-parent`: where a container's cgroup is made.

use super::folders::Folders;
use crate::gantry_only;
use crate::harness::Engine;

#[test]
fn the_parent_is_absolute_or_relative_to_the_root() {
    let engine = Engine::with_busybox();
    gantry_only!(engine);
    let own = engine.cgroup_parent().to_owned();
    let relative = own.trim_start_matches('/').to_owned();
    let climbing = format!("/x/../{relative}/./deep/..//");
    for parent in [&own, &relative, &climbing] {
        engine
            .docker(&[
                "run",
                "-d",
                "--name",
                "child",
                "--cgroup-parent",
                parent,
                "busybox",
                "sleep",
                "1000",
            ])
            .ok();
        let id = engine.inspect("child", "{{.Id}}");
        let folders = Folders::of(&engine.inspect("child", "{{.State.Pid}}")).all();
        let end = format!("{relative}/{id}");
        assert!(
            folders.iter().all(|folder| folder.ends_with(&end)),
            "{parent}: {folders:?}"
        );
        assert_eq!(
            engine.inspect("child", "{{.HostConfig.CgroupParent}}"),
            *parent
        );
        engine.docker(&["rm", "-f", "child"]).ok();
    }
}
