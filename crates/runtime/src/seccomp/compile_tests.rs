//! Filters are checked by running them: an interpreter of classic BPF.

use gantry_sys::SockFilter;

use super::super::{Filter, default_profile, from_profile};
use super::*;
use crate::capability::CapabilityMask;
use crate::defaults;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;

/// Runs a filter as the kernel would.
fn run(program: &[SockFilter], arch: u32, number: u32, args: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(number.to_le_bytes());
    data.extend(arch.to_le_bytes());
    data.extend([0; 8]);
    args.iter().for_each(|arg| data.extend(arg.to_le_bytes()));
    let (mut at, mut accumulator) = (0, 0u32);
    loop {
        let i = program[at];
        at += 1;
        let skip = |holds| usize::from(if holds { i.jt } else { i.jf });
        match i.code {
            bpf::LOAD => {
                let word = &data[i.k as usize..i.k as usize + 4];
                accumulator = u32::from_le_bytes(word.try_into().unwrap());
            }
            bpf::AND => accumulator &= i.k,
            bpf::JUMP => at += i.k as usize,
            bpf::EQUAL => at += skip(accumulator == i.k),
            bpf::GREATER => at += skip(accumulator > i.k),
            bpf::GREATER_EQUAL => at += skip(accumulator >= i.k),
            bpf::RETURN => return i.k,
            other => panic!("unknown code {other:#x}"),
        }
    }
}

fn call(filter: &Filter, name: &str, args: &[u64]) -> u32 {
    let number = Table::of(Arch::X86_64).unwrap().number(name).unwrap();
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    run(&filter.program, X86_64, number, all)
}

fn filter(capabilities: CapabilityMask) -> Filter {
    compile(&default_profile(capabilities).unwrap()).unwrap()
}

fn profile(text: &str) -> Filter {
    compile(&from_profile(text, CapabilityMask::EMPTY).unwrap().unwrap()).unwrap()
}

#[test]
fn default_profile_decides_as_docker_does() {
    let default = filter(defaults::capabilities());
    assert_eq!(call(&default, "read", &[]), ALLOW);
    assert_eq!(call(&default, "mount", &[]), EPERM);
    assert_eq!(call(&default, "chroot", &[]), ALLOW);
    assert_eq!(call(&default, "clone", &[17]), ALLOW);
    assert_eq!(call(&default, "clone", &[0x1000_0000]), EPERM);
    assert_eq!(call(&default, "clone3", &[]), 0x0005_0026);
    assert_eq!(call(&default, "socket", &[40]), EPERM);
    assert_eq!(call(&default, "socket", &[2]), ALLOW);
    assert_eq!(call(&default, "personality", &[0xffff_ffff]), ALLOW);
    assert_eq!(call(&default, "personality", &[1]), EPERM);
    assert_eq!(call(&default, "io_uring_setup", &[]), EPERM);
    let admin = filter(CapabilityMask::from_names(["SYS_ADMIN"]).unwrap());
    assert_eq!(call(&admin, "mount", &[]), ALLOW);
    assert_eq!(call(&admin, "clone", &[0x1000_0000]), ALLOW);
    assert_eq!(call(&admin, "clone3", &[]), ALLOW);
    assert_eq!(call(&admin, "chroot", &[]), EPERM);
}

#[test]
fn every_call_of_every_architecture_matches_the_rules() {
    // A slow and simple reading of the profile, for all numbers.
    let spec = default_profile(defaults::capabilities()).unwrap();
    let filter = compile(&spec).unwrap();
    assert!(filter.program.len() < 900, "{}", filter.program.len());
    for (arch, audit) in [
        (Arch::X86_64, X86_64),
        (Arch::X86, X86),
        (Arch::X32, X86_64),
    ] {
        let table = Table::of(arch).unwrap();
        let all: Vec<_> = spec
            .syscalls
            .iter()
            .flat_map(|rule| rule.names.iter().map(move |name| (name, rule)))
            .filter_map(|(name, rule)| table.number(name).map(|number| (number, rule)))
            .collect();
        let newest = all.iter().map(|(number, _)| *number).max().unwrap();
        let base = if arch == Arch::X32 { X32_BIT } else { 0 };
        for number in base..base + 1024 {
            let simple = all
                .iter()
                .find(|(n, rule)| *n == number && rule.args.is_empty());
            if simple.is_none() && all.iter().any(|(n, _)| *n == number) {
                continue;
            }
            let expected = match simple {
                Some((_, rule)) => action(rule.action, rule.errno_ret).unwrap(),
                None if number > newest => NO_SUCH_CALL,
                None => EPERM,
            };
            assert_eq!(
                run(&filter.program, audit, number, [0; 6]),
                expected,
                "{arch:?} {number}"
            );
        }
    }
    assert_eq!(run(&filter.program, 0x1234, 0, [0; 6]), KILL);
}

