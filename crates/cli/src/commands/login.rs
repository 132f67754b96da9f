//! `login` and `logout`: credentials, tried by the daemon and kept by the client.

use std::io::{IsTerminal, Read};

use futures_util::future::LocalBoxFuture;
use gantry_api::{AuthAnswer, AuthConfig};
use gantry_types::ErrorKind;

use super::Outcome;
use crate::args::Matches;
use crate::credentials::{INDEX, Keyring, hostname};
use crate::error::Error;
use crate::session::{Session, prompt};
use crate::transport::Call;

/// Longer than any password.
const MAX_SECRET: u64 = 1 << 20;
const NO_TERMINAL: &str = "Error: Cannot perform an interactive login from a non TTY device";

/// Docker's registry has several names; all others are filed by their hosts.
fn filed_under(server: &str) -> &str {
    match server {
        "" | "docker.io" | "registry-1.docker.io" | INDEX => INDEX,
        other => hostname(other),
    }
}

/// `docker login`.
pub(crate) fn login<'a>(session: &'a Session, matches: &'a Matches) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        check_flags(matches)?;
        let password = given_password(session, matches)?;
        let user = matches.text("username").trim();
        let server = matches.operands.first().map_or("", String::as_str);
        let server = filed_under(server);
        let mut known = AuthConfig::default();
        if user.is_empty() && password.is_empty() {
            let found = Keyring::new(&session.settings).get(server);
            known = found.unwrap_or_default();
        }
        known.server_address = server.to_owned();
        known.identity_token.clear();
        if !known.username.is_empty()
            && !known.password.is_empty()
            && with_stored(session, &known).await?
        {
            return Ok(0);
        }
        let auth = ask(session, user, password, known).await?;
        let answer = try_login(session, &auth).await?;
        keep(session, auth, &answer)?;
        session.printer.line(&answer.status);
        Ok(0)
    })
}

fn check_flags(matches: &Matches) -> Result<(), Error> {
    if matches.bool("password-stdin") {
        if matches.changed("password") {
            return Err(Error::message(
                "conflicting options: cannot specify both --password and --password-stdin",
            ));
        }
        if !matches.changed("username") {
            return Err(Error::message(
                "the --password-stdin option requires --username to be set",
            ));
        }
    }
    for name in ["username", "password"] {
        if matches.changed(name) && matches.text(name).is_empty() {
            return Err(Error::message(format!("{name} is empty")));
        }
    }
    Ok(())
}

fn given_password(session: &Session, matches: &Matches) -> Result<String, Error> {
    if matches.changed("password") {
        session
            .printer
            .error_line("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        return Ok(matches.text("password").trim().to_owned());
    }
    if !matches.bool("password-stdin") {
        return Ok(String::new());
    }
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_SECRET)
        .read_to_string(&mut text)
        .map_err(|error| Error::message(format!("reading the password: {error}")))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

async fn try_login(session: &Session, auth: &AuthConfig) -> Result<AuthAnswer, Error> {
    let call = Call::post("/auth").json(auth)?;
    session.client.json(&call).await
}

/// Keeps what a login was done with, or the token that it was answered with.
fn keep(session: &Session, mut auth: AuthConfig, answer: &AuthAnswer) -> Result<(), Error> {
    if !answer.identity_token.is_empty() {
        auth.password.clear();
        auth.identity_token.clone_from(&answer.identity_token);
    }
    if let Some(warning) = Keyring::new(&session.settings).store(&auth)? {
        session.printer.error_line(&warning);
    }
    Ok(())
}

/// Tries what is known already; whether that was enough.
async fn with_stored(session: &Session, auth: &AuthConfig) -> Result<bool, Error> {
    let printer = session.printer;
    printer.error_line(&format!(
        "Authenticating with existing credentials... [Username: {}]\n",
        auth.username
    ));
    let program = &session.program;
    let note = format!(
        "To login with a different account, run '{program} logout' followed by '{program} login'"
    );
    printer.error_line(&match std::io::stderr().is_terminal() {
        true => format!("\x1b[96mi Info → \x1b[0m{note}\n\n"),
        false => format!(" Info -> {note}\n\n"),
    });
    match try_login(session, auth).await {
        Ok(answer) => {
            keep(session, auth.clone(), &answer)?;
            printer.line(&answer.status);
            Ok(true)
        }
        Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => Err(error),
        Err(error) if error.kind() == ErrorKind::Unauthorized => {
            printer.error_line("Stored credentials invalid or expired");
            Ok(false)
        }
        Err(error) => {
            printer.error_line(&format!("Login did not succeed, error: {error}"));
            Ok(false)
        }
    }
}

/// Asks the user for what was not given.
async fn ask(
    session: &Session,
    user: &str,
    password: String,
    known: AuthConfig,
) -> Result<AuthConfig, Error> {
    let is_complete = !user.is_empty() && !password.is_empty();
    if !is_complete && !std::io::stdin().is_terminal() {
        return Err(Error::message(NO_TERMINAL));
    }
    let mut user = user.to_owned();
    if user.is_empty() {
        user = ask_user(session, &known).await?;
    }
    let mut password = password;
    if password.is_empty() {
        password = prompt::secret(session.printer, "Password: ").await?;
        if password.is_empty() {
            return Err(Error::message("Error: Password Required"));
        }
    }
    Ok(AuthConfig {
        username: user,
        password,
        server_address: known.server_address,
        ..AuthConfig::default()
    })
}

async fn ask_user(session: &Session, known: &AuthConfig) -> Result<String, Error> {
    if known.server_address == INDEX {
        session.printer.line(
            "Log in with your Docker ID or email address to push and pull images from Docker Hub. If you don't have a Docker ID, head over to https://hub.docker.com/ to create one.\n\
             You can log in with your password or a Personal Access Token (PAT). Using a limited-scope PAT grants better security and is required for organizations using SSO. Learn more at https://docs.docker.com/go/access-tokens/\n",
        );
    }
    let question = match known.username.as_str() {
        "" => "Username: ".to_owned(),
        default => format!("Username ({default}): "),
    };
    let answer = prompt::line(session.printer, &question).await?;
    match (answer.trim(), known.username.as_str()) {
        ("", "") => Err(Error::message("Error: Non-null Username Required")),
        ("", default) => Ok(default.to_owned()),
        (answer, _) => Ok(answer.to_owned()),
    }
}

/// `docker logout`.
pub(crate) fn logout<'a>(
    session: &'a Session,
    matches: &'a Matches,
) -> LocalBoxFuture<'a, Outcome> {
    Box::pin(async move {
        let given = matches.operands.first().map_or("", String::as_str);
        let server = filed_under(given);
        session
            .printer
            .line(&format!("Removing login credentials for {server}"));
        // Under which name older clients may have filed them.
        let mut names = vec![server.to_owned()];
        if server != INDEX {
            if given != server {
                names.insert(0, given.to_owned());
            }
            names.extend(["http", "https"].map(|scheme| format!("{scheme}://{server}")));
        }
        let keyring = Keyring::new(&session.settings);
        let mut failures = Vec::new();
        for name in &names {
            if let Err(error) = keyring.erase(name) {
                failures.push(format!("{name}: {error}"));
            }
        }
        if failures.len() == names.len() {
            session
                .printer
                .error_line("WARNING: could not erase credentials:");
            for failure in failures {
                session.printer.error_line(&failure);
            }
        }
        Ok(0)
    })
}
