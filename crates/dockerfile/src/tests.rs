//! Whole files, and the complaints about them.

use std::time::Duration;

use crate::*;

fn file(text: &str) -> Dockerfile {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn complaint(text: &str) -> String {
    match parse(text.as_bytes()) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

/// The only instruction behind `FROM x`.
fn only(line: &str) -> Instruction {
    let mut stages = file(&format!("FROM x\n{line}\n")).stages;
    let mut found = stages.remove(0).instructions;
    assert_eq!(found.len(), 1, "{line}");
    found.remove(0)
}

/// The complaint about a line behind `FROM x`.
fn bad(line: &str) -> String {
    let text = complaint(&format!("FROM x\n{line}\n"));
    let prefix = "dockerfile parse error on line 2: ";
    text.strip_prefix(prefix).unwrap_or(&text).to_owned()
}

fn words(text: &[&str]) -> Vec<Word> {
    text.iter().copied().map(Word::from).collect()
}

fn strings(text: &[&str]) -> Vec<String> {
    text.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn directives_stand_at_the_top() {
    let found = file("# syntax = a/b:1 x\n# Escape=`\n#check=skip=all\n\nFROM x\n").directives;
    assert_eq!(found.syntax.as_deref(), Some("a/b:1"));
    assert_eq!((found.syntax_line, found.escape), (Some(1), '`'));
    assert_eq!(found.check.as_deref(), Some("skip=all"));
    for late in [
        "# a comment\n# escape=`\nFROM x\n",
        "\n# escape=`\nFROM x\n",
        "FROM x\n# escape=`\n",
    ] {
        assert_eq!(file(late).directives.escape, '\\', "{late}");
    }
    assert_eq!(
        complaint("# escape=x\nFROM x"),
        "invalid escape token 'x' does not match ` or \\"
    );
    assert_eq!(
        complaint("# escape=`\n# escape=`\nFROM x"),
        "only one escape parser directive can be used"
    );
}

#[test]
fn lines_are_continued_and_comments_left_out() {
    let run = only("RUN a \\\n  # comment\n  b \\ \t\n\tc");
    assert_eq!(run.original, "RUN a   b \tc");
    assert_eq!(run.span, Span::new(2, 5));
    assert_eq!(only("RUN a\\\\").original, "RUN a\\\\");
    assert_eq!(only("RUN a\\").original, "RUN a");
    let windows = file("# escape=`\r\nFROM x\r\nRUN a `\r\n b\\\r\n");
    assert_eq!(windows.stages[0].instructions[0].original, "RUN a  b\\");
    let empty = file("\u{feff}FROM x\nRUN a \\\n\n\n b\n");
    assert_eq!(empty.warnings.len(), 1);
    assert_eq!(
        empty.warnings[0].message,
        "Empty continuation line found in: RUN a  b"
    );
    assert_eq!(empty.warnings[0].span, Span::line(5));
    assert_eq!(complaint("# nothing\n\n"), "file with no instructions");
    assert_eq!(complaint(""), "file with no instructions");
    assert!(complaint(&format!("FROM {}", "x".repeat(70_000))).contains("65535"));
}

#[test]
fn stages() {
    let found = file("ARG v=1\nFROM --platform=$P a:$v AS Base\nRUN x\nfrom base\n");
    assert_eq!(found.meta_args[0].default, Some(Word::from("1")));
    assert_eq!(found.stages.len(), 2);
    let base = &found.stages[0];
    assert_eq!(base.name.as_deref(), Some("base"));
    assert_eq!(base.written_name.as_deref(), Some("Base"));
    assert_eq!(base.platform, Some(Word::from("$P")));
    assert_eq!(base.base, Word::from("a:$v"));
    assert_eq!(found.stages[1].keyword, "from");
    assert_eq!(complaint("RUN x"), "no build stage in current context");
    let on_one = "dockerfile parse error on line 1: ";
    for (text, expected) in [
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a b", "FROM requires either one or three arguments"),
        (
            "FROM a AS 1b",
            "invalid name for build stage: \"1b\", name can't start with a number or contain symbols",
        ),
        (
            "FROM --platfrom=x a",
            "unknown flag: --platfrom (did you mean platform?)",
        ),
        ("FROM --platform a", "missing a value on flag: --platform"),
    ] {
        assert_eq!(complaint(text), format!("{on_one}{expected}"), "{text}");
    }
}

#[test]
fn unknown_instructions() {
    assert_eq!(
        bad("RNTRYPOINT x"),
        "unknown instruction: RNTRYPOINT (did you mean ENTRYPOINT?)"
    );
    assert_eq!(
        bad("runn x"),
        "unknown instruction: runn (did you mean run?)"
    );
    assert_eq!(bad("WHATEVER x"), "unknown instruction: WHATEVER");
}

#[test]
fn commands_are_shell_or_exec() {
    let line = |text: &str| match only(text).command {
        Command::Cmd(line) | Command::Entrypoint(line) => line,
        Command::Run(run) => run.line,
        other => panic!("{other:?}"),
    };
    let shell = |text: &str| CommandLine::Shell(text.to_owned());
    assert_eq!(line("CMD echo  a 'b'"), shell("echo  a 'b'"));
    assert_eq!(
        line("CMD [\"a\", \"b c\"]"),
        CommandLine::Exec(strings(&["a", "b c"]))
    );
    assert_eq!(line("CMD ['a', 'b']"), shell("['a', 'b']"));
    assert_eq!(line("CMD [\"a\" x"), shell("[\"a\" x"));
    assert_eq!(line("CMD []"), CommandLine::Exec(Vec::new()));
    assert_eq!(line("ENTRYPOINT"), shell(""));
    assert_eq!(line("run x"), shell("x"));
    assert_eq!(line("RUN --network=none -- --x"), shell("--x"));
    assert_eq!(
        bad("CMD [\"a\", 1]"),
        "when using JSON array syntax, arrays must be comprised of strings only"
    );
}

#[test]
fn names_and_values() {
    let pairs = |text: &str| match only(text).command {
        Command::Env(pairs) | Command::Label(pairs) => pairs
            .into_iter()
            .map(|pair| (pair.name.0, pair.value.0, pair.legacy))
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let pair = |name: &str, value: &str, legacy| (name.to_owned(), value.to_owned(), legacy);
    assert_eq!(pairs("ENV a b  c"), [pair("a", "b  c", true)]);
    assert_eq!(
        pairs("ENV a=1 b=\"x y\" c='d e' f=g\\ h"),
        [
            pair("a", "1", false),
            pair("b", "\"x y\"", false),
            pair("c", "'d e'", false),
            pair("f", "g\\ h", false)
        ]
    );
    assert_eq!(pairs("LABEL \"a b\"=c"), [pair("\"a b\"", "c", false)]);
    assert_eq!(bad("ENV a"), "ENV must have two arguments");
    assert_eq!(bad("ENV"), "ENV requires at least one argument");
    assert_eq!(bad("LABEL =x"), "LABEL names can not be blank");
    assert_eq!(
        bad("ENV a=b c"),
        "Syntax error - can't find = in \"c\". Must be of the form: name=value"
    );
    let Command::Arg(args) = only("# b is the second\nARG a=1 b c=\"x y\"").command else {
        panic!("no ARG");
    };
    assert_eq!(args.len(), 3);
    assert_eq!((args[1].name.as_str(), &args[1].default), ("b", &None));
    assert_eq!(args[1].description.as_deref(), Some("is the second"));
    assert_eq!(args[2].default, Some(Word::from("\"x y\"")));
    assert_eq!(bad("ARG"), "ARG requires at least one argument");
    assert_eq!(bad("ARG =x"), "ARG names can not be blank");
}

#[test]
fn copies() {
    let Command::Copy(copy) =
        only("COPY --from=a --chown=1:2 --chmod=0644 --link --parents=false --exclude=*.o --exclude=b x y /z/").command
    else {
        panic!("no COPY");
    };
    assert_eq!(copy.sources, words(&["x", "y"]));
    assert_eq!(copy.destination, Word::from("/z/"));
    assert_eq!(copy.from, Some(Word::from("a")));
    assert_eq!((copy.link, copy.parents), (true, false));
    assert_eq!(copy.exclude, strings(&["*.o", "b"]));
    let Command::Copy(json) = only("COPY [\"a b\", \"/c d/\"]").command else {
        panic!("no COPY");
    };
    assert_eq!(json.sources, words(&["a b"]));
    let Command::Add(add) =
        only("ADD --checksum=sha256:1 --keep-git-dir --unpack=false http://a/b /c").command
    else {
        panic!("no ADD");
    };
    assert_eq!(add.checksum, Some(Word::from("sha256:1")));
    assert_eq!((add.keep_git_dir, add.unpack), (Some(true), Some(false)));
    assert_eq!(
        bad("COPY a"),
        "COPY requires at least two arguments, but only one was provided. Destination could not be determined"
    );
    assert_eq!(
        bad("COPY --form=a b c"),
        "unknown flag: --form (did you mean from?)"
    );
    assert_eq!(
        bad("COPY --link=maybe a b"),
        "expecting boolean value for flag --link, not: maybe"
    );
    assert_eq!(bad("COPY --link= a b"), "missing a value on flag: --link");
    assert_eq!(
        bad("COPY --from=a --from=b c d"),
        "duplicate flag specified: --from"
    );
    assert_eq!(bad("COPY --checksum=a b c"), "unknown flag: --checksum");
}

#[test]
fn heredocs() {
    let run = only("RUN <<EOF cat <<-'B' 3<<C\na $x\nEOF\n\tb\n\t\tB\n\tB\nc\nC");
    let names: Vec<_> = run.heredocs.iter().map(|doc| doc.name.as_str()).collect();
    assert_eq!(names, ["EOF", "B", "C"]);
    assert_eq!(run.heredocs[0].content, "a $x\n");
    assert!(run.heredocs[0].expand && !run.heredocs[1].expand);
    assert_eq!(run.heredocs[1].text(), "b\n");
    assert_eq!(run.heredocs[2].file_descriptor, 3);
    let copy = only("COPY <<a.txt <<\"b.txt\" c /d/\n1\na.txt\n2\nb.txt");
    let Command::Copy(copy) = copy.command else {
        panic!("no COPY");
    };
    assert_eq!(copy.sources, words(&["c"]));
    assert_eq!(copy.inline[0].content, "1\n");
    assert_eq!(
        (copy.inline[1].name.as_str(), copy.inline[1].expand),
        ("b.txt", false)
    );
    assert_eq!(bad("RUN <<EOF\nx"), "unterminated heredoc");
    assert_eq!(
        bad("COPY a <<EOF\nEOF"),
        "COPY cannot accept a heredoc as a destination"
    );
    assert!(only("RUN echo $((1<<2))").heredocs.is_empty());
    assert!(only("RUN [\"cat\", \"<<EOF\"]").heredocs.is_empty());
}

#[test]
fn run_flags() {
    assert_eq!(
        bad("RUN --network=bridge x"),
        "invalid network mode \"bridge\""
    );
    assert_eq!(bad("RUN --security=no x"), "security \"no\" is not valid");
    assert!(bad("RUN --device=a x").contains("--device is not supported"));
    assert_eq!(
        bad("RUN --mont=type=bind x"),
        "unknown flag: --mont (did you mean mount?)"
    );
    assert_eq!(
        bad("RUN --mount=type=bind,from=$a,target=/x y"),
        "'from' doesn't support variable expansion, define alias stage instead"
    );
    let run = only("RUN --security=insecure --network=host --mount=type=cache,target=/c x");
    assert_eq!(run.flags, ["mount", "network", "security"]);
}

#[test]
fn mounts() {
    let resolve = |text: &str| {
        let Command::Run(run) = only(&format!("RUN --mount={text} x")).command else {
            panic!("no RUN");
        };
        let expand = |word: &str| Ok(word.replace("$t", "/t"));
        run.mounts[0]
            .resolve(expand)
            .map_err(|error| error.to_string())
    };
    let mount =
        resolve("type=cache,target=$t,id=a,sharing=locked,mode=0700,uid=1,gid=2,from=s,source=/b");
    let mount = mount.unwrap_or_default();
    assert_eq!(
        (mount.kind, mount.target.as_str()),
        (MountType::Cache, "/t")
    );
    assert_eq!(
        (mount.sharing, mount.mode, mount.read_only),
        (Some(Sharing::Locked), Some(0o700), false)
    );
    let bind = resolve("target=/a").unwrap_or_default();
    assert!(bind.read_only && bind.kind == MountType::Bind);
    assert!(!resolve("target=/a,rw").unwrap_or_default().read_only);
    assert_eq!(
        resolve("type=tmpfs,target=/a,size=2m")
            .unwrap_or_default()
            .size,
        2 << 20
    );
    let secret = resolve("type=secret,id=k,required,env").unwrap_err();
    assert_eq!(secret, "invalid field 'env' must be a key=value pair");
    for (text, expected) in [
        (
            "type=bnd,target=/a",
            "unsupported mount type \"bnd\" (did you mean bind?)",
        ),
        (
            "type=cache,sharing=lockd",
            "unsupported sharing value \"lockd\" (did you mean locked?)",
        ),
        (
            "trget=/a",
            "unexpected key 'trget' in 'trget=/a' (did you mean target?)",
        ),
        (
            "target=/a,size=1",
            "unexpected key 'size' for mount type 'bind'",
        ),
        ("target=/a,ro=maybe", "invalid value for ro: maybe"),
        ("type=cache,mode=9", "invalid value 9 for mode"),
        (
            "target=/a,uid=1",
            "uid not allowed for \"bind\" type mounts",
        ),
        (
            "type=secret",
            "invalid secret mount. one of source, target required",
        ),
        (
            "type=secret,id=a,from=b",
            "secret mount should not have a from",
        ),
        ("type=secret,id=a,src=b", "both source and id can't be set"),
        (
            "type=bind,sharing=private",
            "invalid cache sharing set for bind mount",
        ),
        (
            "target=/a,required",
            "unexpected key 'required' for mount type 'bind'",
        ),
    ] {
        assert_eq!(resolve(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn health() {
    let check = only("HEALTHCHECK --interval=1m30s --timeout=5s --retries=3 cmd [\"a\"]").command;
    assert_eq!(
        check,
        Command::Healthcheck(Healthcheck::Check {
            line: CommandLine::Exec(strings(&["a"])),
            interval: Duration::from_secs(90),
            timeout: Duration::from_secs(5),
            start_period: Duration::ZERO,
            start_interval: Duration::ZERO,
            retries: 3,
        })
    );
    assert_eq!(
        only("HEALTHCHECK none").command,
        Command::Healthcheck(Healthcheck::None)
    );
    for (text, expected) in [
        ("", "HEALTHCHECK requires at least one argument"),
        ("NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("CMD", "Missing command after HEALTHCHECK CMD"),
        ("RUN x", "Unknown type \"RUN\" in HEALTHCHECK (try CMD)"),
        (
            "--interval=1us CMD x",
            "Interval \"interval\" cannot be less than 1ms",
        ),
        ("--interval=1 CMD x", "time: missing unit in duration \"1\""),
        ("--retries=-1 CMD x", "--retries cannot be negative (-1)"),
        (
            "--retries=x CMD x",
            "strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
    ] {
        assert_eq!(bad(&format!("HEALTHCHECK {text}")), expected, "{text}");
    }
}

#[test]
fn the_rest() {
    assert_eq!(
        only("EXPOSE 90/udp 80").command,
        Command::Expose(words(&["80", "90/udp"]))
    );
    assert_eq!(
        only("VOLUME /a [b").command,
        Command::Volume(words(&["/a", "[b"]))
    );
    assert_eq!(
        only("VOLUME [\" /a \"]").command,
        Command::Volume(words(&["/a"]))
    );
    assert_eq!(
        only("WORKDIR a b ").command,
        Command::Workdir(Word::from("a b"))
    );
    assert_eq!(only("USER a:$b").command, Command::User(Word::from("a:$b")));
    assert_eq!(
        only("STOPSIGNAL 9").command,
        Command::Stopsignal(Word::from("9"))
    );
    assert_eq!(
        only("MAINTAINER a <b>").command,
        Command::Maintainer("a <b>".to_owned())
    );
    assert_eq!(
        only("SHELL [\"a\", \"-c\"]").command,
        Command::Shell(strings(&["a", "-c"]))
    );
    for (text, expected) in [
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        (
            "VOLUME [\"\"]",
            "VOLUME specified can not be an empty string",
        ),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("USER --a b", "unknown flag: --a"),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("MAINTAINER", "MAINTAINER requires exactly one argument"),
        (
            "SHELL a -c",
            "SHELL requires the arguments to be in JSON form",
        ),
        ("SHELL []", "SHELL requires at least one argument"),
    ] {
        assert_eq!(bad(text), expected, "{text}");
    }
}

#[test]
fn triggers() {
    let trigger = |text: &str| match only(text).command {
        Command::Onbuild(text) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(trigger("ONBUILD RUN a b"), "RUN a b");
    let with_heredoc = trigger("onbuild copy <<a <<b /c/\n1\na\n2\nb");
    assert_eq!(with_heredoc, "copy <<a <<b /c/\n1\na\n2\nb");
    let copy = parse_instruction(&with_heredoc).expect("the trigger");
    assert_eq!(copy.heredocs.len(), 2);
    assert!(parse_instruction("RUN a\nRUN b").is_err());
    assert!(parse_instruction("FROM a").is_err());
    assert!(parse_instruction("").is_err());
    for (text, expected) in [
        ("ONBUILD", "ONBUILD requires at least one argument"),
        (
            "ONBUILD ONBUILD RUN x",
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
        ),
        ("ONBUILD from x", "FROM isn't allowed as an ONBUILD trigger"),
        (
            "ONBUILD MAINTAINER x",
            "MAINTAINER isn't allowed as an ONBUILD trigger",
        ),
    ] {
        assert_eq!(bad(text), expected, "{text}");
    }
}

#[test]
fn bytes_that_are_no_text_do_no_harm() {
    assert!(parse(b"FROM x\n# \xff\xfe\nRUN a\xffb\n").is_ok());
    assert!(parse(b"\x00\x01\x02").is_err());
}
