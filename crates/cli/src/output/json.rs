//! JSON text: indenting without touching the order or spelling of what the
//! daemon sent, and Go's escaping of HTML characters.

/// Go's `json.Indent` with four spaces; `text` is valid JSON.
pub(crate) fn indent(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    let mut just_opened = false;
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    };
    for c in text.chars() {
        if in_string {
            out.push(c);
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
            continue;
        }
        if c.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(c, '}' | ']');
        if just_opened && !closes {
            newline(&mut out, depth);
        }
        match c {
            '{' | '[' => {
                out.push(c);
                depth += 1;
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if !just_opened {
                    newline(&mut out, depth);
                }
                out.push(c);
            }
            ',' => {
                out.push(c);
                newline(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_string = c == '"';
                out.push(c);
            }
        }
        just_opened = matches!(c, '{' | '[');
    }
    out
}

/// Go's `json.Marshal` writes `<`, `>` and `&` as escapes.
pub(crate) fn escape_html(text: &str) -> String {
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indents_like_go() {
        let text = r#"[{"b":1,"a":[],"c":{},"d":[1,"x, {y}:\""]}]"#;
        let expected = "[\n    {\n        \"b\": 1,\n        \"a\": [],\n        \"c\": {},\n        \"d\": [\n            1,\n            \"x, {y}:\\\"\"\n        ]\n    }\n]";
        assert_eq!(indent(text), expected);
        assert_eq!(indent("[]"), "[]");
    }
}