#[test]
fn comparisons_of_64_bits() {
    let big = 0x1_0000_0005u64;
    let cases: &[(&str, &[(u64, bool)])] = &[
        ("EQ", &[(big, true), (5, false), (big + 1, false)]),
        ("NE", &[(big, false), (5, true), (big + 1, true)]),
        (
            "GT",
            &[
                (big, false),
                (big + 1, true),
                (0x2_0000_0000, true),
                (0xffff_ffff, false),
            ],
        ),
        (
            "GE",
            &[(big, true), (big - 1, false), (0x2_0000_0000, true)],
        ),
        (
            "LT",
            &[
                (big, false),
                (big - 1, true),
                (0xffff_ffff, true),
                (0x2_0000_0000, false),
            ],
        ),
        ("LE", &[(big, true), (big + 1, false), (3, true)]),
    ];
    for (operator, samples) in cases {
        let filter = profile(&format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["read"],"action":"SCMP_ACT_ALLOW",
            "args":[{{"index":5,"value":{big},"op":"SCMP_CMP_{operator}"}}]}}]}}"#
        ));
        for (value, holds) in *samples {
            let got = call(&filter, "read", &[0, 0, 0, 0, 0, *value]);
            assert_eq!(got == ALLOW, *holds, "{operator} {value:#x}");
        }
    }
}

#[test]
fn masks_and_alternatives_and_conjunctions() {
    let filter = profile(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["read"],"action":"SCMP_ACT_ERRNO","errnoRet":5,
         "args":[{"index":0,"value":240,"valueTwo":16,"op":"SCMP_CMP_MASKED_EQ"}]},
        {"names":["write"],"action":"SCMP_ACT_KILL_PROCESS",
         "args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":1,"value":2,"op":"SCMP_CMP_EQ"}]},
        {"names":["close"],"action":"SCMP_ACT_LOG",
         "args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]},
        {"names":["nosuchcall"],"action":"SCMP_ACT_TRAP"}]}"#,
    );
    assert_eq!(call(&filter, "read", &[0x1f]), 0x0005_0005);
    assert_eq!(call(&filter, "read", &[0x2f]), ALLOW);
    assert_eq!(call(&filter, "write", &[1, 2]), 0x8000_0000);
    assert_eq!(call(&filter, "write", &[1, 3]), ALLOW);
    assert_eq!(call(&filter, "close", &[2]), 0x7ffc_0000);
    assert_eq!(call(&filter, "close", &[3]), ALLOW);
    // Nothing beyond the profile is hidden if the default allows.
    assert_eq!(run(&filter.program, X86_64, 5000, [0; 6]), ALLOW);
    assert_eq!(Filter::from_bytes(&filter.to_bytes()), Some(filter));
    assert_eq!(Filter::from_bytes(&[0; 12]), None);
}

#[test]
fn notification_is_refused() {
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_NOTIFY"}]}"#;
    let spec: gantry_oci::LinuxSeccomp = serde_json::from_str(text).unwrap();
    assert!(compile(&spec).unwrap_err().detail.contains("NOTIFY"));
}

#[test]
fn old_32_bit_ways_into_a_call_are_covered() {
    let filter = profile(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],
        "syscalls":[{"names":["socket","shmget"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}"#,
    );
    let x86 = |number, first| run(&filter.program, X86, number, [first, 0, 0, 0, 0, 0]);
    let (socket, socketcall, ipc) = (359, 102, 117);
    assert_eq!(x86(socket, 0), EPERM);
    assert_eq!((x86(socketcall, 1), x86(socketcall, 2)), (EPERM, ALLOW));
    assert_eq!((x86(ipc, 23), x86(ipc, 24)), (EPERM, ALLOW));
}

#[test]
fn narrow_arguments_have_no_upper_half() {
    let default = filter(defaults::capabilities());
    let (socket, vsock_in_disguise) = (X32_BIT | 41, 0x1_0000_0028);
    let args = [vsock_in_disguise, 0, 0, 0, 0, 0];
    assert_eq!(run(&default.program, X86_64, socket, args), EPERM);
}
