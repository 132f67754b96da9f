//! Tables of templates, their data and what Go makes of them.

use serde_json::{Value, json};

use crate::{Absent, Header, Lenient, Scope, Strict, Template};

fn render(template: &str, data: &Value, scope: &dyn Scope) -> String {
    match Template::parse(template).and_then(|parsed| parsed.render(data, scope)) {
        Ok(text) => text,
        Err(error) => format!("ERR {error}"),
    }
}

fn sample() -> Value {
    json!({
        "Name": "web", "Size": 1234567, "Ratio": 0.5, "Up": true, "Empty": "", "Null": null,
        "List": ["a", "b", "c"], "None": [],
        "Map": {"b": "2", "a": "1"},
        "State": {"Status": "running", "Pid": 42, "Inner": {"Deep": "x"}},
        "Nets": {"bridge": {"IP": "172.17.0.2"}, "other": {"IP": "10.0.0.1"}},
        "com.docker": "dotted",
    })
}

#[test]
fn renders_what_go_renders() {
    let table = [
        ("plain", "plain"),
        ("{{.Name}}", "web"),
        ("{{ .Name }}/{{.Size}}", "web/1234567"),
        ("{{.Ratio}} {{.Up}}", "0.5 true"),
        ("{{.List}} {{.Map}} {{.None}}", "[a b c] map[a:1 b:2] []"),
        ("{{.State.Inner.Deep}}", "x"),
        ("{{.Nope}} {{.Null}}", "<no value> <no value>"),
        ("a  {{- .Name -}}  b", "awebb"),
        ("a {{/* gone */}} b", "a  b"),
        ("a {{- /* gone */ -}} b", "ab"),
        ("{{if .Up}}yes{{else}}no{{end}}", "yes"),
        (
            "{{if .Empty}}a{{else if eq .Name \"web\"}}b{{else}}c{{end}}",
            "b",
        ),
        ("{{if .None}}a{{else if .Null}}b{{else}}c{{end}}", "c"),
        ("{{with .State}}{{.Pid}}{{end}}", "42"),
        ("{{with .Empty}}x{{else}}none{{end}}", "none"),
        ("{{range .List}}[{{.}}]{{end}}", "[a][b][c]"),
        (
            "{{range $i, $e := .List}}{{$i}}={{$e}},{{end}}",
            "0=a,1=b,2=c,",
        ),
        (
            "{{range $k, $v := .Nets}}{{$k}} {{$v.IP}};{{end}}",
            "bridge 172.17.0.2;other 10.0.0.1;",
        ),
        ("{{range .None}}x{{else}}empty{{end}}", "empty"),
        (
            "{{range .List}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}",
            "a",
        ),
        (
            "{{range .List}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}",
            "ac",
        ),
        ("{{range .List}}{{$.Name}}{{end}}", "webwebweb"),
        ("{{$x := .Name}}{{$x}}{{$x = \"y\"}}{{$x}}", "weby"),
        ("{{index .List 1}} {{index .Map \"a\"}}", "b 1"),
        ("{{(index .Nets \"bridge\").IP}}", "172.17.0.2"),
        ("{{index . \"com.docker\"}}", "dotted"),
        ("{{index .Map \"zz\"}}", "<no value>"),
        ("{{len .List}} {{len .Name}}", "3 3"),
        ("{{slice .Name 1}} {{slice .List 0 2}}", "eb [a b]"),
        (
            "{{printf \"%s-%05d-%q-%v\" .Name .State.Pid .Name .Map}}",
            "web-00042-\"web\"-map[a:1 b:2]",
        ),
        (
            "{{printf \"%-6s|%6s|%.2f|%x\" .Name .Name .Ratio 255}}",
            "web   |   web|0.50|ff",
        ),
        ("{{printf \"%d\" .Name}}", "%!d(string=web)"),
        ("{{printf \"%s\"}}", "%!s(MISSING)"),
        ("{{print 1 2 .Name 3}}", "1 2web3"),
        ("{{println .Name}}", "web\n"),
        ("{{json .Map}}", "{\"b\":\"2\",\"a\":\"1\"}"),
        ("{{.Map | json}}", "{\"b\":\"2\",\"a\":\"1\"}"),
        ("{{json .Null}}", "null"),
        (
            "{{upper .Name}} {{title .Name}} {{lower \"ABC\"}}",
            "WEB Web abc",
        ),
        (
            "{{join .List \",\"}} {{split \"a-b\" \"-\"}}",
            "a,b,c [a b]",
        ),
        (
            "{{pad .Name 1 2}}|{{truncate .Name 2}}|{{truncate .Name 9}}",
            " web  |we|web",
        ),
        ("{{.Name | printf \"<%s>\"}}", "<web>"),
        (
            "{{and .Up .Name}} {{or .Empty .Name}} {{not .Up}}",
            "web web false",
        ),
        (
            "{{eq .State.Pid 42}} {{ne .Name \"x\"}} {{lt 1 2}} {{ge 1 2}}",
            "true true true false",
        ),
        ("{{eq .Name \"x\" \"web\"}}", "true"),
        ("{{if and (eq .Name \"web\") (gt .Size 10)}}ok{{end}}", "ok"),
        (
            "{{`raw\\n`}} {{\"q\\t\"}} {{'a'}} {{0x10}} {{1e3}}",
            "raw\\n q\t 97 16 1000",
        ),
        ("{{true}} {{$}}", ""),
    ];
    let data = sample();
    for (template, expected) in table {
        if expected.is_empty() {
            continue;
        }
        assert_eq!(render(template, &data, &Lenient), expected, "{template}");
    }
}

