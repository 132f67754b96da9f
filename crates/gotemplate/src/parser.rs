//! Tokens to nodes, with Go's complaints.

use serde_json::Value;

use crate::ast::{Branch, Command, Definitions, Node, Pipe, Term, TermKind};
use crate::error::Error;
use crate::functions;
use crate::lexer::{Token, TokenKind, lex, line_of};
use crate::value::{parse_number, unquote};

/// How deep branches and parentheses may nest.
const MAX_DEPTH: usize = 100;

/// Parses a whole template, and those that it defines.
pub(crate) fn parse(text: &str) -> Result<(Vec<Node>, Definitions), Error> {
    let mut parser = Parser {
        text,
        tokens: lex(text)?,
        next: 0,
        variables: vec!["$".to_owned()],
        depth: 0,
        ranges: 0,
        definitions: Definitions::new(),
    };
    let (nodes, end) = parser.list()?;
    match end {
        ListEnd::Text => Ok((nodes, parser.definitions)),
        ListEnd::End => parser.fail("unexpected {{end}}"),
        ListEnd::Else(_) => parser.fail("unexpected {{else}}"),
    }
}

/// What ended a list of nodes.
enum ListEnd {
    Text,
    End,
    /// `{{else}}`, or the keyword of `{{else if}}` / `{{else with}}`.
    Else(Option<String>),
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    variables: Vec<String>,
    depth: usize,
    ranges: usize,
    definitions: Definitions,
}

