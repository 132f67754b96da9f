//! The program inside the built-in image `gantry/hello`: tells what just
//! happened, from what it can see inside its container.
//!
//! It is the whole image: static, without a shell, libc files or configuration.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match greet(&mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn greet(out: &mut impl Write) -> io::Result<()> {
    let read = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let hostname = read("/proc/sys/kernel/hostname");
    let kernel = read("/proc/sys/kernel/osrelease");
    let processes = fs::read_dir("/proc")
        .map(|entries| {
            entries
                .flatten()
                .filter(|entry| is_pid(&entry.file_name()))
                .count()
        })
        .unwrap_or_default();
    writeln!(
        out,
        "
Hello from gantry: this is a container, and it works.

What just happened:
 1. The client asked the daemon to create a container from the image gantry/hello.
 2. The image was not here yet, so it was taken out of the gantry binary itself.
 3. An empty writable layer was put on top of the image's only layer.
 4. A small monitor, the shim, started this process with namespaces, cgroups,
    capabilities and a seccomp filter of its own, and keeps its output.
 5. This is that output, sent through the daemon to your terminal.

What I see from inside: I am process {pid}, one of {processes} here; my host is called
{hostname:?}; the kernel, {kernel}, is the one of your machine.

Next: docker import rootfs.tar my/image, then docker run -it my/image sh
",
        pid = std::process::id(),
    )
}

fn is_pid(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_greeting_tells_the_pid() {
        let mut text = Vec::new();
        super::greet(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(&format!("process {}", std::process::id())));
        assert!(text.lines().count() <= 22);
    }
}
