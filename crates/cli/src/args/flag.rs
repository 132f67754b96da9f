//! What a flag is: its names, the kind of its value, its help.

use super::values::Values;
use crate::container_options::{limits, units};

/// The kind of a flag's value: how it is checked while parsing, how it is
/// called in the help, and whether it may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Text,
    Int,
    Uint,
    Uint16,
    /// A size such as `64m`.
    Bytes,
    /// A size or -1.
    SwapBytes,
    /// A number of CPUs.
    Decimal,
    Duration,
    List,
    /// A list split at commas.
    Strings,
    /// `key=value` pairs.
    Map,
    /// `key=value` pairs, several of them separated by commas.
    Pairs,
    Filter,
    Mount,
    Network,
    Ulimit,
    Gpus,
    /// stdin, stdout or stderr.
    Streams,
    /// A kernel parameter of a namespace.
    Sysctl,
    /// `key=value` or `key`, refused when empty.
    Env,
    /// The same, for labels.
    Label,
    /// `name:ip`, of a host.
    ExtraHost,
    /// The address of a host.
    Address,
    /// `/dev/path:weight`.
    DeviceWeight,
    /// `/dev/path:bytes`, per second.
    DeviceBytes,
    /// `/dev/path:operations`, per second.
    DeviceOperations,
}

/// One flag.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    pub(crate) default: &'static str,
    pub(crate) hidden: bool,
    pub(crate) values: Values,
}

/// A flag without short name and default.
pub(crate) const fn flag(long: &'static str, kind: Kind, help: &'static str) -> Flag {
    Flag {
        long,
        short: None,
        kind,
        help,
        default: "",
        hidden: false,
        values: Values::Any,
    }
}

impl Flag {
    pub(crate) const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    pub(crate) const fn default(mut self, value: &'static str) -> Self {
        self.default = value;
        self
    }

    /// What completion offers for its value.
    pub(crate) const fn values(mut self, values: Values) -> Self {
        self.values = values;
        self
    }

    pub(crate) const fn shown(mut self) -> Self {
        self.hidden = false;
        self
    }

    pub(crate) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// `-m, --memory`, as messages name it.
    pub(crate) fn names(&self) -> String {
        match self.short {
            Some(short) => format!("-{short}, --{}", self.long),
            None => format!("--{}", self.long),
        }
    }
}

impl Kind {
    /// How the help calls the value.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bool => "",
            Self::Text => "string",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Uint16 => "uint16",
            Self::Bytes | Self::SwapBytes => "bytes",
            Self::Decimal => "decimal",
            Self::Duration => "duration",
            Self::List
            | Self::Streams
            | Self::Env
            | Self::Label
            | Self::ExtraHost
            | Self::Address
            | Self::DeviceWeight
            | Self::DeviceBytes
            | Self::DeviceOperations => "list",
            Self::Strings => "strings",
            Self::Map | Self::Sysctl => "map",
            Self::Pairs => "stringToString",
            Self::Filter => "filter",
            Self::Mount => "mount",
            Self::Network => "network",
            Self::Ulimit => "ulimit",
            Self::Gpus => "gpu-request",
        }
    }

    /// Checks one value, in the words of Docker's own parsers.
    pub(crate) fn check(self, value: &str) -> Result<(), String> {
        match self {
            Self::Bool => parse_bool(value)
                .map(drop)
                .ok_or_else(|| format!("strconv.ParseBool: parsing {value:?}: invalid syntax")),
            Self::Int => value
                .parse::<i64>()
                .map(drop)
                .map_err(|_| format!("strconv.ParseInt: parsing {value:?}: invalid syntax")),
            Self::Uint => value
                .parse::<u64>()
                .map(drop)
                .map_err(|_| format!("strconv.ParseUint: parsing {value:?}: invalid syntax")),
            Self::Uint16 => match value.parse::<u64>() {
                Ok(number) if number <= u64::from(u16::MAX) => Ok(()),
                Ok(_) => Err(format!(
                    "strconv.ParseUint: parsing {value:?}: value out of range"
                )),
                Err(_) => Err(format!(
                    "strconv.ParseUint: parsing {value:?}: invalid syntax"
                )),
            },
            Self::Bytes => units::parse_size(value).map(drop),
            Self::SwapBytes if value == "-1" => Ok(()),
            Self::SwapBytes => units::parse_size(value).map(drop),
            Self::Decimal => units::parse_cpus(value).map(drop),
            Self::Duration => units::parse_duration(value).map(drop),
            Self::Map | Self::Filter if value.is_empty() => Ok(()),
            Self::Filter => match value.contains('=') {
                true => Ok(()),
                false => Err("bad format of filter (expected name=value)".to_owned()),
            },
            Self::Streams => match value.to_lowercase().as_str() {
                "stdin" | "stdout" | "stderr" => Ok(()),
                _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
            },
            Self::Env => match value.split('=').next() {
                Some("") | None => Err(format!("invalid environment variable: {value}")),
                Some(_) => Ok(()),
            },
            Self::Label => match value.split('=').next() {
                Some("") | None => Err(format!("invalid label '{value}': empty name")),
                Some(_) => Ok(()),
            },
            Self::ExtraHost => crate::container_options::extra_host(value).map(drop),
            Self::Address => match value.parse::<std::net::IpAddr>() {
                Ok(_) => Ok(()),
                Err(_) => Err(format!("IP address is not correctly formatted: {value}")),
            },
            Self::Sysctl => limits::sysctl(value),
            Self::DeviceWeight => limits::weight(value).map(drop),
            Self::DeviceBytes => limits::throttle(value, true).map(drop),
            Self::DeviceOperations => limits::throttle(value, false).map(drop),
            Self::Mount => crate::container_options::mount::parse(value).map(drop),
            Self::Ulimit => limits::ulimit(value).map(drop),
            Self::Gpus => crate::container_options::devices::gpus(value).map(drop),
            Self::Pairs => match value.split(',').all(|pair| pair.contains('=')) {
                true => Ok(()),
                false => Err(format!("{value} must be formatted as key=value")),
            },
            Self::Text | Self::List | Self::Strings | Self::Map | Self::Network => Ok(()),
        }
    }
}

/// Go's `strconv.ParseBool`.
pub(crate) fn parse_bool(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
