//! Options of log drivers, and templates of tags.
#![no_main]

use std::path::Path;

use gantry_logs::{Driver, Options, Settings, Subject, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let number = lines.next().map_or(0, str::len);
    let driver = Driver::ALL[number % Driver::ALL.len()];
    let pairs = lines.filter_map(|line| line.split_once('='));
    let options: Options = pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let checked = check(driver, &options);
    // Names in addresses would be looked up.
    if checked.is_err() || options.keys().any(|key| key.ends_with("-address")) {
        return;
    }
    let env = ["A=1".to_owned()];
    let subject = Subject {
        id: "0123456789abcdef",
        name: "/name",
        env: &env,
        ..Subject::default()
    };
    let _ = Settings::from_options(driver, &options, Path::new("/c"), &subject);
});
