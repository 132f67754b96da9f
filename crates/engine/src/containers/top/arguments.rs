//! The arguments of `ps`, as far as they say what is shown: which processes
//! that are is the container's matter.

use super::columns::{self, Column};
use crate::error::{Error, Result};

/// Columns that `ps` knows and this does not.
const OTHER_COLUMNS: [&str; 30] = [
    "blocked", "caught", "cgname", "cgroup", "cgroupns", "cuc", "cuu", "drs", "environ", "eip",
    "esp", "exe", "ignored", "ipcns", "label", "luid", "lxc", "machine", "mntns", "netns", "numa",
    "oom", "ouid", "pending", "pidns", "pss", "size", "trs", "userns", "utsns",
];

/// The columns of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Each with its title.
    pub(super) columns: Vec<(String, Column)>,
    pub(super) untitled: bool,
}

impl Layout {
    /// The line of titles, where there is one.
    pub(super) fn title(&self) -> Option<String> {
        let titles: Vec<&str> = self
            .columns
            .iter()
            .map(|(title, _)| title.as_str())
            .collect();
        let any = titles.iter().any(|title| !title.is_empty());
        (any && !self.untitled).then(|| titles.join(" "))
    }
}

/// What has been asked for so far.
#[derive(Default)]
struct Wish {
    /// `-o`.
    own: Vec<(String, Column)>,
    /// `u`, `l`, `j`.
    bsd: Option<char>,
    /// `-f -F -l -j`.
    full: bool,
    extra_full: bool,
    long: bool,
    jobs: bool,
    any_bsd: bool,
    untitled: bool,
}

/// Reads arguments.
///
/// # Errors
/// `UnsupportedOption` for options that `ps` knows and this does not,
/// `Failed` in the words of `ps` for others.
pub(super) fn parse(text: &str) -> Result<Layout> {
    check_pid_title(text)?;
    let mut wish = Wish::default();
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            wish.long(word, long, &mut words)?;
        } else if word.starts_with("-aux") {
            // There is no user called x, and what people mean is this.
            wish.bsd(word, &word[1..], &mut words)?;
        } else if let Some(letters) = word.strip_prefix('-') {
            wish.unix(word, letters, &mut words)?;
        } else {
            wish.bsd(word, word, &mut words)?;
        }
    }
    wish.layout()
}

impl Wish {
    fn long<'a>(
        &mut self,
        word: &str,
        option: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        const KNOWN: [&str; 28] = [
            "cols",
            "columns",
            "context",
            "cumulative",
            "deselect",
            "forest",
            "Group",
            "group",
            "headers",
            "heading",
            "help",
            "info",
            "lines",
            "pid",
            "ppid",
            "quick-pid",
            "rows",
            "sid",
            "signames",
            "sort",
            "tty",
            "user",
            "User",
            "version",
            "width",
            "date-format",
            "header",
            "delimiter",
        ];
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        match name {
            "format" => self.own_format(value.or_else(|| words.next())),
            "no-headers" | "no-heading" | "no-headings" | "no-header" | "noheaders"
            | "noheading" | "noheadings" | "noheader" => {
                self.untitled = true;
                Ok(())
            }
            name if KNOWN.contains(&name) => Err(unsupported(word)),
            _ => Err(failed("unknown gnu long option")),
        }
    }

    fn unix<'a>(
        &mut self,
        word: &str,
        letters: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        for (at, letter) in letters.char_indices() {
            match letter {
                // Which processes, how wide: said already.
                'e' | 'A' | 'a' | 'd' | 'w' => {}
                'f' => self.full = true,
                'F' => self.extra_full = true,
                'l' => self.long = true,
                'j' => self.jobs = true,
                'o' => {
                    let rest = &letters[at + 1..];
                    let rest = (!rest.is_empty()).then_some(rest);
                    return self.own_format(rest.or_else(|| words.next()));
                }
                'c' | 'g' | 'm' | 'n' | 'p' | 'q' | 's' | 't' | 'u' | 'y' => {
                    return Err(unsupported(word));
                }
                'C' | 'G' | 'H' | 'L' | 'M' | 'N' | 'O' | 'P' | 'T' | 'U' | 'V' | 'Z' => {
                    return Err(unsupported(word));
                }
                _ => return Err(failed("unsupported SysV option")),
            }
        }
        Ok(())
    }

    fn bsd<'a>(
        &mut self,
        word: &str,
        letters: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        for (at, letter) in letters.char_indices() {
            self.any_bsd = true;
            match letter {
                'a' | 'x' | 'g' | 'w' => {}
                'h' => self.untitled = true,
                'u' | 'l' | 'j' => match self.bsd.replace(letter) {
                    Some(other) if other != letter => return Err(conflict()),
                    _ => {}
                },
                'o' => {
                    let rest = &letters[at + 1..];
                    let rest = (!rest.is_empty()).then_some(rest);
                    return self.own_format(rest.or_else(|| words.next()));
                }
                other if other.is_ascii_alphanumeric() => return Err(unsupported(word)),
                _ => return Err(failed("unsupported option (BSD syntax)")),
            }
        }
        Ok(())
    }

    /// `name`, `name=title`, separated by commas.
    fn own_format(&mut self, list: Option<&str>) -> Result<()> {
        let list = list.ok_or_else(|| failed("format specification must follow -o"))?;
        if list.is_empty() || list.split(',').any(str::is_empty) {
            return Err(failed("improper format list"));
        }
        for item in list.split(',') {
            let (name, title) = match item.split_once('=') {
                Some((name, title)) => (name, Some(title)),
                None => (item, None),
            };
            let (known, column) = columns::named(name).ok_or_else(|| {
                if OTHER_COLUMNS.contains(&name) {
                    return unsupported(&format!("-o {name}"));
                }
                failed(&format!("unknown user-defined format specifier \"{name}\""))
            })?;
            self.own.push((title.unwrap_or(known).to_owned(), column));
        }
        Ok(())
    }

    fn layout(self) -> Result<Layout> {
        let unix = self.full || self.extra_full || self.long || self.jobs;
        let forms = [!self.own.is_empty(), self.bsd.is_some(), unix];
        if forms.iter().filter(|form| **form).count() > 1 {
            return Err(conflict());
        }
        let long = self.long;
        let names = match (self.bsd, unix) {
            (Some('u'), _) => columns::USER,
            (Some('l'), _) => columns::BSD_LONG,
            (Some(_), _) => columns::BSD_JOBS,
            (None, true) if self.extra_full => columns::EXTRA_FULL,
            (None, true) if self.full && long => columns::FULL_LONG,
            (None, true) if self.full => columns::FULL,
            (None, true) if long => columns::LONG,
            (None, true) => columns::JOBS,
            (None, false) if self.any_bsd => columns::BSD,
            (None, false) => columns::SHORT,
        };
        let columns = match self.own.is_empty() {
            false => self.own,
            true => names
                .iter()
                .map(|(title, column)| ((*title).to_owned(), *column))
                .collect(),
        };
        Ok(Layout {
            columns,
            untitled: self.untitled,
        })
    }
}

