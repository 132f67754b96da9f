//! Options as users write them, and what becomes of them.

use super::*;

fn read(driver: Driver, options: &[(&str, &str)]) -> Result<Settings> {
    let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    let options = options.iter().map(pair).collect();
    let env = ["A=1".to_owned(), "B=x=y".to_owned(), "NONE".to_owned()];
    let subject = Subject {
        id: "0123456789abcdef",
        name: "/web",
        labels: BTreeMap::from([("team".to_owned(), "red".to_owned())]),
        env: &env,
        ..Subject::default()
    };
    Settings::from_options(driver, &options, Path::new("/c"), &subject)
}

#[test]
fn options_are_read() {
    let options = [
        ("max-size", "10m"),
        ("max-file", "3"),
        ("compress", "true"),
        ("mode", "blocking"),
    ];
    let settings = read(Driver::JsonFile, &options).unwrap();
    assert_eq!(settings.path, Path::new("/c/0123456789abcdef-json.log"));
    assert_eq!(settings.max_size, Some(10_000_000));
    assert_eq!((settings.max_file, settings.compress), (3, true));
    let local = read(Driver::Local, &[]).unwrap();
    assert_eq!((local.max_file, local.compress), (5, true));
    assert_eq!(local.max_size, Some(20 << 20));
    let local = read(Driver::Local, &[("compress", "0"), ("max-file", "0")]).unwrap();
    assert_eq!((local.max_file, local.compress), (1, false));
}

#[test]
fn attributes_are_chosen() {
    let attributes = |options: &[(&str, &str)]| {
        let settings = read(Driver::JsonFile, options).unwrap();
        let pairs: Vec<String> = settings
            .attributes
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        pairs.join(",")
    };
    assert_eq!(attributes(&[("labels", "team,none")]), "team=red");
    assert_eq!(attributes(&[("labels-regex", "^t")]), "team=red");
    assert_eq!(attributes(&[("env", "B,NONE")]), "B=x=y");
    assert_eq!(attributes(&[("env-regex", "^[AB]$")]), "A=1,B=x=y");
    let tagged = attributes(&[("tag", "{{.Name}}/{{.ID}}"), ("env", "A")]);
    assert_eq!(tagged, "A=1,tag=web/0123456789ab");
    assert_eq!(attributes(&[("tag", ""), ("env", ""), ("labels", "")]), "");
}

