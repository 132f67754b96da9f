//! The firewall: what traffic of a bridge network may go where.
//!
//! Everything lives in nf_tables tables of our own, which are replaced as a
//! whole in one atomic batch; tables of others are never read or changed.

mod expression;
mod rules;
mod transaction;

pub(crate) use rules::{Policy, apply, drop_foreign_forwarding, remove};
