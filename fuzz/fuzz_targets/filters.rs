//! Filters, times and words in queries.
#![no_main]

use gantry_api::{Filters, Timestamp, query_bool};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = Filters::parse(text);
    let _ = Timestamp::parse("since", text, 1_700_000_000_000_000_000);
    let _ = query_bool(text);
    let _ = gantry_logs::Timestamp::parse_rfc3339(text);
    let _ = gantry_logs::Timestamp::parse_unix(text);
});
