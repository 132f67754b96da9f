//! Which version of the API a request speaks, and the headers of every answer.

use gantry_api::ApiVersion;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::error::{Failure, Result};

/// Of the engine, in the `Server` header.
pub(crate) const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Takes the version off the front of a path; without one it is the newest.
///
/// # Errors
/// When the version is older or newer than this engine speaks.
pub(crate) fn version_of(path: &str) -> Result<(ApiVersion, &str)> {
    let Some((version, rest)) = split(path) else {
        return Ok((ApiVersion::MAX, path));
    };
    let numbers = numbers_of(version);
    let limit = |version: ApiVersion| vec![version.major.into(), version.minor.into()];
    if numbers < limit(ApiVersion::MIN) {
        // So old that errors were no JSON yet.
        return Err(Failure::plain(
            StatusCode::BAD_REQUEST,
            format!(
                "client version {version} is too old. Minimum supported API version is {}, \
                 please upgrade your client to a newer version",
                ApiVersion::MIN
            ),
        ));
    }
    if numbers > limit(ApiVersion::MAX) {
        return Err(Failure::invalid(format!(
            "client version {version} is too new. Maximum supported API version is {}",
            ApiVersion::MAX
        )));
    }
    // Between the two there are no others.
    let minor = numbers.get(1).and_then(|minor| u16::try_from(*minor).ok());
    Ok((ApiVersion::new(1, minor.unwrap_or(0)), rest))
}

/// The version of a path, and what follows it.
fn split(path: &str) -> Option<(&str, &str)> {
    let tail = path.strip_prefix("/v")?;
    let end = tail.find('/').unwrap_or(tail.len());
    let (version, rest) = tail.split_at(end);
    let digits = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (digits && !version.is_empty()).then_some((version, rest))
}

/// The numbers of a version, as many as there are; what is none counts as 0.
fn numbers_of(version: &str) -> Vec<u64> {
    let number = |part: &str| part.parse().unwrap_or(0);
    version.split('.').map(number).collect()
}

/// Adds what every answer carries.
pub(crate) fn add_headers(headers: &mut HeaderMap, experimental: bool) {
    const API_VERSION: HeaderName = HeaderName::from_static("api-version");
    const EXPERIMENTAL: HeaderName = HeaderName::from_static("docker-experimental");
    const OS: HeaderName = HeaderName::from_static("ostype");
    let text = |text: String| HeaderValue::try_from(text).ok();
    headers.extend(text(ApiVersion::MAX.to_string()).map(|value| (API_VERSION, value)));
    headers.insert(
        EXPERIMENTAL,
        HeaderValue::from_static(if experimental { "true" } else { "false" }),
    );
    headers.insert(OS, HeaderValue::from_static("linux"));
    let server = text(format!("Gantry/{ENGINE_VERSION} (linux)"));
    headers.extend(server.map(|value| (http::header::SERVER, value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_taken_off() {
        let of = |path: &'static str| version_of(path).unwrap();
        assert_eq!(of("/v1.24/info"), (ApiVersion::MIN, "/info"));
        assert_eq!(of("/v1.51/a/b"), (ApiVersion::MAX, "/a/b"));
        assert_eq!(of("/info"), (ApiVersion::MAX, "/info"));
        assert_eq!(of("/version"), (ApiVersion::MAX, "/version"));
        assert_eq!(of("/vx/info"), (ApiVersion::MAX, "/vx/info"));
        assert_eq!(of("/v1.30"), (ApiVersion::new(1, 30), ""));
    }

    #[test]
    fn the_range_is_named_in_dockers_words() {
        let message = |path| version_of(path).unwrap_err().message;
        assert_eq!(
            message("/v1.23/info"),
            "client version 1.23 is too old. Minimum supported API version is 1.24, \
             please upgrade your client to a newer version"
        );
        assert_eq!(
            message("/v1.99/info"),
            "client version 1.99 is too new. Maximum supported API version is 1.51"
        );
        for (path, too) in [("/v1/x", "old"), ("/v1.51.1/x", "new"), ("/v2.0/x", "new")] {
            assert!(message(path).contains(too), "{path}");
        }
    }
}
