//! The kernel's version, for the few features that cannot be probed quietly.

/// Whether the kernel is `major.minor` or newer (uname(2)). A release that is
/// not of that form counts as old.
pub fn kernel_at_least(major: u32, minor: u32) -> bool {
    let uname = rustix::system::uname();
    is_at_least(&uname.release().to_string_lossy(), major, minor)
}

fn is_at_least(release: &str, major: u32, minor: u32) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|word| word.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    found >= (major, minor)
}

#[cfg(test)]
mod tests {
    use super::is_at_least;

    #[test]
    fn releases_are_compared_by_number() {
        assert!(is_at_least("6.18.44-x", 6, 5));
        assert!(is_at_least("6.5", 6, 5));
        assert!(is_at_least("10.0.0", 6, 5));
        assert!(!is_at_least("6.1.0-56-cloud-amd64", 6, 5));
        assert!(!is_at_least("odd", 6, 5));
    }
}
