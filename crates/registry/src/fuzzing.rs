//! The door of the fuzz target: all that is read of an answer before anybody
//! else sees it.

use crate::auth::Challenge;
use crate::document::{self, RateLimit};
use crate::http::Head;
use crate::refusal::Refusal;
use crate::url::Url;
use crate::{blob, lists};

/// Reads the head and the body of an answer in every way; answers whether it was one.
pub fn read_answer(mut bytes: &[u8]) -> bool {
    let Ok(head) = Head::read(&mut bytes) else {
        return false;
    };
    let _ = (head.length(), Challenge::of(&head), RateLimit::of(&head));
    let shown = Refusal::read(head.status, bytes, None).to_string();
    assert!(!shown.contains(char::is_control), "{shown:?}");
    document::media_type(&head, bytes);
    head.get("content-range").and_then(blob::range);
    if let Some(url) = Url::parse("https://r.example:5000/v2/a/tags/list?n=1") {
        let next = lists::next_page(&url, &head);
        assert!(next.is_none_or(|next| next.same_origin(&url)));
        let joined = head.get("location").and_then(|to| url.join(to));
        if let Some(joined) = joined {
            let line = joined
                .target
                .bytes()
                .all(|byte| (0x21..=0x7e).contains(&byte));
            assert!(line && joined.target.starts_with('/'), "{}", joined.target);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &[&str] = &[
        "WWW-Authenticate: ",
        "Bearer ",
        "Basic ",
        "realm=",
        "scope=",
        "\"",
        "\\",
        ",",
        "=",
        " ",
        ":",
        "Location: ",
        "http://",
        "//",
        "/",
        "?",
        "#",
        "@",
        "[::1]",
        "a.example",
        "..",
        "%",
        "ü",
        "\u{1b}[2J",
        "Link: <",
        ">; rel=\"next\"",
        "Content-Range: bytes ",
        "-",
        "5",
        "18446744073709551616",
        "/*",
        "Content-Length: ",
        "RateLimit-Limit: ",
        ";w=",
        "RateLimit-Remaining: ",
        "\r\n",
        "\n",
        "\r\n\r\n",
        "{\"errors\":[{\"code\":\"A_B\",\"message\":\"\\u0007\"}]}",
        "{\"details\":\"x\"}",
        "[",
        "null",
    ];

    proptest::proptest! {
        #[test]
        fn no_answer_is_too_strange(
            status in 0u16..999,
            words in proptest::collection::vec(0..WORDS.len(), 0..40),
        ) {
            let mut text = format!("HTTP/1.1 {status} X\r\n");
            text.extend(words.iter().map(|word| WORDS[*word]));
            read_answer(format!("{text}\r\n\r\n").as_bytes());
        }
    }
}
