//! The end-to-end tests in a virtual machine that has cgroup v2 alone and a
//! kernel that users have: Debian's cloud kernel, booted by qemu without KVM.
//!
//! ```text
//! target/vm/kernel/     Debian's package, unpacked
//! target/vm/apparmor/   the same of AppArmor's parser
//! target/vm/root/       the initramfs: busybox, the docker client, gantry, the tests
//! target/vm/initramfs   the same as one file
//! ```

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{Failure, capture, cargo, on_path, run, say};
use crate::{test, tree};

/// What boots here, and the packages it comes from.
const NEEDED: [(&str, &str); 5] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("cpio", "cpio"),
    ("depmod", "kmod"),
    ("busybox", "busybox-static"),
    ("mkfs.ext4", "e2fsprogs"),
];
/// Kernel modules that the engine needs; what they need comes along.
const MODULES: [&str; 18] = [
    "overlay",
    "bridge",
    "veth",
    "nf_tables",
    "nft_chain_nat",
    "nft_nat",
    "nft_fib_inet",
    "nft_masq",
    "nft_ct",
    "nf_nat",
    "loop",
    "macvlan",
    "ipvlan",
    "8021q",
    "dummy",
    "vxlan",
    "ext4",
    "quota_v2",
];
/// The tests that depend on how the kernel counts, limits and confines, and on kinds of
/// links and quotas that it has.
const DEFAULT_FILTER: [&str; 4] = [
    "resources::",
    "apparmor::",
    "network_links::",
    "storage_options::",
];
/// Seconds after which the machine is given up: it emulates every instruction.
const PATIENCE: &str = "900";

/// Boots the machine and runs the tests that `filter` names in it.
pub fn test(filter: &[&str]) -> Result<(), Failure> {
    install()?;
    let dir = tree::target().join("vm");
    let kernel = kernel(&dir)?;
    run(cargo().args(["build", "-p", "gantry"]))?;
    let tests = test_program()?;
    let image = initramfs(&dir, &kernel, &tests, filter)?;
    boot(&kernel.image, &image)
}

/// A kernel that is ready to boot.
struct Kernel {
    image: PathBuf,
    modules: PathBuf,
    version: String,
}

fn install() -> Result<(), Failure> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, _)| !on_path(program) && !Path::new("/sbin").join(program).is_file())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    run(Command::new("apt-get").args(["update", "-q"]))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-q", "--no-install-recommends"])
        .args(&missing))
}

/// Downloads one of Debian's packages and unpacks it into `name`.
fn unpack(dir: &Path, package: &str, name: &str) -> Result<(), Failure> {
    make(dir)?;
    let script = format!(
        "set -e; rm -rf unfinished; mkdir unfinished; cd unfinished; \
        apt-get download -q {package}; dpkg-deb -x ./*.deb .; rm ./*.deb; \
        cd ..; rm -rf {name}; mv unfinished {name}"
    );
    run(Command::new("sh").args(["-c", &script]).current_dir(dir))
}

/// AppArmor's parser, which loads profiles, with the rules that profiles include.
fn apparmor(dir: &Path) -> Result<PathBuf, Failure> {
    let unpacked = dir.join("apparmor");
    if !unpacked.is_dir() {
        unpack(dir, "apparmor", "apparmor")?;
    }
    Ok(unpacked)
}

/// Downloads and unpacks the kernel, once.
fn kernel(dir: &Path) -> Result<Kernel, Failure> {
    let unpacked = dir.join("kernel");
    let modules = unpacked.join("lib/modules");
    if !modules.is_dir() {
        let package = "$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \\(linux-image-[0-9].*\\)/\\1/p' | head -n 1)";
        unpack(dir, package, "kernel")?;
    }
    let version = std::fs::read_dir(&modules)
        .ok()
        .and_then(|mut found| found.next()?.ok())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .ok_or_else(|| Failure::new(format!("no kernel in {}", modules.display())))?;
    Ok(Kernel {
        image: unpacked.join("boot").join(format!("vmlinuz-{version}")),
        modules: unpacked,
        version,
    })
}

/// The program that holds the end-to-end tests.
fn test_program() -> Result<PathBuf, Failure> {
    let lines = capture(cargo().args([
        "test",
        "-p",
        "gantry-e2e",
        "--test",
        "e2e",
        "--no-run",
        "--message-format=json",
    ]))?;
    lines
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "e2e")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| Failure::new("cargo names no test program of gantry-e2e"))
}

