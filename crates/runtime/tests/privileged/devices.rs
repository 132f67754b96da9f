//! Devices and the links of `/dev`.

use crate::bundle::Bundle;

#[test]
fn devices_and_links_are_there() {
    require!();
    let (_, out, err) = Bundle::new("dev").sh(
        "for d in null zero full random urandom tty; do stat -c '%n %a %t:%T' /dev/$d; done; ls -l /dev/fd /dev/ptmx | grep -o '[^ ]* -> .*'; echo x > /dev/null; echo y > /dev/stdout",
    );
    let expected = "\
/dev/null 666 1:3\n/dev/zero 666 1:5\n/dev/full 666 1:7\n/dev/random 666 1:8\n\
/dev/urandom 666 1:9\n/dev/tty 666 5:0\n/dev/fd -> /proc/self/fd\n/dev/ptmx -> pts/ptmx\ny\n";
    assert_eq!(out, expected, "{err}");
}
