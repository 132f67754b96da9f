//! Which builds of the history are wanted: containerd's filters, and times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_api::Timestamp;

use super::Record;
use crate::selector::Filter;
use crate::status::Status;

/// A filter: all parts must fit.
pub(super) struct HistoryFilter {
    times: Vec<Time>,
    others: Filter,
}

/// A bound of a time or of a duration.
struct Time {
    key: &'static str,
    operator: &'static str,
    /// Seconds since 1970, or nanoseconds of a duration.
    bound: i128,
}

impl HistoryFilter {
    /// # Errors
    /// `InvalidArgument` for what is none.
    pub(super) fn parse(text: &str) -> Result<Self, Status> {
        let (mut times, mut others) = (Vec::new(), Vec::new());
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match Time::parse(part)? {
                Some(time) => times.push(time),
                None => others.push(part),
            }
        }
        let others = Filter::parse(&others.join(","))?;
        Ok(Self { times, others })
    }

    pub(super) fn fits(&self, record: &Record) -> bool {
        let field = |name: &str| match name {
            "ref" => Some(record.id.clone()),
            "status" => Some(status(record).to_owned()),
            "repository" => {
                let source = record.options.get("vcs:source");
                source.or_else(|| record.options.get("context")).cloned()
            }
            _ => None,
        };
        self.times.iter().all(|time| time.fits(record)) && self.others.fits(&field)
    }
}

fn status(record: &Record) -> &'static str {
    match (&record.completed, &record.outcome) {
        (None, _) => "running",
        (_, Ok(_)) => "completed",
        (_, Err(status)) if status.text.contains("context canceled") => "canceled",
        _ => "error",
    }
}

fn seconds(time: SystemTime) -> i128 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::from(since.as_secs())
}

impl Time {
    fn parse(text: &str) -> Result<Option<Self>, Status> {
        let operators = [">=", "<=", ">", "<"].into_iter();
        let mut parts = operators.filter_map(|operator| {
            let (key, value) = text.split_once(operator)?;
            Some((key, operator, value))
        });
        let Some((key, operator, value)) = parts.next() else {
            return Ok(None);
        };
        let keys = ["startedAt", "completedAt", "duration"].into_iter();
        let Some(key) = keys.into_iter().find(|known| *known == key) else {
            return Ok(None);
        };
        let duration = gantry_types::units::parse_duration(value).ok();
        let bound = match (key, duration) {
            ("duration", Some(duration)) => i128::from(duration),
            ("duration", None) => {
                return Err(Status::invalid(format!("invalid duration {value}")));
            }
            (_, Some(ago)) => {
                let ago = Duration::from_nanos(ago.unsigned_abs());
                seconds(SystemTime::now() - ago)
            }
            (_, None) => {
                let time = Timestamp::parse("time", value, 0);
                let time = time.map_err(|_| Status::invalid(format!("invalid time {value}")))?;
                i128::from(time.nanos) / 1_000_000_000
            }
        };
        Ok(Some(Self {
            key,
            operator,
            bound,
        }))
    }

    fn fits(&self, record: &Record) -> bool {
        let found = match self.key {
            "startedAt" => seconds(record.created),
            "completedAt" => record.completed.map_or(0, seconds),
            _ => {
                let lasted = record
                    .completed
                    .and_then(|end| end.duration_since(record.created).ok());
                lasted.map_or(0, |lasted| {
                    i128::try_from(lasted.as_nanos()).unwrap_or(i128::MAX)
                })
            }
        };
        match self.operator {
            ">=" => found >= self.bound,
            "<=" => found <= self.bound,
            ">" => found > self.bound,
            _ => found < self.bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_found_by_what_became_of_them() {
        let record = Record {
            id: "a".to_owned(),
            options: [("vcs:source".to_owned(), "https://h/r".to_owned())].into(),
            exporters: Vec::new(),
            created: UNIX_EPOCH + Duration::from_secs(1000),
            completed: Some(UNIX_EPOCH + Duration::from_secs(1060)),
            outcome: Err(Status::unknown("no")),
            known: Vec::new(),
            count: crate::progress::Count::default(),
            told: None,
            pinned: false,
        };
        let fits = |text: &str| HistoryFilter::parse(text).unwrap().fits(&record);
        for text in [
            "status==error",
            "ref==a,duration>=1m",
            "startedAt<1h",
            "completedAt<=1970-01-01T00:17:40Z",
            "repository~=/r$/",
        ] {
            assert!(fits(text), "{text}");
        }
        for text in ["status==running", "duration>1m", "startedAt>1h", "nosuch"] {
            assert!(!fits(text), "{text}");
        }
        for wrong in ["duration>x", "startedAt>x", "status=x"] {
            assert!(HistoryFilter::parse(wrong).is_err(), "{wrong}");
        }
    }
}
