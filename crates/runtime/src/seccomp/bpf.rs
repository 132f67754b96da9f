//! Code generation: ranges of system calls to a tree of comparisons, and a
//! call's conditions to a chain of them.

use gantry_oci::LinuxSeccompOperator;
use gantry_sys::SockFilter;

/// `BPF_LD | BPF_W | BPF_ABS`: load a word of `seccomp_data`.
pub(super) const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`.
pub(super) const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JA`: jump forward by `k`.
pub(super) const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
pub(super) const EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`.
pub(super) const GREATER: u16 = 0x25;
/// `BPF_JMP | BPF_JGE | BPF_K`.
pub(super) const GREATER_EQUAL: u16 = 0x35;
/// `BPF_RET | BPF_K`.
pub(super) const RETURN: u16 = 0x06;

/// Where `seccomp_data` has its fields.
pub(super) const NUMBER_OFFSET: u32 = 0;
pub(super) const ARCH_OFFSET: u32 = 4;
const ARGS_OFFSET: u32 = 16;

/// A condition on an argument of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    /// 0 to 5.
    pub index: u32,
    pub operator: LinuxSeccompOperator,
    /// What is compared with; the mask of a masked comparison.
    pub value: u64,
    /// What a masked argument must be.
    pub value_two: u64,
    /// Arguments of this architecture have 32 bits: what a register holds above
    /// them does not count.
    pub narrow: bool,
}

/// A rule of one call: all conditions hold → this action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub conditions: Vec<Condition>,
    pub action: u32,
}

/// What is done with a range of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Always this.
    Action(u32),
    /// The first rule that matches, or else the action.
    Rules(Vec<Rule>, u32),
}

/// An instruction that does not jump.
pub(super) fn plain(code: u16, k: u32) -> SockFilter {
    SockFilter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

/// A comparison.
pub(super) fn branch(code: u16, k: u32, jt: u8, jf: u8) -> SockFilter {
    SockFilter { code, jt, jf, k }
}

/// `then` if the comparison holds, else `otherwise`; neither may fall through.
pub(super) fn select(
    code: u16,
    k: u32,
    then: Vec<SockFilter>,
    otherwise: Vec<SockFilter>,
) -> Vec<SockFilter> {
    let mut program = Vec::with_capacity(then.len() + otherwise.len() + 2);
    match u8::try_from(otherwise.len()) {
        Ok(skip) => program.push(branch(code, k, skip, 0)),
        // Too far for the eight bits of a comparison.
        Err(_) => {
            program.push(branch(code, k, 0, 1));
            program.push(plain(JUMP, otherwise.len() as u32));
        }
    }
    program.extend(otherwise);
    program.extend(then);
    program
}

/// A binary search over ranges: each begins at its number and ends before the
/// next one's. The first begins at 0; the number is in the accumulator.
pub(super) fn search(ranges: &[(u32, Verdict)]) -> Vec<SockFilter> {
    match ranges {
        [] => Vec::new(),
        [(_, verdict)] => leaf(verdict),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            select(GREATER_EQUAL, high[0].0, search(high), search(low))
        }
    }
}

fn leaf(verdict: &Verdict) -> Vec<SockFilter> {
    match verdict {
        Verdict::Action(action) => vec![plain(RETURN, *action)],
        Verdict::Rules(rules, otherwise) => {
            let mut program = Vec::new();
            for rule in rules {
                program.extend(chain(rule));
            }
            program.push(plain(RETURN, *otherwise));
            program
        }
    }
}

/// Jump targets not known yet while a condition is written.
const FAIL: u8 = 255;
const PASS: u8 = 254;

/// One rule: returns its action, or falls out at the end. At most six
/// conditions of six instructions: every jump fits into eight bits.
fn chain(rule: &Rule) -> Vec<SockFilter> {
    let mut program = Vec::new();
    for condition in &rule.conditions {
        let mut part = compare(condition);
        let length = part.len();
        for (at, instruction) in part.iter_mut().enumerate() {
            let to_end = (length - at - 1) as u8;
            for target in [&mut instruction.jt, &mut instruction.jf] {
                if *target == PASS {
                    *target = to_end;
                }
            }
        }
        program.extend(part);
    }
    program.push(plain(RETURN, rule.action));
    let length = program.len();
    for (at, instruction) in program.iter_mut().enumerate() {
        let to_end = (length - at - 1) as u8;
        for target in [&mut instruction.jt, &mut instruction.jf] {
            if *target == FAIL {
                *target = to_end;
            }
        }
    }
    program
}

/// A comparison of 32 bits.
fn compare_narrow(condition: &Condition) -> Vec<SockFilter> {
    use LinuxSeccompOperator as Op;
    let low = plain(LOAD, ARGS_OFFSET + 8 * condition.index);
    let value = condition.value as u32;
    let (code, holds, fails) = match condition.operator {
        Op::Equal => (EQUAL, 0, FAIL),
        Op::NotEqual => (EQUAL, FAIL, 0),
        Op::Greater => (GREATER, 0, FAIL),
        Op::GreaterOrEqual => (GREATER_EQUAL, 0, FAIL),
        Op::Less => (GREATER_EQUAL, FAIL, 0),
        Op::LessOrEqual => (GREATER, FAIL, 0),
        Op::MaskedEqual => {
            let wanted = condition.value_two as u32;
            return vec![low, plain(AND, value), branch(EQUAL, wanted, 0, FAIL)];
        }
    };
    vec![low, branch(code, value, holds, fails)]
}

/// A comparison of 64 bits by two of 32; jumps to FAIL or PASS, or falls out at
/// the end if it holds.
fn compare(condition: &Condition) -> Vec<SockFilter> {
    if condition.narrow {
        return compare_narrow(condition);
    }
    use LinuxSeccompOperator as Op;
    let low_at = ARGS_OFFSET + 8 * condition.index;
    let (low, high) = (plain(LOAD, low_at), plain(LOAD, low_at + 4));
    let halves = |value: u64| ((value >> 32) as u32, value as u32);
    let (vh, vl) = halves(condition.value);
    let ordered = |code, holds, fails| {
        vec![
            high,
            branch(GREATER, vh, holds, 0),
            branch(EQUAL, vh, 0, fails),
            low,
            branch(code, vl, holds, fails),
        ]
    };
    match condition.operator {
        Op::Equal => vec![
            high,
            branch(EQUAL, vh, 0, FAIL),
            low,
            branch(EQUAL, vl, 0, FAIL),
        ],
        Op::NotEqual => vec![
            high,
            branch(EQUAL, vh, 0, PASS),
            low,
            branch(EQUAL, vl, FAIL, 0),
        ],
        Op::Greater => ordered(GREATER, PASS, FAIL),
        Op::GreaterOrEqual => ordered(GREATER_EQUAL, PASS, FAIL),
        // Not greater-or-equal, not greater: the ways swapped.
        Op::Less => ordered(GREATER_EQUAL, FAIL, PASS),
        Op::LessOrEqual => ordered(GREATER, FAIL, PASS),
        Op::MaskedEqual => {
            let (wh, wl) = halves(condition.value_two);
            vec![
                high,
                plain(AND, vh),
                branch(EQUAL, wh, 0, FAIL),
                low,
                plain(AND, vl),
                branch(EQUAL, wl, 0, FAIL),
            ]
        }
    }
}
