//! Who asks. Secrets are in here and in the `Authorization` lines that are made
//! from them, and are never shown.

use std::fmt;

/// What a user has given to be let in with; all empty: nobody in particular.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password, or an access token in its place.
    pub password: String,
    /// A refresh token that a login has answered; used instead of the password.
    pub identity_token: String,
    /// A bearer token that is sent as it is.
    pub registry_token: String,
}

impl Credentials {
    /// Whether there are none.
    pub fn is_anonymous(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.is_anonymous() {
            true => "Credentials(none)",
            false => "Credentials(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let credentials = Credentials {
            username: "user".to_owned(),
            password: "hunter2".to_owned(),
            ..Credentials::default()
        };
        assert_eq!(format!("{credentials:?}"), "Credentials(…)");
        assert!(Credentials::default().is_anonymous());
    }
}
