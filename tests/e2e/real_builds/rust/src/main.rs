//! Counts the lines of its standard input.

use std::io::{Read, Write};

fn main() -> std::io::Result<()> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    let lines = memchr::memchr_iter(b'\n', &text).count();
    let mut number = itoa::Buffer::new();
    writeln!(std::io::stdout(), "{} lines", number.format(lines))
}