#[test]
fn complains_in_the_words_of_go() {
    let table = [
        ("{{.Name", "ERR template: :1: unclosed action"),
        ("{{.Name}", "ERR template: :1: bad character U+007D '}'"),
        ("{{foo}}", "ERR template: :1: function \"foo\" not defined"),
        ("{{if .Up}}", "ERR template: :1: unexpected EOF"),
        ("x\n{{end}}", "ERR template: :2: unexpected {{end}}"),
        ("{{$x}}", "ERR template: :1: undefined variable \"$x\""),
        ("{{}}", "ERR template: :1: missing value for command"),
        ("{{\"a}}", "ERR template: :1: unterminated quoted string"),
        (
            "{{.Nope}}",
            "ERR template: :1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\"",
        ),
        (
            "a{{.State.Nope}}",
            "ERR template: :1:9: executing \"\" at <.State.Nope>: map has no entry for key \"Nope\"",
        ),
        (
            "{{.Name.X}}",
            "ERR template: :1:7: executing \"\" at <.Name.X>: can't evaluate field X in type interface {}",
        ),
        (
            "{{index .List 9}}",
            "ERR template: :1:2: executing \"\" at <index .List 9>: error calling index: index out of range: 9",
        ),
        (
            "{{range 3333123401234}}{{end}}",
            "ERR template: :1:8: executing \"\" at <3333123401234>: more than 16777216 turns of ranges",
        ),
        (
            "{{len 3}}",
            "ERR template: :1:2: executing \"\" at <len 3>: error calling len: len of type int",
        ),
        (
            "{{eq 1 \"a\"}}",
            "ERR template: :1:2: executing \"\" at <eq 1 \"a\">: error calling eq: incompatible types for comparison",
        ),
    ];
    let data = sample();
    for (template, expected) in table {
        assert_eq!(render(template, &data, &Strict), expected, "{template}");
    }
}

struct Row;

impl Scope for Row {
    fn method(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        (name == "Label").then(|| match arguments {
            [Value::String(key)] => Ok(Value::from(format!("label {key}"))),
            _ => Err("wants one text".into()),
        })
    }

    fn nil(&self, field: &str) -> &'static str {
        if field == "Null" { "[]" } else { "<nil>" }
    }

    fn absent(&self, field: &str) -> Absent {
        match field {
            "Known" => Absent::Value(Value::Null),
            _ => Absent::Error(format!("can't evaluate field {field} in type *row")),
        }
    }
}

#[test]
fn asks_the_scope() {
    let data = sample();
    let table = [
        ("{{.Label \"a\"}}", "label a"),
        ("{{\"b\" | .Label}}", "label b"),
        ("{{.Null}} {{.Known}} {{len .Null}}", "[] <nil> 0"),
        ("{{json .Null}}", "null"),
        ("{{range .Null}}x{{end}}", ""),
        (
            "{{.Nope}}",
            "ERR template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type *row",
        ),
    ];
    for (template, expected) in table {
        assert_eq!(render(template, &data, &Row), expected, "{template}");
    }
}

#[test]
fn headers_leave_text_alone() {
    let data = json!({"ID": "CONTAINER ID"});
    let table = [
        ("{{lower .ID}}", "CONTAINER ID"),
        ("{{truncate .ID 3}}", "CONTAINER ID"),
        ("{{.Label \"com.example.build-date\"}}", "build date"),
        ("{{.Other}}", "<no value>"),
    ];
    for (template, expected) in table {
        assert_eq!(render(template, &data, &Header), expected, "{template}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = "{{if .Up}}".repeat(5000);
    assert!(render(&deep, &sample(), &Lenient).contains("too deeply"));
    let parens = format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(render(&parens, &sample(), &Lenient).contains("too deeply"));
}

#[test]
fn templates_call_each_other() {
    let table = [
        (
            "{{define \"x\"}}[{{.}}]{{end}}{{template \"x\" .Name}}{{template \"x\" 1}}",
            "[web][1]",
        ),
        ("{{template \"x\"}}{{define \"x\"}}a{{end}}", "a"),
        ("{{block \"b\" .State}}{{.Pid}}{{end}}", "42"),
        (
            "{{$n := 5}}{{define \"x\"}}{{$m := .}}{{$m}}{{$}}{{end}}{{template \"x\" $n}}{{$n}}",
            "555",
        ),
        (
            "{{template \"y\"}}",
            "ERR template: :1:11: executing \"\" at <{{template \"y\"}}>: template \"y\" not defined",
        ),
        (
            "{{define x}}",
            "ERR template: :1: unexpected \"x\" in define clause",
        ),
        ("{{define \"x\"}}", "ERR template: :1: unexpected EOF"),
        (
            "{{if 1}}{{define \"x\"}}{{end}}{{end}}",
            "ERR template: :1: unexpected <define> in command",
        ),
        ("{{html \"<a>\"}}{{urlquery \"a b\"}}", "&lt;a&gt;a+b"),
    ];
    for (template, expected) in table {
        assert_eq!(
            render(template, &sample(), &Lenient),
            expected,
            "{template}"
        );
    }
    let endless = "{{define \"x\"}}{{template \"x\" .}}{{end}}{{template \"x\" .}}";
    assert!(render(endless, &sample(), &Lenient).contains("exceeded maximum template depth"));
}
