//! The OCI's seccomp document to a filter.

use std::collections::BTreeMap;

use gantry_oci::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag, LinuxSeccompOperator,
    LinuxSyscall,
};
use gantry_sys::SeccompFlags;

use super::bpf::{self, Condition, Rule, Verdict};
use super::syscalls::{Table, X32_BIT, multiplexed};
use super::{Filter, refuse};
use crate::error::StartError;

/// `SECCOMP_RET_ERRNO | ENOSYS`: the answer to calls newer than the profile.
const NO_SUCH_CALL: u32 = 0x0005_0000 | libc::ENOSYS as u32;

/// `SECCOMP_RET_KILL_THREAD`: the answer to architectures not in the profile.
const KILL: u32 = 0;

/// `BPF_MAXINSNS`.
const MAX_PROGRAM: usize = 4096;

/// Architectures that can be compiled, with their audit number.
pub(crate) const KNOWN_ARCHITECTURES: [(Arch, u32); 5] = [
    (Arch::X86_64, 0xc000_003e),
    (Arch::X86, 0x4000_0003),
    (Arch::X32, 0xc000_003e),
    (Arch::Aarch64, 0xc000_00b7),
    (Arch::Arm, 0x4000_0028),
];

/// The comparisons, by their names in the spec.
pub(crate) const OPERATORS: [LinuxSeccompOperator; 7] = [
    LinuxSeccompOperator::NotEqual,
    LinuxSeccompOperator::Less,
    LinuxSeccompOperator::LessOrEqual,
    LinuxSeccompOperator::Equal,
    LinuxSeccompOperator::GreaterOrEqual,
    LinuxSeccompOperator::Greater,
    LinuxSeccompOperator::MaskedEqual,
];

/// The architecture of this build.
fn native() -> Arch {
    if cfg!(target_arch = "aarch64") {
        Arch::Aarch64
    } else {
        Arch::X86_64
    }
}

/// Compiles a profile. Fails on what means nothing, and on a program longer than
/// the kernel takes.
pub fn compile(seccomp: &LinuxSeccomp) -> Result<Filter, StartError> {
    let default = action(seccomp.default_action, seccomp.default_errno_ret)?;
    let mut arches: Vec<Arch> = vec![native()];
    for arch in &seccomp.architectures {
        if *arch != Arch::Native && !arches.contains(arch) {
            arches.push(*arch);
        }
    }
    let rules = &seccomp.syscalls;
    if rules.iter().any(|rule| rule.names.is_empty()) {
        return Err(refuse("a rule names no system call"));
    }
    let tree = |arch: Arch| arch_tree(arch, rules, default);
    // x32 shares x86_64's audit number; its calls are told apart by a bit.
    let mut program = vec![bpf::plain(bpf::RETURN, KILL)];
    for (arch, audit) in KNOWN_ARCHITECTURES.into_iter().rev() {
        if !arches.contains(&arch) || arch == Arch::X32 {
            continue;
        }
        let mut body = tree(arch)?;
        if arch == Arch::X86_64 {
            let x32 = if arches.contains(&Arch::X32) {
                tree(Arch::X32)?
            } else {
                vec![bpf::plain(bpf::RETURN, NO_SUCH_CALL)]
            };
            body = bpf::select(bpf::GREATER_EQUAL, X32_BIT, x32, body);
        }
        let mut section = vec![bpf::plain(bpf::LOAD, bpf::NUMBER_OFFSET)];
        section.extend(body);
        program = bpf::select(bpf::EQUAL, audit, section, program);
    }
    program.insert(0, bpf::plain(bpf::LOAD, bpf::ARCH_OFFSET));
    if program.len() > MAX_PROGRAM {
        return Err(refuse(format!(
            "the profile compiles to {} instructions, the kernel takes {MAX_PROGRAM}",
            program.len()
        )));
    }
    let mut flags = flags(seccomp.flags.as_deref());
    if listened_to(seccomp)? {
        // One thread there is; and with a listener the kernel has no other way.
        flags.0 = flags.0 & !SeccompFlags::TSYNC.0 | SeccompFlags::NEW_LISTENER.0;
    } else {
        flags.0 &= !SeccompFlags::WAIT_KILLABLE_RECV.0;
    }
    Ok(Filter { program, flags })
}

/// Whether somebody else decides about some calls; who, must be said then.
fn listened_to(seccomp: &LinuxSeccomp) -> Result<bool, StartError> {
    let notify = LinuxSeccompAction::Notify;
    if seccomp.default_action == notify {
        return Err(refuse("SCMP_ACT_NOTIFY cannot be used as default action"));
    }
    let mut asked = seccomp.syscalls.iter().filter(|rule| rule.action == notify);
    let named = seccomp
        .listener_path
        .as_ref()
        .is_some_and(|path| !path.is_empty());
    let told = seccomp.listener_metadata.as_ref();
    if !named && told.is_some_and(|text| !text.is_empty()) {
        return Err(refuse("listenerMetadata needs a listenerPath"));
    }
    // Also what reports a failure to whom it may concern.
    if asked
        .clone()
        .any(|rule| rule.names.iter().any(|name| name == "write"))
    {
        return Err(refuse(
            "SCMP_ACT_NOTIFY cannot be used for the write syscall",
        ));
    }
    match (asked.next(), named) {
        (None, _) => Ok(false),
        (Some(_), true) => Ok(true),
        (Some(_), false) => Err(refuse("SCMP_ACT_NOTIFY needs a listenerPath")),
    }
}

