//! What a check has found, and how `docker build --check` prints it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Finding;
use crate::error::{Error, excerpt};
use crate::outline::location;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What breaks a rule, in the order in which a build comes to it.
    pub findings: Vec<Finding>,
    /// What would end a build.
    pub error: Option<Error>,
    /// Whether a finding ends a build, too.
    pub fails: bool,
}

impl Report {
    /// The findings by line.
    pub fn by_line(&self) -> Vec<&Finding> {
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        gantry_types::sort::by_key(&mut findings, |finding| finding.span.first_line);
        findings
    }

    /// Every finding with its explanation and its lines.
    pub fn text(&self, file: &str, bytes: &[u8]) -> String {
        let mut out = String::new();
        for finding in self.by_line() {
            out.push_str(&format!("\nWARNING: {}", finding.rule.name));
            if let Some(url) = finding.rule.url() {
                out.push_str(&format!(" - {url}"));
            }
            out.push_str(&format!("\n{}\n", finding.text));
            out.push_str(&excerpt(file, bytes, finding.span).unwrap_or_default());
        }
        out
    }

    /// The same for programs, as BuildKit has it.
    pub fn json(&self, file: &str, bytes: &[u8]) -> Value {
        let warnings = self.by_line().into_iter().map(|finding| {
            let mut warning = json!({
                "ruleName": finding.rule.name,
                "description": finding.rule.description,
                "detail": finding.text,
                "location": location(finding.span),
            });
            if let Some(url) = finding.rule.url() {
                warning["url"] = url.into();
            }
            warning
        });
        // As Go has it, none are nothing.
        let warnings: Vec<Value> = warnings.collect();
        let warnings = Some(warnings).filter(|warnings| !warnings.is_empty());
        let mut out = json!({
            "warnings": warnings,
            "sources": [{
                "filename": file,
                "data": STANDARD.encode(bytes),
                "language": "Dockerfile",
            }],
        });
        if let Some(error) = &self.error {
            let place = error.span().map_or_else(|| json!({}), location);
            out["buildError"] = json!({"message": error.to_string(), "location": place});
        }
        out
    }

    /// The line that `--check` begins with.
    pub fn summary(&self) -> Option<String> {
        match (self.findings.len(), &self.error) {
            (0, Some(_)) => None,
            (0, None) => Some("Check complete, no warnings found.".to_owned()),
            (1, _) => Some("Check complete, 1 warning has been found!".to_owned()),
            (count, _) => Some(format!("Check complete, {count} warnings have been found!")),
        }
    }

    /// Why a build with these findings fails, when it is to fail.
    pub fn violation(&self) -> Option<Error> {
        if !self.fails || self.findings.is_empty() {
            return None;
        }
        let mut rules: Vec<&str> = Vec::new();
        for finding in &self.findings {
            if !rules.contains(&finding.rule.name) {
                rules.push(finding.rule.name);
            }
        }
        Some(Error::new(format!(
            "lint violation found for rules: {}",
            rules.join(", ")
        )))
    }
}
