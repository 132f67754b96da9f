//! Completion: the words that could stand at the cursor.
//!
//! The protocol is that of `docker __complete`, so the scripts that shells
//! have for docker work too: one candidate per line, its description after a
//! tab, and a last line `:N` with flags for the shell.

mod candidates;
mod line;
mod scripts;

pub(crate) use candidates::answer;
pub(crate) use scripts::{bash, fish, powershell, zsh};

/// What the shell shall do with the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Directive {
    /// Offer files when no candidate fits.
    Default,
    Failed,
    NoFiles,
    /// No space after the candidate: there is more to type.
    NoSpace,
}

impl Directive {
    fn code(self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Failed => 1,
            Self::NoFiles => 4,
            Self::NoSpace => 6,
        }
    }
}
