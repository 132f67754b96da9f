//! One process, read from `/proc`.

use std::path::PathBuf;

/// What is shown of a command line at most.
const LONGEST: usize = 128 << 10;

/// A process as the kernel describes it. Times are in clock ticks.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) name: String,
    pub(super) command: String,
    pub(super) state: char,
    pub(super) parent: i64,
    pub(super) group: i64,
    pub(super) session: i64,
    pub(super) terminal: u32,
    pub(super) foreground: i64,
    pub(super) flags: u64,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    pub(super) used: u64,
    pub(super) priority: i64,
    pub(super) nice: i64,
    pub(super) threads: u64,
    pub(super) started: u64,
    /// Bytes.
    pub(super) virtual_size: u64,
    /// Pages.
    pub(super) resident: u64,
    pub(super) processor: u64,
    pub(super) realtime_priority: u64,
    pub(super) policy: u64,
    /// Real and effective.
    pub(super) users: [u32; 2],
    pub(super) groups: [u32; 2],
    pub(super) locks_memory: bool,
    pub(super) waits_in: String,
}

impl Process {
    /// Reads a process; `None` when it is gone.
    pub(super) fn read(pid: u32) -> Option<Self> {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let text = |name: &str| {
            let bytes = std::fs::read(dir.join(name)).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let mut process = Self::of_stat(pid, &text("stat")?)?;
        process.add_status(&text("status")?);
        process.waits_in = text("wchan").unwrap_or_default();
        let bytes = std::fs::read(dir.join("cmdline")).unwrap_or_default();
        process.command = process.command_line(&bytes);
        Some(process)
    }

    /// `pid (name) state …`; the name may contain anything.
    fn of_stat(pid: u32, text: &str) -> Option<Self> {
        let (open, close) = (text.find('(')?, text.rfind(')')?);
        let fields: Vec<&str> = text.get(close + 1..)?.split_ascii_whitespace().collect();
        // The manual counts from 1, and two fields are in front.
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or("");
        let number = |at: usize| field(at).parse::<u64>().unwrap_or(0);
        let signed = |at: usize| field(at).parse::<i64>().unwrap_or(0);
        Some(Self {
            pid,
            name: printable(text.get(open + 1..close)?),
            state: field(3).chars().next()?,
            parent: signed(4),
            group: signed(5),
            session: signed(6),
            terminal: u32::try_from(number(7)).unwrap_or(0),
            foreground: signed(8),
            flags: number(9),
            minor_faults: number(10),
            major_faults: number(12),
            used: number(14).saturating_add(number(15)),
            priority: signed(18),
            nice: signed(19),
            threads: number(20),
            started: number(22),
            virtual_size: number(23),
            resident: number(24),
            processor: number(39),
            realtime_priority: number(40),
            policy: number(41),
            ..Self::default()
        })
    }

    fn add_status(&mut self, text: &str) {
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let mut numbers = value
                .split_ascii_whitespace()
                .map(|word| word.parse::<u32>().unwrap_or(0));
            let mut two = || [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)];
            match name {
                "Uid" => self.users = two(),
                "Gid" => self.groups = two(),
                "VmLck" => self.locks_memory = two()[0] > 0,
                _ => {}
            }
        }
    }

    /// Words with spaces between them; a process without has its name in brackets.
    fn command_line(&self, bytes: &[u8]) -> String {
        let bytes = &bytes[..bytes.len().min(LONGEST)];
        let mut end = bytes.len();
        while end > 0 && bytes[end - 1] == 0 {
            end -= 1;
        }
        match end {
            0 if self.state == 'Z' => format!("[{}] <defunct>", self.name),
            0 => format!("[{}]", self.name),
            _ => printable(&String::from_utf8_lossy(&bytes[..end]).replace('\0', " ")),
        }
    }
}

/// Nothing in it may end the line.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "31290 (a) (b c) S 31282 31282 30614 34817 -1 4194560 97 0 3 0 5 7 0 0 20 \
                        -5 2 0 1230690 3133440 382 1844 1 1 1 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0";

    #[test]
    fn fields_are_found_behind_any_name() {
        let process = Process::of_stat(31290, STAT).unwrap();
        assert_eq!(process.name, "a) (b c");
        assert_eq!((process.state, process.parent), ('S', 31282));
        assert_eq!((process.used, process.nice, process.threads), (12, -5, 2));
        assert_eq!((process.started, process.resident), (1_230_690, 382));
        assert_eq!((process.terminal, process.major_faults), (34817, 3));
        assert_eq!(Process::of_stat(1, "1 (x"), None);
    }

    #[test]
    fn command_lines_are_one_line() {
        let mut process = Process::of_stat(1, STAT).unwrap();
        assert_eq!(process.command_line(b"sh\0-c\0a\nb\0"), "sh -c a?b");
        assert_eq!(process.command_line(b"\0"), "[a) (b c]");
        process.state = 'Z';
        assert_eq!(process.command_line(b""), "[a) (b c] <defunct>");
    }
}