/// Without a word from the profile, speculative stores are left alone, as runc does.
fn flags(listed: Option<&[LinuxSeccompFilterFlag]>) -> SeccompFlags {
    let Some(listed) = listed else {
        return SeccompFlags::SPEC_ALLOW;
    };
    let bits = listed.iter().map(|flag| match flag {
        LinuxSeccompFilterFlag::Log => SeccompFlags::LOG.0,
        LinuxSeccompFilterFlag::Tsync => SeccompFlags::TSYNC.0,
        LinuxSeccompFilterFlag::SpecAllow => SeccompFlags::SPEC_ALLOW.0,
        LinuxSeccompFilterFlag::WaitKillable => SeccompFlags::WAIT_KILLABLE_RECV.0,
    });
    SeccompFlags(bits.fold(0, |all, bit| all | bit))
}

/// An action as the kernel has it.
fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<u32, StartError> {
    let with_errno = matches!(
        action,
        LinuxSeccompAction::Errno | LinuxSeccompAction::Trace
    );
    if errno.is_some() && !with_errno {
        return Err(refuse(format!("an errno means nothing with {action:?}")));
    }
    let data = |default| errno.unwrap_or(default) & 0xffff;
    Ok(match action {
        LinuxSeccompAction::Kill | LinuxSeccompAction::KillThread => KILL,
        LinuxSeccompAction::KillProcess => 0x8000_0000,
        LinuxSeccompAction::Trap => 0x0003_0000,
        LinuxSeccompAction::Errno => 0x0005_0000 | data(libc::EPERM as u32),
        LinuxSeccompAction::Log => 0x7ffc_0000,
        LinuxSeccompAction::Allow => 0x7fff_0000,
        LinuxSeccompAction::Trace => 0x7ff0_0000 | data(libc::EPERM as u32),
        LinuxSeccompAction::Notify => 0x7fc0_0000,
    })
}

/// The search tree of one architecture.
fn arch_tree(
    arch: Arch,
    rules: &[LinuxSyscall],
    default: u32,
) -> Result<Vec<gantry_sys::SockFilter>, StartError> {
    let Some(table) = Table::of(arch) else {
        return Err(refuse(format!("architecture {arch:?} is not supported")));
    };
    let mut calls: BTreeMap<u32, Vec<Rule>> = BTreeMap::new();
    let mut newest = 0;
    let narrow = matches!(arch, Arch::X86 | Arch::X32 | Arch::Arm);
    for rule in rules {
        let verdict = action(rule.action, rule.errno_ret)?;
        let alternatives = conditions(rule, narrow)?;
        for name in &rule.names {
            let Some(number) = table.number(name) else {
                continue;
            };
            newest = newest.max(number);
            // What the default does anyway needs no rule.
            if verdict == default {
                continue;
            }
            let rules = alternatives.iter().map(|conditions| Rule {
                conditions: conditions.clone(),
                action: verdict,
            });
            calls.entry(number).or_default().extend(rules);
            let other = multiplexed(arch, name).filter(|_| alternatives == [[]]);
            if let Some((through, value)) = other
                && let Some(number) = table.number(through)
            {
                calls
                    .entry(number)
                    .or_default()
                    .push(through_another(value, verdict));
            }
        }
    }
    let mut ranges = vec![(0, Verdict::Action(default))];
    for (number, rules) in calls {
        push(&mut ranges, number, simplify(rules, default));
        push(&mut ranges, number + 1, Verdict::Action(default));
    }
    let permissive = matches!(default, 0x7fff_0000 | 0x7ffc_0000);
    if !permissive && newest > 0 {
        push(&mut ranges, newest + 1, Verdict::Action(NO_SUCH_CALL));
    }
    Ok(bpf::search(&ranges))
}

/// The rule for a call made through another one.
fn through_another(value: u64, action: u32) -> Rule {
    let which = Condition {
        index: 0,
        operator: LinuxSeccompOperator::Equal,
        value,
        value_two: 0,
        narrow: true,
    };
    Rule {
        conditions: vec![which],
        action,
    }
}

/// Begins a range at `number`; joins it with the one before if that is the same.
fn push(ranges: &mut Vec<(u32, Verdict)>, number: u32, verdict: Verdict) {
    // A range that would be empty gives its place to this one.
    while ranges.last().is_some_and(|(start, _)| *start >= number) {
        ranges.pop();
    }
    if ranges.last().is_none_or(|(_, before)| *before != verdict) {
        ranges.push((number, verdict));
    }
}

/// A rule without conditions decides alone.
fn simplify(rules: Vec<Rule>, default: u32) -> Verdict {
    match rules.iter().find(|rule| rule.conditions.is_empty()) {
        Some(rule) => Verdict::Action(rule.action),
        None => Verdict::Rules(rules, default),
    }
}

/// A rule's conditions: alternatives of what must hold together. Conditions on
/// different arguments hold together; several on one argument are alternatives.
fn conditions(rule: &LinuxSyscall, narrow: bool) -> Result<Vec<Vec<Condition>>, StartError> {
    let mut all = Vec::new();
    let mut repeated = false;
    for arg in &rule.args {
        let index = arg.index;
        if index > 5 {
            return Err(refuse(format!("argument index {index} is out of range")));
        }
        repeated |= all.iter().any(|c: &Condition| c.index == index);
        all.push(Condition {
            index,
            operator: arg.op,
            value: arg.value,
            value_two: arg.value_two,
            narrow,
        });
    }
    Ok(if repeated {
        all.into_iter().map(|condition| vec![condition]).collect()
    } else {
        vec![all]
    })
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
