//! `--log-driver syslog` with rsyslogd as the other side, where it is installed:
//! datagrams and streams, and each format, as rsyslogd's own parsers understand them.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::harness::{Engine, command, finish, remark};
use crate::run::wait_for;

struct Rsyslogd {
    process: Child,
    dir: PathBuf,
}

impl Rsyslogd {
    /// One with sockets `datagrams` and `stream`; `None` where it is not installed.
    fn start(engine: &Engine) -> Option<Self> {
        let installed = finish(&mut command("sh", &["-c", "command -v rsyslogd"]), b"");
        if installed.code != 0 {
            remark("SKIPPED: rsyslogd is not installed");
            return None;
        }
        let dir = engine.dir().join("rsyslog");
        std::fs::create_dir(&dir).expect("a folder");
        let place = dir.display();
        let configuration = format!(
            r#"global(workDirectory="{place}")
module(load="imuxsock" SysSock.Use="off")
module(load="imptcp")
input(type="imuxsock" Socket="{place}/datagrams" UseSpecialParser="off" ParseHostname="on" RateLimit.Interval="0")
input(type="imptcp" Path="{place}/stream")
template(name="parts" type="string" string="%syslogfacility-text%.%syslogseverity-text%|%app-name%|%procid%|%protocol-version%|%msg%\n")
action(type="omfile" file="{place}/messages" template="parts")
"#
        );
        let file = dir.join("conf");
        std::fs::write(&file, configuration).expect("a file");
        let process = Command::new("rsyslogd")
            .args(["-n", "-i", "NONE", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .expect("rsyslogd");
        let rsyslogd = Self { process, dir };
        wait_for(|| rsyslogd.dir.join("datagrams").exists());
        wait_for(|| rsyslogd.dir.join("stream").exists());
        Some(rsyslogd)
    }

    fn messages(&self) -> String {
        std::fs::read_to_string(self.dir.join("messages")).unwrap_or_default()
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn each_format_is_understood_on_both_kinds_of_sockets() {
    let engine = Engine::with_busybox();
    if !engine.is_gantry() {
        // The real Docker sees another file system.
        return;
    }
    let Some(rsyslogd) = Rsyslogd::start(&engine) else {
        return;
    };
    let sockets = [("unixgram", "datagrams"), ("unix", "stream")];
    for (scheme, socket) in sockets {
        for (format, version) in [("rfc3164", "0"), ("rfc5424", "1"), ("rfc5424micro", "1")] {
            let name = format!("{socket}-{format}");
            let place = rsyslogd.dir.join(socket);
            let options = [
                format!("syslog-address={scheme}://{}", place.display()),
                format!("syslog-format={format}"),
                "syslog-facility=local3".to_owned(),
                "tag={{.Name}}".to_owned(),
            ];
            let mut run = vec!["run", "--rm", "--name", &name, "--log-driver", "syslog"];
            run.extend(options.iter().flat_map(|option| ["--log-opt", option]));
            let script =
                format!("echo first of {name}; echo bad of {name} >&2; printf 'rest of {name}'");
            run.extend(["busybox", "sh", "-c", &script]);
            engine.docker(&run).ok();
            let all = [("info", "first"), ("err", "bad"), ("info", "rest")];
            wait_for(|| {
                all.iter()
                    .all(|(_, words)| rsyslogd.messages().contains(&format!("{words} of {name}")))
            });
            let messages = rsyslogd.messages();
            for (severity, words) in all {
                let found = messages.lines().any(|line| {
                    let parts: Vec<&str> = line.split('|').collect();
                    let [priority, app, process, told, text] = parts.as_slice() else {
                        return false;
                    };
                    *priority == format!("local3.{severity}")
                        && *app == name
                        && process.parse::<u32>().is_ok()
                        && *told == version
                        && text.trim_start() == format!("{words} of {name}")
                });
                assert!(found, "{severity} {words}:\n{messages}");
            }
        }
    }
}
