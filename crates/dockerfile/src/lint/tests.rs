//! Each rule, with its text and lines, and what silences it.

use super::*;

fn base() -> Base {
    Base {
        env: vec![("PATH".to_owned(), "/bin".to_owned())],
        platform: Some("linux/amd64".to_owned()),
        ..Base::default()
    }
}

fn report_with(text: &str, change: impl FnOnce(&mut Setting<'_>)) -> Report {
    let predefined = [
        ("TARGETPLATFORM", "linux/amd64".to_owned()),
        ("TARGETARCH", "amd64".to_owned()),
    ];
    let build_args = BTreeMap::from([("GIVEN".to_owned(), "1".to_owned())]);
    let contexts = BTreeSet::new();
    let ignored = Patterns::parse(b"ignored\n*.o\n").expect("patterns");
    let mut setting = Setting {
        predefined: &predefined,
        build_args: &build_args,
        contexts: &contexts,
        ignored: &ignored,
        target: None,
        image: &|_, _| Ok(base()),
        options: None,
    };
    change(&mut setting);
    check(text.as_bytes(), &setting)
}

fn report(text: &str) -> Report {
    report_with(text, |_| {})
}

/// `Rule first-last: text` of each finding.
fn found(text: &str) -> Vec<String> {
    let report = report(text);
    assert_eq!(report.error, None, "{text}");
    said(&report)
}

fn said(report: &Report) -> Vec<String> {
    let findings = report.by_line();
    findings
        .into_iter()
        .map(|finding| {
            let (first, last) = (finding.span.first_line, finding.span.last_line);
            format!("{} {first}-{last}: {}", finding.rule.name, finding.text)
        })
        .collect()
}

#[test]
fn what_the_text_shows() {
    for (text, expected) in [
        (
            "FROM a AS B\n",
            &["StageNameCasing 1-1: Stage name 'B' should be lowercase"][..],
        ),
        (
            "FROM a as b\n",
            &["FromAsCasing 1-1: 'as' and 'FROM' keywords' casing do not match"],
        ),
        ("from a as b\n", &[]),
        (
            "FROM a\nRUN b \\\n\n  c\n",
            &["NoEmptyContinuation 4-4: Empty continuation line"],
        ),
        (
            "FROM a\nRun b\ncopy c d\n",
            &[
                "ConsistentInstructionCasing 2-2: Command 'Run' should match the case of the command majority (uppercase)",
                "ConsistentInstructionCasing 3-3: Command 'copy' should match the case of the command majority (uppercase)",
            ],
        ),
        (
            "FROM a AS b\nFROM a AS b\n",
            &["DuplicateStageName 2-2: Duplicate stage name \"b\", stage names should be unique"],
        ),
        (
            "FROM a AS context\n",
            &[
                "ReservedStageName 1-1: Stage name should not use the same name as reserved stage \"context\"",
            ],
        ),
        (
            "FROM a\nMAINTAINER b\n",
            &[
                "MaintainerDeprecated 2-2: Maintainer instruction is deprecated in favor of using label",
            ],
        ),
        (
            "# check=experimental=all\n# other\nARG a\n# b is it\nFROM a AS b\n# x\nARG c d\n",
            &[
                "InvalidDefinitionDescription 3-3: Comment for ARG should follow the format: `# a <description>`",
                "InvalidDefinitionDescription 7-7: Comment for ARG should follow the format: `# <arg_key> <description>`",
            ],
        ),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn what_bases_say() {
    for (text, expected) in [
        (
            "ARG V=1\nFROM a:$W\n",
            &[
                "InvalidDefaultArgInFrom 2-2: Default value for ARG a:$W results in empty or invalid base image name",
                "UndefinedArgInFrom 2-2: FROM argument 'W' is not declared (did you mean V?)",
            ][..],
        ),
        ("ARG GIVEN\nFROM a:x$GIVEN\n", &[]),
        (
            "FROM --platform=$TARGETPLATFORM a\n",
            &[
                "RedundantTargetPlatform 1-1: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
            ],
        ),
        (
            "FROM --platform=linux/amd64 a\n",
            &[
                "FromPlatformFlagConstDisallowed 1-1: FROM --platform flag should not use constant value \"linux/amd64\"",
            ],
        ),
        ("FROM --platform=linux/amd64 a AS build-amd64\n", &[]),
        (
            "FROM --platform=linux/arm64 a AS x_arm64\n",
            &[
                "InvalidBaseImagePlatform 1-1: Base image a was pulled with platform \"linux/amd64\", expected \"linux/arm64\" for current build",
            ],
        ),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn ignored_files_are_missed_where_that_is_wished() {
    let text = "FROM a\nCOPY ignored/x y.o z /\nADD ignored /\nCOPY --from=img ignored /\n";
    assert_eq!(found(text), [""; 0]);
    assert_eq!(
        found(&format!("# check=experimental=CopyIgnoredFile\n{text}")),
        [
            "CopyIgnoredFile 3-3: Attempting to Copy file \"ignored/x\" that is excluded by .dockerignore",
            "CopyIgnoredFile 3-3: Attempting to Copy file \"y.o\" that is excluded by .dockerignore",
            "CopyIgnoredFile 4-4: Attempting to Add file \"ignored\" that is excluded by .dockerignore",
        ]
    );
}

#[test]
fn what_steps_do() {
    for (steps, expected) in [
        (
            "CMD a\nENTRYPOINT b",
            &[
                "JSONArgsRecommended 2-2: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
                "JSONArgsRecommended 3-3: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals",
            ][..],
        ),
        ("SHELL [\"a\"]\nCMD b", &[]),
        (
            "CMD [\"a\"]\nCMD [\"b\"]",
            &[
                "MultipleInstructionsDisallowed 2-2: Multiple CMD instructions should not be used in the same stage because only the last one will be used",
            ],
        ),
        (
            "WORKDIR a\nWORKDIR b",
            &[
                "WorkdirRelativePath 2-2: Relative workdir \"a\" can have unexpected results if the base image changes",
            ],
        ),
        ("WORKDIR /a\nWORKDIR b", &[]),
        (
            "ENV a=$b c=$PAHT",
            &[
                "UndefinedVar 2-2: Usage of undefined variable '$b'",
                "UndefinedVar 2-2: Usage of undefined variable '$PAHT' (did you mean $PATH?)",
            ],
        ),
        ("ARG b\nARG TARGETARCH\nENV a=$b$TARGETARCH", &[]),
        (
            "COPY <<x <<'y' $z/\n$u\nx\n$v\ny",
            &[
                "UndefinedVar 2-6: Usage of undefined variable '$z'",
                "UndefinedVar 2-6: Usage of undefined variable '$u'",
            ],
        ),
        (
            "ENV A b\nLABEL C d",
            &[
                "LegacyKeyValueFormat 2-2: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
                "LegacyKeyValueFormat 3-3: \"LABEL key=value\" should be used instead of legacy \"LABEL key value\" format",
            ],
        ),
        ("# check=skip=LegacyKeyValueFormat\nENV A b", &[]),
        (
            "ARG MY_TOKEN\nENV api_Key=1 PUBLIC_KEY=2 KEYS=3",
            &[
                "SecretsUsedInArgOrEnv 2-2: Do not use ARG or ENV instructions for sensitive data (ARG \"MY_TOKEN\")",
                "SecretsUsedInArgOrEnv 3-3: Do not use ARG or ENV instructions for sensitive data (ENV \"api_Key\")",
            ],
        ),
        (
            "EXPOSE 80/TCP 127.0.0.1:1:2",
            &[
                "ExposeInvalidFormat 2-2: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:1:2'",
                "ExposeProtoCasing 2-2: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
            ],
        ),
    ] {
        assert_eq!(found(&format!("FROM a\n{steps}\n")), expected, "{steps}");
    }
}

#[test]
fn stages_hand_down_what_they_know() {
    let text = "FROM a AS b\nARG X=1\nWORKDIR /w\nSHELL [\"s\"]\nONBUILD ENV Z=$Q\nFROM b\nENV Y=$X\nWORKDIR v\nCMD c\n";
    assert_eq!(
        found(text),
        ["UndefinedVar 6-6: Usage of undefined variable '$Q' (did you mean $X?)"]
    );
}

#[test]
fn only_what_the_target_needs() {
    let text = "FROM a AS one\nCMD x\nFROM a AS two\nCMD y\nFROM one AS three\nCMD [\"z\"]\n";
    let lines = |target| {
        let report = report_with(text, |setting| setting.target = target);
        report
            .findings
            .iter()
            .map(|found| found.span.first_line)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(None), [2, 4]);
    assert_eq!(lines(Some("three")), [2]);
}

#[test]
fn errors_end_the_check() {
    for (text, expected) in [
        ("", "the Dockerfile cannot be empty"),
        ("ARG a\n", "dockerfile contains no stages to build"),
        (
            "FROM a\nRNU x",
            "dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)",
        ),
        (
            "FROM a\nENV b=${c:?d}",
            "failed to process \"${c:?d}\": c: d",
        ),
        ("FROM a\nEXPOSE x", "invalid containerPort: x"),
        (
            "FROM a\nVOLUME $x",
            "VOLUME specified can not be an empty string",
        ),
        (
            "FROM a\nRUN --mount=type=x,target=/a b",
            "unsupported mount type \"x\"",
        ),
        (
            "# check=skp=a\nFROM a",
            "failed to parse check options: invalid check option \"skp\"",
        ),
        (
            "# check=error=x\nFROM a",
            "failed to parse check options: failed to parse check option \"error=x\": strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
    ] {
        let error = report(text).error.map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(expected), "{text}");
    }
    let missing = report_with("FROM busibox", |setting| {
        setting.image = &|name, _| Err(Error::new(format!("{name}: not found")));
    });
    assert_eq!(
        missing.error.map(|error| error.to_string()).as_deref(),
        Some("busibox: not found (did you mean busybox?)")
    );
    let early = report("FROM a AS B\nFOO\n");
    assert_eq!((early.findings.len(), early.error.is_some()), (1, true));
}

#[test]
fn options_choose_rules() {
    let text = "FROM a as B\n";
    let count = |options: &str| {
        let report = report(&format!("# check={options}\n{text}"));
        (
            report.findings.len(),
            report.violation().map(|error| error.to_string()),
        )
    };
    assert_eq!(count("skip=StageNameCasing"), (1, None));
    assert_eq!(count("skip=StageNameCasing,FromAsCasing"), (0, None));
    assert_eq!(count("skip=all;error=true"), (0, None));
    assert_eq!(
        count("error=true"),
        (
            2,
            Some("lint violation found for rules: StageNameCasing, FromAsCasing".to_owned())
        )
    );
    let given = report_with(text, |setting| setting.options = Some("skip=all"));
    assert!(given.findings.is_empty());
    assert_eq!(
        given.summary().as_deref(),
        Some("Check complete, no warnings found.")
    );
}

#[test]
fn a_report_is_printed_as_buildx_prints_it() {
    let text = "FROM a AS B\nRUN c\n";
    let report = report(text);
    assert_eq!(
        report.summary().as_deref(),
        Some("Check complete, 1 warning has been found!")
    );
    assert_eq!(
        report.text("Dockerfile", text.as_bytes()),
        "\nWARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/\nStage name 'B' should be lowercase\nDockerfile:1\n--------------------\n   1 | >>> FROM a AS B\n   2 |     RUN c\n   3 |     \n--------------------\n"
    );
}
