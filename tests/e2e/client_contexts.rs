//! Contexts and `config.json`: what one client writes, the other reads.

use crate::harness::Engine;

fn without_host(engine: &Engine, program: &str, args: &[&str]) -> crate::harness::Outcome {
    let mut client = match program {
        "docker" => engine.docker_command(args),
        _ => engine.gantry_command(args),
    };
    client.env_remove("DOCKER_HOST");
    crate::harness::finish(&mut client, b"")
}

#[test]
fn both_clients_share_contexts() {
    let engine = Engine::with_busybox();
    let docker = |args: &[&str]| without_host(&engine, "docker", args);
    let gantry = |args: &[&str]| without_host(&engine, "gantry", args);
    let host = format!("host={}", engine.host());
    gantry(&[
        "context",
        "create",
        "ours",
        "--docker",
        &host,
        "--description",
        "made by us",
    ])
    .ok()
    .prints("ours\n");
    docker(&["context", "create", "stock", "--docker", &host])
        .ok()
        .prints("stock\n");
    for args in [
        &["context", "ls"][..],
        &["context", "ls", "-q"],
        &[
            "context",
            "ls",
            "--format",
            "{{.Name}} {{.Description}} {{.Current}}",
        ],
        &["context", "inspect", "ours", "stock"],
        &["context", "create", "ours", "--docker", &host],
        &["context", "update", "ghost"],
        &["--context", "ghost", "ps"],
        &["--context", "ours", "images", "-q"],
        &["--context", "ours", "-H", "unix:///x", "ps"],
    ] {
        let (stock, ours) = (docker(args), gantry(args));
        assert_eq!(
            (stock.code, &stock.stdout),
            (ours.code, &ours.stdout),
            "{args:?}\n{stock:#?}\n{ours:#?}"
        );
    }
    gantry(&["context", "use", "stock"]).ok().prints("stock\n");
    docker(&["context", "show"]).ok().prints("stock\n");
    docker(&["images", "-q"]).ok();
    gantry(&["images", "-q"]).ok();
    let archive = engine.dir().join("x.dockercontext").display().to_string();
    docker(&["context", "export", "ours", &archive]).ok();
    gantry(&["context", "import", "copy", &archive]).ok();
    let listed = docker(&["context", "ls", "--format", "{{.Name}}:{{.Description}}"]).ok();
    assert!(listed.stdout.contains("copy:made by us\n"), "{listed:?}");
    gantry(&["context", "rm", "stock"])
        .code(1)
        .says("is in use");
    gantry(&["context", "rm", "-f", "stock", "copy"]).ok();
    docker(&["context", "show"]).ok().prints("default\n");
    docker(&["context", "ls", "-q"])
        .ok()
        .prints("default\nours\n");
}

#[test]
fn the_configuration_shapes_output() {
    let engine = Engine::with_busybox();
    engine.docker(&["create", "--name", "one", "busybox"]).ok();
    let folder = engine.dir().join("client");
    std::fs::create_dir_all(&folder).expect("a folder");
    let text = r#"{"auths":{},"psFormat":"{{.Names}}!","imagesFormat":"{{.Repository}}?",
        "proxies":{"default":{"httpProxy":"http://proxy:1"}},"HttpHeaders":{"X-Test":"1"}}"#;
    std::fs::write(folder.join("config.json"), text).expect("a configuration");
    for args in [
        &["ps", "-a"][..],
        &["ps", "-a", "--format", "table {{.Names}}"],
        &["images"],
        &["images", "-q"],
        &[
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "env | grep -i proxy | sort",
        ],
    ] {
        let (stock, ours) = (engine.docker(args).ok(), engine.gantry(args).ok());
        assert_eq!(stock.stdout, ours.stdout, "{args:?}");
    }
    std::fs::write(folder.join("config.json"), "{").expect("a configuration");
    engine.gantry(&["ps"]).code(1).says("config.json");
}
