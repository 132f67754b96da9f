//! `/etc/passwd` and `/etc/group` of an image, and who is looked for in them.
#![no_main]

use gantry_runtime::UserRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(4, '\0');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (user, groups, passwd, group) = (next(), next(), next(), next());
    let groups: Vec<String> = groups.split(',').map(str::to_owned).collect();
    let request = UserRequest {
        user: &user,
        groups: &groups,
    };
    gantry_runtime::look_up(&request, &passwd, &group);
});