/// The column that is called `PID` must be the pids, or the list would be of
/// other containers' processes.
fn check_pid_title(text: &str) -> Result<()> {
    for item in text.split([' ', ',', '\t']) {
        if let Some((name, title)) = item.split_once('=')
            && title.starts_with("PID")
            && name != "pid"
        {
            return Err(Error::Invalid(format!(
                "specifying \"{name}={title}\" is not allowed"
            )));
        }
    }
    Ok(())
}

fn unsupported(word: &str) -> Error {
    Error::UnsupportedOption(format!("{word} of top"))
}

fn failed(why: &str) -> Error {
    Error::Failed(format!("ps: error: {why}"))
}

fn conflict() -> Error {
    failed("conflicting format options")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(arguments: &str) -> String {
        parse(arguments).unwrap().title().unwrap_or_default()
    }

    #[test]
    fn common_forms_have_the_titles_of_ps() {
        for (arguments, titles) in [
            ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
            ("-eF", "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD"),
            (
                "-el",
                "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD",
            ),
            (
                "-efl",
                "F S UID PID PPID C PRI NI ADDR SZ WCHAN STIME TTY TIME CMD",
            ),
            ("-A", "PID TTY TIME CMD"),
            ("ax", "PID TTY STAT TIME COMMAND"),
            (
                "aux",
                "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND",
            ),
            (
                "-aux",
                "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND",
            ),
            ("-o pid,cmd", "PID CMD"),
            ("-eo pid -o args=X", "PID X"),
            ("axopid,comm", "PID COMMAND"),
            ("--format=pid,%cpu", "PID %CPU"),
            ("-o pid=,cmd=", ""),
            ("-o pid --no-headers", ""),
        ] {
            assert_eq!(title(arguments), titles, "{arguments}");
        }
    }

    #[test]
    fn the_rest_is_refused_by_name() {
        for (arguments, message) in [
            ("-Z", "option -Z of top is not supported yet"),
            ("--sort pid", "option --sort of top is not supported yet"),
            ("-bogus", "ps: error: unsupported SysV option"),
            ("-o size", "option -o size of top is not supported yet"),
            ("--foo", "ps: error: unknown gnu long option"),
            ("-f u", "ps: error: conflicting format options"),
            (
                "-o nosuch",
                "ps: error: unknown user-defined format specifier \"nosuch\"",
            ),
            ("-o", "ps: error: format specification must follow -o"),
            ("-o ppid=PID", "specifying \"ppid=PID\" is not allowed"),
        ] {
            assert_eq!(parse(arguments).unwrap_err().to_string(), message);
        }
    }
}
