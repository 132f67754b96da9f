//! Text to tokens: what is between `{{` and `}}`, and the text around it with
//! `{{- -}}` trimming applied.

use crate::error::Error;

/// A token and the byte where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) position: usize,
    pub(crate) kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    Text(String),
    Open,
    Close,
    Space,
    /// `.name`
    Field(String),
    /// `$name`
    Variable(String),
    Word(String),
    /// A literal's source: number, quoted or raw string, character.
    Number(String),
    Quoted(String),
    Raw(String),
    Character(String),
    Dot,
    Pipe,
    LeftParen,
    RightParen,
    Declare,
    Assign,
    Comma,
    End,
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

pub(crate) fn line_of(text: &str, position: usize) -> usize {
    1 + text[..position.min(text.len())].matches('\n').count()
}

/// Cuts a template into tokens.
pub(crate) fn lex(text: &str) -> Result<Vec<Token>, Error> {
    let mut lexer = Lexer {
        text,
        at: 0,
        tokens: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), Error> {
        let mut trim_start = false;
        loop {
            let rest = &self.text[self.at..];
            let open = rest.find("{{");
            let mut piece = &rest[..open.unwrap_or(rest.len())];
            let start = self.at;
            if trim_start {
                piece = piece.trim_start_matches(SPACE);
            }
            let Some(open) = open else {
                self.push_text(start, piece);
                self.push(self.text.len(), TokenKind::End);
                return Ok(());
            };
            let inside = &rest[open + 2..];
            let trims = inside.starts_with('-') && inside[1..].starts_with(SPACE);
            if trims {
                piece = piece.trim_end_matches(SPACE);
            }
            self.push_text(start, piece);
            self.at += open + 2 + usize::from(trims);
            trim_start = self.action(open + start)?;
        }
    }

    fn push(&mut self, position: usize, kind: TokenKind) {
        self.tokens.push(Token { position, kind });
    }

    fn push_text(&mut self, position: usize, text: &str) {
        if !text.is_empty() {
            self.push(position, TokenKind::Text(text.to_owned()));
        }
    }

    fn fail<T>(&self, position: usize, message: impl Into<String>) -> Result<T, Error> {
        Err(Error::Parse {
            line: line_of(self.text, position),
            message: message.into(),
        })
    }

    /// Lexes one action; true when it ends with `-}}`.
    fn action(&mut self, start: usize) -> Result<bool, Error> {
        let body = self.text[self.at..].trim_start_matches(SPACE);
        if body.starts_with("/*") {
            return self.comment(start);
        }
        self.push(start, TokenKind::Open);
        let mut depth = 0usize;
        loop {
            let rest = &self.text[self.at..];
            let closes_trimmed =
                rest.starts_with(SPACE) && rest.trim_start_matches(SPACE).starts_with("-}}");
            if closes_trimmed || rest.starts_with("}}") {
                if depth > 0 {
                    return self.fail(self.at, "unclosed left paren");
                }
                self.push(self.at, TokenKind::Close);
                let blank = rest.len() - rest.trim_start_matches(SPACE).len();
                self.at += if closes_trimmed { blank + 3 } else { 2 };
                return Ok(closes_trimmed);
            }
            let Some(next) = rest.chars().next() else {
                return self.fail(self.at, "unclosed action");
            };
            match next {
                '(' => depth += 1,
                ')' if depth == 0 => return self.fail(self.at, "unexpected right paren"),
                ')' => depth -= 1,
                _ => {}
            }
            self.item(next)?;
        }
    }

    fn comment(&mut self, start: usize) -> Result<bool, Error> {
        let Some(end) = self.text[self.at..].find("*/") else {
            return self.fail(start, "unclosed comment");
        };
        self.at += end + 2;
        let rest = &self.text[self.at..];
        if rest.starts_with("}}") {
            self.at += 2;
            return Ok(false);
        }
        let trimmed = rest.trim_start_matches(SPACE);
        if trimmed.len() < rest.len() && trimmed.starts_with("-}}") {
            self.at += rest.len() - trimmed.len() + 3;
            return Ok(true);
        }
        self.fail(start, "comment ends before closing delimiter")
    }

    fn item(&mut self, next: char) -> Result<(), Error> {
        let start = self.at;
        let rest = &self.text[start..];
        let word = |from: usize| {
            rest[from..]
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .map_or(rest.len(), |length| from + length)
        };
        let (length, kind) = match next {
            c if SPACE.contains(&c) => (
                rest.len() - rest.trim_start_matches(SPACE).len(),
                TokenKind::Space,
            ),
            '|' => (1, TokenKind::Pipe),
            '(' => (1, TokenKind::LeftParen),
            ')' => (1, TokenKind::RightParen),
            ',' => (1, TokenKind::Comma),
            '=' => (1, TokenKind::Assign),
            ':' if rest.starts_with(":=") => (2, TokenKind::Declare),
            ':' => return self.fail(start, "expected :="),
            '"' => return self.quoted('"', "unterminated quoted string"),
            '\'' => return self.quoted('\'', "unterminated character constant"),
            '`' => match rest[1..].find('`') {
                Some(end) => (end + 2, TokenKind::Raw(rest[..end + 2].to_owned())),
                None => return self.fail(start, "unterminated raw quoted string"),
            },
            '$' => (word(1), TokenKind::Variable(rest[..word(1)].to_owned())),
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let end = word(1);
                if end == 1 {
                    (1, TokenKind::Dot)
                } else {
                    (end, TokenKind::Field(rest[1..end].to_owned()))
                }
            }
            '+' | '-' | '.' | '0'..='9' => return self.number(),
            c if c.is_alphanumeric() || c == '_' => {
                (word(0), TokenKind::Word(rest[..word(0)].to_owned()))
            }
            c => {
                return self.fail(
                    start,
                    format!("unrecognized character in action: U+{:04X} '{c}'", c as u32),
                );
            }
        };
        self.at += length;
        self.push(start, kind);
        self.check_end_of_word(start, length)
    }

    /// A word, field or variable must be followed by something that ends it.
    fn check_end_of_word(&self, start: usize, length: usize) -> Result<(), Error> {
        let is_word = matches!(
            self.tokens.last().map(|token| &token.kind),
            Some(TokenKind::Word(_) | TokenKind::Field(_) | TokenKind::Variable(_))
        );
        let next = self.text[start + length..].chars().next();
        let Some(next) = next.filter(|_| is_word) else {
            return Ok(());
        };
        let ends = SPACE.contains(&next) || ".,|:=()".contains(next);
        if ends || self.text[start + length..].starts_with("}}") {
            return Ok(());
        }
        self.fail(
            start,
            format!("bad character U+{:04X} '{next}'", next as u32),
        )
    }

    fn quoted(&mut self, quote: char, complaint: &str) -> Result<(), Error> {
        let start = self.at;
        let mut escaped = false;
        for (offset, c) in self.text[start..].char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    let source = self.text[start..start + offset + 1].to_owned();
                    self.at = start + offset + 1;
                    self.push(
                        start,
                        if quote == '"' {
                            TokenKind::Quoted(source)
                        } else {
                            TokenKind::Character(source)
                        },
                    );
                    return Ok(());
                }
                _ => {}
            }
        }
        self.fail(start, complaint)
    }

    fn number(&mut self) -> Result<(), Error> {
        let start = self.at;
        let rest = &self.text[start..];
        let sign = usize::from(rest.starts_with(['+', '-']));
        let mut end = rest.len();
        let mut previous = ' ';
        for (offset, c) in rest.char_indices().skip(sign) {
            let signs_exponent = (c == '+' || c == '-') && matches!(previous, 'e' | 'E');
            if !(c.is_alphanumeric() || c == '.' || c == '_' || signs_exponent) {
                end = offset;
                break;
            }
            previous = c;
        }
        let source = rest[..end].to_owned();
        if source.len() == sign {
            return self.fail(start, format!("bad number syntax: {source:?}"));
        }
        self.at += end;
        self.push(start, TokenKind::Number(source));
        Ok(())
    }
}
