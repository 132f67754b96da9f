//! Words, variables, modifiers and their complaints, one table each.

use super::*;

fn with(text: &str, escape: char) -> Result<String, String> {
    let lookup = |name: &str| {
        let value = match name {
            "x" => "value",
            "empty" => "",
            "file" => "a.tar.gz.tar.gz",
            "path" => "/usr/local/bin",
            "aa" => "aaaa",
            _ => return None,
        };
        Some(value.to_owned())
    };
    expand(&Word::from(text), escape, &lookup).map_err(|error| error.to_string())
}

fn ok(text: &str) -> String {
    with(text, '\\').unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn fails(text: &str) -> String {
    let error = with(text, '\\').expect_err(text);
    let prefix = format!("failed to process {}: ", quoted(text));
    error.strip_prefix(&prefix).unwrap_or(&error).to_owned()
}

#[test]
fn plain_words() {
    for (text, expected) in [
        ("", ""),
        ("hello", "hello"),
        ("he'll'o", "hello"),
        ("he'l\\l'o", "hel\\lo"),
        ("he\\'llo", "he'llo"),
        ("hello\\", "hello"),
        ("\"a\\b\\\"c\"", "a\\b\"c"),
        ("\"a\\$x\"", "a$x"),
        ("'$x'", "$x"),
        ("\\$x", "$x"),
        ("a b  c", "a b  c"),
        ("$", "$"),
        ("a$ b", "a$ b"),
        ("<", "<"),
        ("a<b", "a<b"),
    ] {
        assert_eq!(ok(text), expected, "{text}");
    }
    assert_eq!(with("a`$x b\\c", '`'), Ok("a$x b\\c".to_owned()));
}

#[test]
fn variables() {
    for (text, expected) in [
        ("$x", "value"),
        ("${x}y", "valuey"),
        ("$xy", ""),
        ("$x.y", "value.y"),
        ("\"<$x>\"", "<value>"),
        ("$1a", "a"),
        ("${x}${none}", "value"),
        ("${none}", ""),
        ("$$", ""),
    ] {
        assert_eq!(ok(text), expected, "{text}");
    }
}

#[test]
fn conditions() {
    for (text, expected) in [
        ("${x:-other}", "value"),
        ("${none:-other}", "other"),
        ("${none-other}", "other"),
        ("${empty:-other}", "other"),
        ("${empty-other}", ""),
        ("${x:+other}", "other"),
        ("${x+other}", "other"),
        ("${empty:+other}", ""),
        ("${empty+other}", "other"),
        ("${none:+other}", ""),
        ("${none:-${x}}", "value"),
        ("${none:-${nor:-deep}}", "deep"),
        ("${none:-'a}b'}", "a}b"),
        ("${none:-\"$x\"}", "value"),
        ("${none:-a\\}b}", "a}b"),
        ("${x:?no}", "value"),
        ("${empty?no}", ""),
    ] {
        assert_eq!(ok(text), expected, "{text}");
    }
    assert_eq!(fails("${none:?is needed}"), "none: is needed");
    assert_eq!(fails("${none?}"), "none: is not allowed to be unset");
    assert_eq!(fails("${empty:?}"), "empty: is not allowed to be empty");
}

#[test]
fn patterns() {
    for (text, expected) in [
        ("${file%.gz}", "a.tar.gz.tar"),
        ("${file%.*}", "a.tar.gz.tar"),
        ("${file%%.*}", "a"),
        ("${file#*.}", "tar.gz.tar.gz"),
        ("${file##*.}", "gz"),
        ("${path##*/}", "bin"),
        ("${path%/*}", "/usr/local"),
        ("${file#x}", "a.tar.gz.tar.gz"),
        ("${file#?}", ".tar.gz.tar.gz"),
        ("${file#\\*}", "a.tar.gz.tar.gz"),
        ("${none#a}", ""),
        ("${file/tar/zip}", "a.zip.gz.tar.gz"),
        ("${file//tar/zip}", "a.zip.gz.zip.gz"),
        ("${file//tar/}", "a..gz..gz"),
        ("${file/t*z/}", "a."),
        ("${path//\\//_}", "_usr_local_bin"),
        ("${path/\\/usr/$x}", "value/local/bin"),
        ("${aa//a/b}", "bbbb"),
        ("${aa//aa/b}", "bb"),
        ("${aa//*/b}", "b"),
        ("${aa/none/b}", "aaaa"),
        ("${aa%a*}", "aaa"),
        ("${aa%%a*}", ""),
    ] {
        assert_eq!(ok(text), expected, "{text}");
    }
    assert_eq!(
        fails("${file#\\a}"),
        "invalid pattern (\\a) in substitution: invalid escape '\\a'"
    );
}

#[test]
fn faults() {
    for (text, expected) in [
        (
            "'a",
            "unexpected end of statement while looking for matching single-quote",
        ),
        (
            "\"a",
            "unexpected end of statement while looking for matching double-quote",
        ),
        ("${", "syntax error: missing '}'"),
        ("${x:-a", "syntax error: missing '}'"),
        ("${x/a", "syntax error: missing '/' in ${}"),
        ("${x/a/b", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${:x}", "syntax error: bad substitution"),
        ("${x:#a}", "unsupported modifier (:#) in substitution"),
        ("${x:a}", "unsupported modifier (:a) in substitution"),
        ("${x!}", "unsupported modifier (!) in substitution"),
    ] {
        assert_eq!(fails(text), expected, "{text}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = "${none:-".repeat(5000);
    assert!(with(&deep, '\\').is_err());
    let long = |_: &str| Some("x".repeat(1 << 20));
    assert!(expand(&Word::from("$a$a$a$a$a$a"), '\\', &long).is_err());
}

#[test]
fn words_are_split_outside_of_quotes() {
    let lookup = |name: &str| (name == "two").then(|| "1 2".to_owned());
    let words = |text: &str| expansion(&Word::from(text), '\\', &lookup).map(|done| done.words);
    assert_eq!(
        words("a  'b c' d\\ e"),
        Ok(vec!["a".into(), "b c".into(), "d e".into()])
    );
    assert_eq!(
        words("$two \"$two\""),
        Ok(vec!["1".into(), "2".into(), "1 2".into()])
    );
    let seen = expansion(&Word::from("$two $three"), '\\', &lookup).unwrap_or_default();
    assert_eq!(seen.found.into_iter().collect::<Vec<_>>(), ["two"]);
    assert_eq!(seen.missing.into_iter().collect::<Vec<_>>(), ["three"]);
}

#[test]
fn what_is_shown_keeps_quotes_and_unknown_names() {
    let lookup = |name: &str| (name == "a").then(|| "1".to_owned());
    let shown = |text| expand_for_display(text, '\\', &lookup);
    assert_eq!(shown("RUN echo \"$a\" ${b} $c"), "RUN echo \"1\" ${b} $c");
    assert_eq!(shown("RUN '"), "RUN '");
    assert_eq!(shown("${b:-x} ${b#y} ${b/p/q}"), "${b:-x} ${b#y} ${b/p/q}");
}
