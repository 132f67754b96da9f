//! The subset of Go's `text/template` that `docker --format` uses, over
//! [`serde_json::Value`].
//!
//! A template is parsed once into nodes and rendered against a value. Texts of
//! errors, and the way maps, lists, nil and numbers are printed, are Go's.
//! This crate knows no Docker object: what it cannot know (methods of a row,
//! what an absent field means) it asks of a [`Scope`].

mod ast;
mod error;
mod escape;
mod eval;
mod format;
mod functions;
mod lexer;
mod parser;
mod scope;
#[cfg(test)]
mod tests;
mod value;

pub use error::Error;
pub use functions::title_case;
pub use scope::{Absent, Header, Lenient, Scope, Strict};

use serde_json::Value;

/// The text of a value, as Go's `fmt` prints it.
pub fn plain_text(value: &Value) -> String {
    let mut out = String::new();
    format::plain(&mut out, value);
    out
}

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    nodes: Vec<ast::Node>,
    definitions: ast::Definitions,
}

impl Template {
    /// Parses `text`. Fails with Go's words and the line of the fault.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (nodes, definitions) = parser::parse(text)?;
        Ok(Self {
            text: text.to_owned(),
            nodes,
            definitions,
        })
    }

    /// Renders the template with `data` as the dot. Fails, in Go's words, on
    /// the first action that cannot be evaluated.
    pub fn render(&self, data: &Value, scope: &dyn Scope) -> Result<String, Error> {
        eval::render(&self.text, &self.nodes, &self.definitions, data, scope)
    }
}