#[test]
fn mistakes_are_told_in_dockers_words() {
    use Driver::{JsonFile, Local, None};
    for (driver, options, words) in [
        (
            JsonFile,
            &[("max-size", "0")][..],
            "max-size must be a positive number",
        ),
        (JsonFile, &[("max-size", "x")], "invalid size: 'x'"),
        (
            JsonFile,
            &[("max-file", "0")],
            "max-file cannot be less than 1",
        ),
        (
            JsonFile,
            &[("max-file", "x")],
            "strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        (
            JsonFile,
            &[("compress", "x")],
            "strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
        (
            JsonFile,
            &[("compress", "true")],
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        (
            Local,
            &[("max-size", "x")],
            "invalid value for max-size: x: invalid size: 'x'",
        ),
        (
            Local,
            &[("max-file", "-1")],
            "max file count cannot be less than 0",
        ),
        (
            Local,
            &[("max-file", "1")],
            "compression cannot be enabled when max file count is 1",
        ),
        (
            Local,
            &[("labels", "a")],
            "unknown log opt 'labels' for log driver local",
        ),
        (
            JsonFile,
            &[("x", "1")],
            "unknown log opt 'x' for json-file log driver",
        ),
        (
            JsonFile,
            &[("mode", "x")],
            "logger: logging mode not supported: x",
        ),
        (
            JsonFile,
            &[("max-buffer-size", "1m")],
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
        (
            None,
            &[("max-size", "1")],
            "unknown log opt 'max-size' for none log driver",
        ),
    ] {
        assert_eq!(read(driver, options).unwrap_err().to_string(), words);
    }
    assert!(read(JsonFile, &[("labels-regex", "(")]).is_err());
    assert!(read(JsonFile, &[("tag", "{{.Nope}}")]).is_err());
}

#[test]
fn services_have_options_of_their_own() {
    use Driver::{Fluentd, Gelf, Journald, Local, Syslog};
    let udp = ("gelf-address", "udp://h:1");
    let tcp = ("gelf-address", "tcp://h:1");
    for (driver, options, words) in [
        (
            Syslog,
            &[("x", "1")][..],
            "unknown log opt 'x' for syslog log driver",
        ),
        (
            Syslog,
            &[("syslog-address", "foo")],
            "unsupported scheme: ''",
        ),
        (
            Syslog,
            &[("syslog-address", "tcp://a:1:2")],
            "address a:1:2: too many colons in address",
        ),
        (
            Syslog,
            &[("syslog-address", "unix:///no/such")],
            "stat /no/such: no such file or directory",
        ),
        (
            Syslog,
            &[("syslog-facility", "24")],
            "invalid syslog facility",
        ),
        (Syslog, &[("syslog-format", "x")], "Invalid syslog format"),
        (
            Syslog,
            &[("syslog-address", "tcp+tls://h")],
            "log option syslog-address=tcp+tls is not supported",
        ),
        (
            Syslog,
            &[("cache-disabled", "x")],
            "invalid value for option cache-disabled: x",
        ),
        (
            Syslog,
            &[("cache-max-size", "x")],
            "invalid cache option: invalid value for max-size: x: invalid size: 'x'",
        ),
        (
            Local,
            &[("cache-x", "1")],
            "unknown log opt 'cache-x' for log driver local",
        ),
        (
            Journald,
            &[("x", "1")],
            "unknown log opt 'x' for journald log driver",
        ),
        (
            Fluentd,
            &[("fluentd-async-connect", "1")],
            "unknown log opt 'fluentd-async-connect' for fluentd log driver",
        ),
        (
            Fluentd,
            &[("fluentd-address", "tcp://h:99999")],
            "invalid fluentd-address (tcp://h:99999): invalid port: strconv.ParseUint: parsing \"99999\": value out of range",
        ),
        (
            Fluentd,
            &[("fluentd-address", "unix://")],
            "invalid fluentd-address (unix://): path is empty",
        ),
        (
            Fluentd,
            &[("fluentd-address", "tcp://h/")],
            "invalid fluentd-address (tcp://h/): should not contain a path element",
        ),
        (
            Fluentd,
            &[("fluentd-async", "x")],
            "strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
        (
            Fluentd,
            &[("fluentd-async-reconnect-interval", "5m")],
            "invalid value for fluentd-async-reconnect-interval: value (\"5m0s\") must be between 100ms and 10s",
        ),
        (
            Fluentd,
            &[("fluentd-buffer-limit", "1s")],
            "invalid suffix: 's'",
        ),
        (
            Fluentd,
            &[("fluentd-max-retries", "-1")],
            "strconv.ParseUint: parsing \"-1\": invalid syntax",
        ),
        (
            Fluentd,
            &[("fluentd-retry-wait", "1")],
            "time: missing unit in duration \"1\"",
        ),
        (
            Fluentd,
            &[("fluentd-write-timeout", "x")],
            "invalid value for fluentd-write-timeout: value must be a duration: time: invalid duration \"x\"",
        ),
        (Gelf, &[("x", "1")], "gelf-address is a required parameter"),
        (
            Gelf,
            &[("gelf-address", "foo:1")],
            "gelf: endpoint needs to be TCP or UDP",
        ),
        (
            Gelf,
            &[("gelf-address", "udp://h")],
            "gelf: please provide gelf-address as proto://host:port",
        ),
        (
            Gelf,
            &[("gelf-address", "udp://h:x")],
            "parse \"udp://h:x\": invalid port \":x\" after host",
        ),
        (
            Gelf,
            &[tcp, ("gelf-compression-type", "gzip")],
            "compression is only supported on UDP",
        ),
        (
            Gelf,
            &[udp, ("gelf-compression-level", "10")],
            "unknown value \"10\" for log opt \"gelf-compression-level\" for gelf log driver",
        ),
        (
            Gelf,
            &[udp, ("gelf-tcp-max-reconnect", "1")],
            "\"gelf-tcp-max-reconnect\" is only valid for TCP",
        ),
        (
            Gelf,
            &[tcp, ("gelf-tcp-reconnect-delay", "-1")],
            "\"gelf-tcp-reconnect-delay\" must be a positive integer",
        ),
    ] {
        assert_eq!(read(driver, options).unwrap_err().to_string(), words);
    }
}

#[test]
fn output_waits_or_does_not() {
    let buffer = |options: &[(&str, &str)]| {
        let settings = read(Driver::JsonFile, options).unwrap();
        settings.speaking.map(|speaking| speaking.buffer)
    };
    assert_eq!(buffer(&[]), None);
    let mode = ("mode", "non-blocking");
    assert_eq!(buffer(&[mode]), Some(Some(1_000_000)));
    assert_eq!(
        buffer(&[mode, ("max-buffer-size", "4m")]),
        Some(Some(4 << 20))
    );
    let asynchronous = read(
        Driver::Fluentd,
        &[("fluentd-async", "true"), ("fluentd-buffer-limit", "2m")],
    );
    let speaking = asynchronous.unwrap().speaking.unwrap();
    assert_eq!(speaking.buffer, Some(2 << 20));
    let cached = read(Driver::Syslog, &[("cache-max-size", "1m")]).unwrap();
    assert_eq!(cached.max_size, Some(1_000_000));
    assert_eq!(cached.path, Path::new("/c/container-cached.log"));
    let none = read(Driver::Syslog, &[("cache-disabled", "1")]).unwrap();
    assert_eq!(none.path, Path::new(""));
}

#[test]
fn rotation_is_told() {
    let options = |pairs: &[(&str, &str)]| -> Options {
        let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        pairs.iter().map(pair).collect()
    };
    for (driver, pairs, words) in [
        ("json-file", &[][..], "5 files of 20 MiB"),
        (
            "json-file",
            &[("max-size", "1m")],
            "1 file of 1000000 bytes",
        ),
        ("local", &[("max-file", "3")], "3 files of 20 MiB"),
        ("syslog", &[("cache-disabled", "true")], ""),
        ("none", &[], ""),
    ] {
        assert_eq!(rotation(driver, &options(pairs)), words);
    }
}