impl Parser<'_> {
    fn fail<T>(&self, message: impl Into<String>) -> Result<T, Error> {
        let position = self
            .tokens
            .get(self.next.saturating_sub(1))
            .map_or(self.text.len(), |token| token.position);
        Err(Error::Parse {
            line: line_of(self.text, position),
            message: message.into(),
        })
    }

    fn peek(&self) -> &TokenKind {
        self.tokens
            .get(self.next)
            .map_or(&TokenKind::End, |token| &token.kind)
    }

    fn take(&mut self) -> Token {
        let token = self.tokens.get(self.next).cloned().unwrap_or(Token {
            position: self.text.len(),
            kind: TokenKind::End,
        });
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        while *self.peek() == TokenKind::Space {
            self.next += 1;
        }
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Result<T, Error> {
        let what = match &token.kind {
            TokenKind::End => "EOF".to_owned(),
            TokenKind::Text(text) => format!("{text:?}"),
            TokenKind::Word(word) if is_keyword(word) => format!("<{word}>"),
            TokenKind::Word(text) | TokenKind::Number(text) => format!("{text:?}"),
            TokenKind::Variable(text) => format!("{text:?}"),
            TokenKind::Quoted(text) | TokenKind::Raw(text) | TokenKind::Character(text) => {
                format!("{text:?}")
            }
            TokenKind::Field(name) => format!("\".{name}\""),
            TokenKind::Open => "\"{{\"".into(),
            TokenKind::Close => "\"}}\"".into(),
            TokenKind::Space => "\" \"".into(),
            TokenKind::Dot => "<.>".into(),
            TokenKind::Pipe => "\"|\"".into(),
            TokenKind::LeftParen => "\"(\"".into(),
            TokenKind::RightParen => "\")\"".into(),
            TokenKind::Declare => "\":=\"".into(),
            TokenKind::Assign => "\"=\"".into(),
            TokenKind::Comma => "\",\"".into(),
        };
        self.fail(format!("unexpected {what} in {context}"))
    }

    fn list(&mut self) -> Result<(Vec<Node>, ListEnd), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail("template is nested too deeply");
        }
        let mut nodes = Vec::new();
        loop {
            let token = self.take();
            match token.kind {
                TokenKind::Text(text) => nodes.push(Node::Text(text)),
                TokenKind::End => {
                    self.depth -= 1;
                    return Ok((nodes, ListEnd::Text));
                }
                TokenKind::Open => {
                    self.skip_space();
                    let keyword = match self.peek() {
                        TokenKind::Word(word) if is_keyword(word) => word.clone(),
                        _ => String::new(),
                    };
                    if let Some(end) = self.closing(&keyword)? {
                        self.depth -= 1;
                        return Ok((nodes, end));
                    }
                    nodes.push(self.action(&keyword)?);
                }
                _ => return self.unexpected(&token, "input"),
            }
        }
    }

    /// Consumes `end` and `else`; the action's body of an `else if` stays.
    fn closing(&mut self, keyword: &str) -> Result<Option<ListEnd>, Error> {
        if keyword != "end" && keyword != "else" {
            return Ok(None);
        }
        self.next += 1;
        self.skip_space();
        if keyword == "else"
            && let TokenKind::Word(word) = self.peek()
            && (word == "if" || word == "with")
        {
            return Ok(Some(ListEnd::Else(Some(word.clone()))));
        }
        self.close(keyword)?;
        Ok(Some(if keyword == "end" {
            ListEnd::End
        } else {
            ListEnd::Else(None)
        }))
    }

    fn close(&mut self, context: &str) -> Result<(), Error> {
        self.skip_space();
        let token = self.take();
        if token.kind == TokenKind::Close {
            return Ok(());
        }
        self.unexpected(&token, context)
    }

    fn action(&mut self, keyword: &str) -> Result<Node, Error> {
        if !keyword.is_empty() {
            self.next += 1;
        }
        match keyword {
            "if" => Ok(Node::If(self.branch("if")?)),
            "with" => Ok(Node::With(self.branch("with")?)),
            "range" => {
                self.ranges += 1;
                let branch = self.branch("range")?;
                self.ranges -= 1;
                Ok(Node::Range(branch))
            }
            "break" | "continue" => {
                if self.ranges == 0 {
                    return self.fail(format!("{{{{{keyword}}}}} outside {{{{range}}}}"));
                }
                self.close(&format!("{{{{{keyword}}}}}"))?;
                Ok(if keyword == "break" {
                    Node::Break
                } else {
                    Node::Continue
                })
            }
            "" => {
                let pipe = self.pipe("command", &TokenKind::Close, false)?;
                Ok(Node::Action(pipe))
            }
            "define" if self.depth == 1 => {
                let name = self.name("define clause")?;
                self.close("define clause")?;
                self.define(name)?;
                Ok(Node::Text(String::new()))
            }
            "template" => {
                self.skip_space();
                let position = self.position();
                let name = self.name("template clause")?;
                self.skip_space();
                if *self.peek() == TokenKind::Close {
                    self.next += 1;
                    return Ok(Node::Template(position, name, None));
                }
                let pipe = self.pipe("template clause", &TokenKind::Close, false)?;
                Ok(Node::Template(position, name, Some(pipe)))
            }
            "block" => {
                self.skip_space();
                let position = self.position();
                let name = self.name("block clause")?;
                let pipe = self.pipe("block clause", &TokenKind::Close, false)?;
                self.define(name.clone())?;
                Ok(Node::Template(position, name, Some(pipe)))
            }
            other => self.fail(format!("unexpected <{other}> in command")),
        }
    }

    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |token| token.position)
    }

    /// The name of a template, in quotes.
    fn name(&mut self, context: &str) -> Result<String, Error> {
        self.skip_space();
        let token = self.take();
        let name = match &token.kind {
            TokenKind::Quoted(text) | TokenKind::Raw(text) => unquote(text),
            _ => None,
        };
        match name {
            Some(name) => Ok(name),
            None => self.unexpected(&token, context),
        }
    }

    /// Reads the body of a definition, which sees no variables of its
    /// surroundings.
    fn define(&mut self, name: String) -> Result<(), Error> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (nodes, end) = self.list()?;
        if !matches!(end, ListEnd::End) {
            return self.fail("unexpected EOF");
        }
        self.variables = variables;
        self.ranges = ranges;
        self.definitions.insert(name, nodes);
        Ok(())
    }

    fn branch(&mut self, context: &str) -> Result<Branch, Error> {
        let scope = self.variables.len();
        self.skip_space();
        let pipe = self.pipe(context, &TokenKind::Close, context == "range")?;
        let (body, end) = self.list()?;
        let otherwise = match end {
            ListEnd::End => Vec::new(),
            ListEnd::Text => {
                return self.fail("unexpected EOF");
            }
            ListEnd::Else(Some(keyword)) if context != "range" => {
                self.next += 1;
                let nested = self.branch(&keyword)?;
                vec![if keyword == "if" {
                    Node::If(nested)
                } else {
                    Node::With(nested)
                }]
            }
            ListEnd::Else(Some(keyword)) => {
                return self.fail(format!("unexpected <{keyword}> in else"));
            }
            ListEnd::Else(None) => {
                let (nodes, end) = self.list()?;
                match end {
                    ListEnd::End => nodes,
                    ListEnd::Else(_) => return self.fail("expected end; found {{else}}"),
                    ListEnd::Text => return self.fail("unexpected EOF"),
                }
            }
        };
        self.variables.truncate(scope);
        Ok(Branch {
            pipe,
            body,
            otherwise,
        })
    }

    fn pipe(&mut self, context: &str, end: &TokenKind, range: bool) -> Result<Pipe, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail("template is nested too deeply");
        }
        self.skip_space();
        let (variables, assign) = self.declaration(range)?;
        let mut commands = Vec::new();
        loop {
            self.skip_space();
            let position = self.tokens.get(self.next).map_or(0, |token| token.position);
            if self.peek() == end {
                self.next += 1;
                if commands.is_empty() {
                    return self.fail(format!("missing value for {context}"));
                }
                break;
            }
            let terms = self.command(end)?;
            commands.push(Command { position, terms });
        }
        for (index, command) in commands.iter().enumerate().skip(1) {
            if matches!(
                command.terms[0].kind,
                TermKind::Constant(..) | TermKind::Dot | TermKind::Nil
            ) {
                return self.fail(format!(
                    "non executable command in pipeline stage {}",
                    index + 1
                ));
            }
        }
        self.depth -= 1;
        Ok(Pipe {
            variables,
            assign,
            commands,
        })
    }

    /// `$x :=`, `$x =` or `$i, $x :=` at the start of a pipeline.
    fn declaration(&mut self, range: bool) -> Result<(Vec<String>, bool), Error> {
        let start = self.next;
        let mut names = Vec::new();
        while let TokenKind::Variable(name) = self.peek().clone() {
            self.next += 1;
            self.skip_space();
            names.push(name);
            match self.peek() {
                TokenKind::Comma if range && names.len() == 1 => {
                    self.next += 1;
                    self.skip_space();
                }
                TokenKind::Declare => {
                    self.next += 1;
                    self.variables.extend(names.iter().cloned());
                    return Ok((names, false));
                }
                TokenKind::Assign => {
                    self.next += 1;
                    return Ok((names, true));
                }
                _ => break,
            }
        }
        self.next = start;
        Ok((Vec::new(), false))
    }

    /// Parses the terms of a command up to `|` (consumed) or the end.
    fn command(&mut self, end: &TokenKind) -> Result<Vec<Term>, Error> {
        let mut terms = Vec::new();
        loop {
            self.skip_space();
            if self.peek() == end {
                return Ok(terms);
            }
            if *self.peek() == TokenKind::Pipe {
                self.next += 1;
                if terms.is_empty() {
                    return self.fail("empty command");
                }
                return Ok(terms);
            }
            terms.push(self.operand()?);
            let next = self.peek();
            if !(matches!(next, TokenKind::Space | TokenKind::Pipe) || next == end) {
                let token = self.take();
                return self.unexpected(&token, "operand");
            }
        }
    }

    fn operand(&mut self) -> Result<Term, Error> {
        let mut term = self.term()?;
        let mut names = Vec::new();
        let chain = self.tokens.get(self.next).map_or(0, |token| token.position);
        while let TokenKind::Field(name) = self.peek().clone() {
            self.next += 1;
            names.push(name);
        }
        if names.is_empty() {
            return Ok(term);
        }
        match &mut term.kind {
            TermKind::Field(own) | TermKind::Variable(_, own) => {
                own.append(&mut names);
                term.position = chain;
                Ok(term)
            }
            TermKind::Constant(..) | TermKind::Nil | TermKind::Dot => {
                let source = term.to_string();
                self.fail(format!("unexpected . after term {source:?}"))
            }
            _ => Ok(Term {
                position: chain,
                kind: TermKind::Chain(Box::new(term), names),
            }),
        }
    }

    fn term(&mut self) -> Result<Term, Error> {
        let token = self.take();
        let kind = match &token.kind {
            TokenKind::Dot => TermKind::Dot,
            TokenKind::Field(name) => TermKind::Field(vec![name.clone()]),
            TokenKind::Variable(name) => {
                if !self.variables.contains(name) {
                    return self.fail(format!("undefined variable {name:?}"));
                }
                TermKind::Variable(name.clone(), Vec::new())
            }
            TokenKind::Word(word) if word == "nil" => TermKind::Nil,
            TokenKind::Word(word) if word == "true" || word == "false" => {
                TermKind::Constant(Value::Bool(word == "true"), word.clone())
            }
            TokenKind::Word(word) if is_keyword(word) => {
                return self.unexpected(&token, "operand");
            }
            TokenKind::Word(word) => {
                if !functions::exists(word) {
                    return self.fail(format!("function {word:?} not defined"));
                }
                TermKind::Function(word.clone())
            }
            TokenKind::Number(source) => match parse_number(source) {
                Some(number) => TermKind::Constant(number, source.clone()),
                None => return self.fail(format!("bad number syntax: {source:?}")),
            },
            TokenKind::Quoted(source) => match unquote(source) {
                Some(text) => TermKind::Constant(Value::String(text), source.clone()),
                None => return self.fail("invalid syntax"),
            },
            TokenKind::Raw(source) => TermKind::Constant(
                Value::String(source[1..source.len() - 1].replace('\r', "")),
                source.clone(),
            ),
            TokenKind::Character(source) => {
                let text = unquote(source).unwrap_or_default();
                let mut characters = text.chars();
                match (characters.next(), characters.next()) {
                    (Some(c), None) => TermKind::Constant(Value::from(c as u32), source.clone()),
                    _ => return self.fail(format!("malformed character constant: {source}")),
                }
            }
            TokenKind::LeftParen => {
                let pipe = self.pipe("parenthesized pipeline", &TokenKind::RightParen, false)?;
                TermKind::Pipe(Box::new(pipe))
            }
            _ => return self.unexpected(&token, "operand"),
        };
        Ok(Term {
            position: token.position,
            kind,
        })
    }
}

fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "if" | "else"
            | "end"
            | "range"
            | "with"
            | "break"
            | "continue"
            | "define"
            | "template"
            | "block"
    )
}