/// Puts everything that the machine needs into one file.
fn initramfs(
    dir: &Path,
    kernel: &Kernel,
    tests: &Path,
    filter: &[&str],
) -> Result<PathBuf, Failure> {
    let root = dir.join("root");
    let _ = std::fs::remove_dir_all(&root);
    for name in [
        "bin",
        "sbin",
        "etc",
        "root",
        "modules",
        "tests/debug/deps",
        "var/lib",
        "usr",
    ] {
        make(&root.join(name))?;
    }
    let gantry = tests
        .ancestors()
        .nth(2)
        .map(|dir| dir.join("gantry"))
        .ok_or_else(|| Failure::new("the tests are in no target folder"))?;
    copy(&gantry, &root.join("bin/gantry"))?;
    copy(tests, &root.join("tests/debug/deps/e2e"))?;
    copy(Path::new("xtask/vm/init.sh"), &root.join("init"))?;
    let filter = match filter {
        [] => DEFAULT_FILTER.join(" "),
        given => given.join(" "),
    };
    let arguments = root.join("tests/arguments");
    std::fs::write(&arguments, format!("--test-threads=2 {filter}\n"))
        .map_err(|error| Failure::new(format!("{}: {error}", arguments.display())))?;
    run(test::with_tools(
        Command::new("sh")
            .args(["-c", PROGRAMS])
            .arg(&root)
            .arg(tests)
            .arg(apparmor(dir)?),
    ))?;
    run(Command::new("sh")
        .args(["-c", LOADED_IN_ORDER])
        .arg(&root)
        .arg(&kernel.modules)
        .arg(&kernel.version)
        .args(MODULES))?;
    let image = dir.join("initramfs");
    let pack = "cd \"$0\" && find . | cpio -o -H newc --quiet >\"$1\"";
    run(Command::new("sh").args(["-c", pack]).arg(&root).arg(&image))?;
    Ok(image)
}

/// Busybox with its applets, the docker client, systemd, the maker of ext4 and AppArmor's
/// parser with their libraries (no systemd, no tests with it), and the root file system
/// that the tests make with GNU tar here.
const PROGRAMS: &str = "set -e
    cp \"$(command -v busybox)\" \"$0/bin/busybox\"
    for applet in $(busybox --list); do ln -s busybox \"$0/bin/$applet\" 2>/dev/null || :; done
    client=$(command -v docker); cp -L \"$client\" \"$0/bin/docker\"
    { ldd \"$client\" 2>/dev/null || :; } | grep -o '/[^ )]*' | while read -r library; do
        mkdir -p \"$0/${library%/*}\"; cp -L \"$library\" \"$0/$library\"; done
    for program in /lib/systemd/systemd /bin/systemctl /sbin/mkfs.ext4; do
        test -x $program || continue
        mkdir -p \"$0/${program%/*}\"; cp -L $program \"$0/$program\"
        ldd $program | grep -o '/[^ )]*' | while read -r library; do
            mkdir -p \"$0/${library%/*}\"; cp -L \"$library\" \"$0/$library\"; done; done
    mkdir -p \"$0/etc\"; cp -R \"$2/etc/apparmor.d\" \"$0/etc/\"
    cp -L \"$2/sbin/apparmor_parser\" \"$0/sbin/\"
    ldd \"$2/sbin/apparmor_parser\" | grep -o '/[^ )]*' | while read -r library; do
        mkdir -p \"$0/${library%/*}\"; cp -L \"$library\" \"$0/$library\"; done
    made=$(dirname \"$1\")/../../e2e-rootfs/busybox.tar
    test -f \"$made\" || \"$1\" --exact harness::rootfs::busybox_can_be_made >/dev/null
    mkdir -p \"$0/tests/e2e-rootfs\"; cp \"$made\" \"$0/tests/e2e-rootfs/\"";

/// Copies modules and all that they need, named so that sorting them is the
/// order in which they load.
const LOADED_IN_ORDER: &str = "set -e
    root=$0; base=$1; version=$2; shift 2; PATH=$PATH:/sbin:/usr/sbin
    depmod -b \"$base\" \"$version\"; number=100
    for module; do modprobe -d \"$base\" -S \"$version\" --show-depends \"$module\"; done |
        sed -n 's/^insmod \\([^ ]*\\).*/\\1/p' | awk '!seen[$0]++' | while read -r file; do
            case $file in /*) ;; *) file=$base/$file ;; esac
            cp \"$file\" \"$root/modules/$number-${file##*/}\"; number=$((number + 1)); done";

fn boot(kernel: &Path, image: &Path) -> Result<(), Failure> {
    say("booting; every instruction is emulated");
    let mut machine = Command::new("timeout");
    machine
        .args([
            PATIENCE,
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-m",
            "3072",
        ])
        .args(["-smp", "2", "-nographic", "-no-reboot", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(image)
        // A few huge pages, so that there is something to limit.
        .args([
            "-append",
            "console=ttyS0 quiet panic=-1 hugepages=8 rdinit=/init",
        ])
        .stdin(Stdio::null());
    let said = capture(&mut machine)?;
    say(said.trim());
    match said.contains("VM-TEST EXIT 0") {
        true => Ok(()),
        false => Err(Failure::new("the tests in the virtual machine failed")),
    }
}

fn make(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)
        .map_err(|error| Failure::new(format!("cannot create {}: {error}", dir.display())))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::copy(from, to)
        .map(drop)
        .map_err(|error| Failure::new(format!("cannot copy {}: {error}", from.display())))
}
