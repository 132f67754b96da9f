//! The unmodified buildx on an engine, with a context.

use super::{Engine, Outcome, finish, folder, plugins};

/// An engine whose client has buildx, and a context of these files; `None` where buildx
/// is not installed.
pub fn start(files: &[(&str, &str)]) -> Option<Engine> {
    plugins::find("docker-buildx")?;
    let engine = Engine::with_busybox();
    folder(&engine, "context", files);
    plugins::link(&engine, "docker-buildx").then_some(engine)
}

/// `docker buildx` in the context.
pub fn run(engine: &Engine, args: &[&str]) -> Outcome {
    let mut command = engine.docker_command(&[&["buildx"], args].concat());
    command.current_dir(engine.dir().join("context"));
    finish(&mut command, b"")
}

/// `docker buildx build` of the context.
pub fn build(engine: &Engine, args: &[&str]) -> Outcome {
    run(
        engine,
        &[&["build", "--progress=plain"], args, &["."]].concat(),
    )
}
