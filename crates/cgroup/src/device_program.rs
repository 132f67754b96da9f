//! Device rules as a BPF program on a v2 cgroup.
//!
//! The program looks at the rules from the last to the first; the first that
//! speaks about the access decides, and what no rule speaks about is denied:
//!
//! ```text
//! r2 = kind, r3 = accesses, r4 = major, r5 = minor       (from struct bpf_cgroup_dev_ctx)
//! for each rule, last first:
//!     if r2 ≠ kind                          goto next
//!     if allowing and r3 ⊄ rule.access      goto next     (all of it must be allowed)
//!     if denying  and r3 ∩ rule.access = ∅  goto next     (any of it is denied)
//!     if r4 ≠ major or r5 ≠ minor           goto next
//!     return allow
//! return 0
//! ```
use std::io;
use std::os::fd::OwnedFd;

use gantry_sys::BpfInstruction as Instruction;

use crate::error::{Error, Result};
use crate::resources::{Access, DeviceKind, DeviceRule};

const KIND_BLOCK: i32 = 1;
const KIND_CHARACTER: i32 = 2;
const ACCESS_MASK: i32 = 7;

const fn instruction(
    code: u8,
    destination: u8,
    source: u8,
    offset: i16,
    immediate: i32,
) -> Instruction {
    Instruction {
        code,
        registers: destination | (source << 4),
        offset,
        immediate,
    }
}

const LOAD_WORD: u8 = 0x61;
const MOVE_REGISTER: u8 = 0xbf;
const MOVE_VALUE: u8 = 0xb7;
const AND_VALUE: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_EQUAL: u8 = 0x15;
const JUMP_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// Translates rules; see the head of this file.
fn compile(rules: &[DeviceRule]) -> Result<Vec<Instruction>> {
    let mut program = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(MOVE_REGISTER, 3, 2, 0, 0),
        instruction(AND_VALUE, 2, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, 3, 0, 0, 16),
        instruction(LOAD_WORD, 4, 1, 4, 0),
        instruction(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let start = program.len();
        add_conditions(&mut program, rule)?;
        let unconditional = program.len() == start;
        program.push(instruction(MOVE_VALUE, 0, 0, 0, rule.allow.into()));
        program.push(instruction(EXIT, 0, 0, 0, 0));
        if unconditional {
            // The verifier refuses instructions that nothing reaches.
            return Ok(program);
        }
        let next = program.len();
        for (at, jump) in program.iter_mut().enumerate().skip(start) {
            if matches!(jump.code, JUMP_EQUAL | JUMP_NOT_EQUAL) {
                jump.offset = i16::try_from(next - at - 1).unwrap_or(0);
            }
        }
    }
    program.push(instruction(MOVE_VALUE, 0, 0, 0, 0));
    program.push(instruction(EXIT, 0, 0, 0, 0));
    Ok(program)
}

fn add_conditions(program: &mut Vec<Instruction>, rule: &DeviceRule) -> Result<()> {
    let kind = match rule.kind {
        DeviceKind::All => return Ok(()),
        DeviceKind::Block => KIND_BLOCK,
        DeviceKind::Character => KIND_CHARACTER,
    };
    program.push(instruction(JUMP_NOT_EQUAL, 2, 0, 0, kind));
    let access = bits(rule.access);
    if access != ACCESS_MASK {
        let (mask, skip) = match rule.allow {
            true => (!access & ACCESS_MASK, JUMP_NOT_EQUAL),
            false => (access, JUMP_EQUAL),
        };
        program.push(instruction(MOVE_REGISTER, 1, 3, 0, 0));
        program.push(instruction(AND_VALUE, 1, 0, 0, mask));
        program.push(instruction(skip, 1, 0, 0, 0));
    }
    for (register, number) in [(4, rule.major), (5, rule.minor)] {
        let Some(number) = number else { continue };
        let value = i32::try_from(number).ok().filter(|&n| n >= 0);
        let value = value.ok_or_else(|| Error::InvalidSetting {
            setting: format!("device number {number}"),
            reason: "out of range",
        })?;
        program.push(instruction(JUMP_NOT_EQUAL, register, 0, 0, value));
    }
    Ok(())
}

fn bits(access: Access) -> i32 {
    i32::from(access.mknod) | (i32::from(access.read) << 1) | (i32::from(access.write) << 2)
}

/// Attaches `rules` beside what programs the cgroup has: an access needs the
/// consent of all, so a further call can only take away.
pub(crate) fn attach(cgroup: &OwnedFd, rules: &[DeviceRule]) -> Result<()> {
    let failed = |operation| {
        move |errno: rustix::io::Errno| Error::DeviceFilter {
            operation,
            source: io::Error::from(errno),
        }
    };
    let program = gantry_sys::load_cgroup_device(&compile(rules)?).map_err(failed("load"))?;
    gantry_sys::attach_cgroup_device(cgroup, &program).map_err(failed("attach"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: bool, kind: DeviceKind, major: Option<i64>, access: Access) -> DeviceRule {
        DeviceRule {
            allow,
            kind,
            major,
            minor: None,
            access,
        }
    }

    /// Runs a program on one access, as the kernel would.
    fn run(program: &[Instruction], kind: i32, access: i32, major: i32, minor: i32) -> i64 {
        let context = [kind | (access << 16), major, minor];
        let mut r = [0i64; 11];
        let mut at = 0;
        loop {
            let i = program[at];
            let (d, s) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            at += 1;
            match i.code {
                LOAD_WORD => r[d] = i64::from(context[i.offset as usize / 4]),
                MOVE_REGISTER => r[d] = r[s],
                MOVE_VALUE => r[d] = i64::from(i.immediate),
                AND_VALUE => r[d] &= i64::from(i.immediate),
                SHIFT_RIGHT => r[d] >>= i.immediate,
                JUMP_EQUAL if r[d] == i64::from(i.immediate) => at += i.offset as usize,
                JUMP_NOT_EQUAL if r[d] != i64::from(i.immediate) => at += i.offset as usize,
                JUMP_EQUAL | JUMP_NOT_EQUAL => {}
                EXIT => return r[0],
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn the_last_rule_that_speaks_decides() {
        let read_only = Access {
            read: true,
            write: false,
            mknod: false,
        };
        let program = compile(&[
            rule(false, DeviceKind::All, None, Access::ALL),
            rule(true, DeviceKind::Character, Some(1), Access::ALL),
            rule(true, DeviceKind::Block, Some(8), read_only),
            rule(false, DeviceKind::Character, Some(5), read_only),
        ])
        .unwrap();
        assert_eq!(run(&program, KIND_CHARACTER, 7, 1, 3), 1);
        assert_eq!(run(&program, KIND_BLOCK, 7, 1, 3), 0);
        assert_eq!(run(&program, KIND_BLOCK, 2, 8, 0), 1);
        assert_eq!(run(&program, KIND_BLOCK, 2 | 4, 8, 0), 0);
        assert_eq!(run(&program, KIND_CHARACTER, 2, 5, 0), 0);
    }

    #[test]
    fn a_privileged_container_gets_everything() {
        let program = compile(&[
            rule(false, DeviceKind::All, None, Access::ALL),
            rule(true, DeviceKind::All, None, Access::ALL),
        ])
        .unwrap();
        assert_eq!(run(&program, KIND_BLOCK, 7, 8, 0), 1);
        assert_eq!(program.len(), 8, "nothing after the rule that always holds");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let huge = rule(true, DeviceKind::Block, Some(1 << 40), Access::ALL);
        assert!(compile(&[huge]).is_err());
    }
}
