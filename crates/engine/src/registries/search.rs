//! What can be found in a registry.

use gantry_api::{Filters, SearchResult};
use gantry_registry::{Cancel, Credentials};

use super::Registries;
use crate::error::{Error, Result};

/// How many results there are when nobody says.
const DEFAULT_LIMIT: i64 = 25;
const MOST: i64 = 100;
const KNOWN: [&str; 3] = ["is-automated", "is-official", "stars"];

impl Registries {
    /// The repositories of a registry that fit a term.
    ///
    /// # Errors
    /// When the limit or a filter is wrong, or the registry cannot be asked.
    pub fn search(
        &self,
        term: &str,
        limit: i64,
        filters: &Filters,
        credentials: &Credentials,
    ) -> Result<Vec<SearchResult>> {
        let wanted = Wanted::of(filters)?;
        if wanted.nothing {
            return Ok(Vec::new());
        }
        if term.contains("://") {
            return Err(Error::Invalid(format!(
                "invalid repository name: repository name ({term}) should not have a scheme"
            )));
        }
        let limit = if limit == 0 { DEFAULT_LIMIT } else { limit };
        let count = u32::try_from(limit).ok().filter(|_| limit <= MOST);
        let count = count.ok_or_else(|| {
            Error::Invalid(format!("limit {limit} is outside the range of [1, {MOST}]"))
        })?;
        let found = self
            .client
            .search(term, count, credentials, &Cancel::new())?
            .into_iter()
            .map(|found| SearchResult {
                star_count: found.star_count,
                is_official: found.is_official,
                name: found.name,
                is_automated: false,
                description: found.description,
            });
        Ok(found.filter(|result| wanted.has(result)).collect())
    }
}

/// What the filters ask for.
struct Wanted {
    /// Nothing is automated any more.
    nothing: bool,
    official: Option<bool>,
    stars: i64,
}

impl Wanted {
    fn of(filters: &Filters) -> Result<Self> {
        let invalid = |error: gantry_api::FilterError| Error::Invalid(error.to_string());
        filters.validate(&KNOWN).map_err(invalid)?;
        let mut stars = 0;
        let nothing = filters.boolean("is-automated", false).map_err(invalid)?;
        let official = filters.boolean("is-official", false).map_err(invalid)?;
        for text in filters.get("stars") {
            let least: i64 = text.parse().map_err(|_| {
                Error::Invalid(format!(
                    "invalid filter 'stars={text}': strconv.Atoi: parsing {text:?}: invalid syntax"
                ))
            })?;
            stars = stars.max(least);
        }
        Ok(Self {
            nothing,
            official: filters.contains("is-official").then_some(official),
            stars,
        })
    }

    fn has(&self, result: &SearchResult) -> bool {
        self.official
            .is_none_or(|official| official == result.is_official)
            && result.star_count >= self.stars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(star_count: i64, is_official: bool) -> SearchResult {
        SearchResult {
            star_count,
            is_official,
            ..SearchResult::default()
        }
    }

    #[test]
    fn filters_choose() {
        let wanted = |text: &str| Wanted::of(&Filters::parse(text).unwrap());
        let all = wanted("").unwrap();
        assert!(all.has(&result(0, false)) && all.has(&result(9, true)));
        let stars = wanted(r#"{"stars":["3","5"]}"#).unwrap();
        assert!(stars.has(&result(5, false)) && !stars.has(&result(4, true)));
        let official = wanted(r#"{"is-official":["true"]}"#).unwrap();
        assert!(official.has(&result(0, true)) && !official.has(&result(9, false)));
        let other = wanted(r#"{"is-official":["false"]}"#).unwrap();
        assert!(!other.has(&result(0, true)) && other.has(&result(0, false)));
        assert!(wanted(r#"{"is-automated":["true"]}"#).unwrap().nothing);
    }

    #[test]
    fn wrong_filters_are_named_in_dockers_words() {
        for (text, error) in [
            (r#"{"foo":["1"]}"#, "invalid filter 'foo'"),
            (
                r#"{"stars":["x"]}"#,
                "invalid filter 'stars=x': strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            (
                r#"{"is-official":["x"]}"#,
                "invalid filter 'is-official=[x]'",
            ),
        ] {
            let found = Wanted::of(&Filters::parse(text).unwrap()).err().unwrap();
            assert_eq!(found.to_string(), error);
        }
    }
}
