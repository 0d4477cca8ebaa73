//! The crate's errors.

use crate::ip_filter::Unread;
use std::borrow::Cow;

/// Why a brick cannot be configured so.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NfError {
    /// There is no such action.
    #[error("{label} = \"{action}\": expected drop, forward, forward:PORT or mirror:PORT")]
    Action {
        /// The verdict.
        label: String,
        /// What was found.
        action: String,
    },
    /// The graph has no such port.
    #[error("{label} = \"{action}\": the graph has no port `{port}`; add it to its ports = [{known}]")]
    Port {
        /// The verdict.
        label: String,
        /// What was found.
        action: String,
        /// The port.
        port: String,
        /// Those there are, in quotes.
        known: String,
    },
    /// A copy would leave by the port that the packet leaves by.
    #[error(
        "{label} = \"{action}\": packets leave by the first port themselves; name another one for their copies"
    )]
    Copy {
        /// The verdict.
        label: String,
        /// What was found.
        action: String,
    },
    /// A number is not in its range.
    #[error("{key} = {value}: expected a number from 0 to {most}")]
    Range {
        /// The key of the configuration.
        key: Cow<'static, str>,
        /// What it was set to.
        value: u16,
        /// The largest value.
        most: u16,
    },
    /// Nothing says which code point packets get.
    #[error(
        "expected dscp = CODE POINT for all packets, or values = {{ LABEL = CODE POINT }} by their verdicts"
    )]
    Marking,
    /// A column is named of which nothing is said.
    #[error("by = \"{0}\": expected values = {{ LABEL = CODE POINT }} beside it")]
    By(String),
    /// A limit is on nothing, or on two things.
    #[error("limits.{0}: expected either bytes_per_second or packets_per_second")]
    Limit(String),
    /// A tag is neither pushed nor popped, or both.
    #[error("expected either push = VID or pop = true")]
    Tag,
    /// A list is too long.
    #[error("{key} has {found} entries: expected at most {most}")]
    Many {
        /// The key.
        key: &'static str,
        /// Its entries.
        found: usize,
        /// The most.
        most: usize,
    },
    /// An earlier rule decides on all that a rule matches.
    #[error("rule {rule} never decides: rule {earlier} matches all that it does; remove it or put it first")]
    Shadowed {
        /// The rule, from 1 on.
        rule: usize,
        /// The earlier one.
        earlier: usize,
    },
    /// Nothing can match a rule.
    #[error("rule {rule} never decides: {why}")]
    Never {
        /// The rule, from 1 on.
        rule: usize,
        /// Why.
        why: &'static str,
    },
    /// A rule has a set of nothing.
    #[error("rule {rule}: {key} is empty, so that it matches nothing; leave it out to match all")]
    Empty {
        /// The rule, from 1 on.
        rule: usize,
        /// The key.
        key: &'static str,
    },
    /// An element of a rule's set cannot be read.
    #[error("rule {rule}: {key}: \"{found}\": {why}")]
    Element {
        /// The rule, from 1 on.
        rule: usize,
        /// The key.
        key: &'static str,
        /// The element.
        found: String,
        /// Why.
        why: Unread,
    },
    /// A rule's regular expression cannot be used.
    #[error("rule {rule}: pattern: \"{found}\": {why}")]
    Pattern {
        /// The rule, from 1 on.
        rule: usize,
        /// The expression.
        found: String,
        /// Why.
        why: String,
    },
    /// A function of a fast path refuses its configuration.
    #[error("function {function}: {error}")]
    Function {
        /// The function, from 1 on.
        function: usize,
        /// Why.
        error: Box<NfError>,
    },
    /// Functions divide flows into slots by different hashes.
    #[error("seed = {1}, and a function before it {0}: flows must be in the same slots in all functions")]
    Seeds(u64, u64),
    /// Functions of a fast path look at two columns of verdicts.
    #[error(
        "verdicts = \"{1}\", and a function before it `{0}`: a fast path looks at one column of verdicts"
    )]
    Verdicts(String, String),
    /// A key has a value that cannot be read.
    #[error("{key} = \"{found}\": {why}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        why: Cow<'static, str>,
    },
    /// A list that must have an entry has none.
    #[error("{key} is empty: expected {expected}")]
    Nothing {
        /// The key.
        key: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// A number is not in its range.
    #[error("{key} = {value}: expected a number from {least} to {most}")]
    Number {
        /// The key.
        key: &'static str,
        /// What it was set to.
        value: f64,
        /// The smallest value.
        least: f64,
        /// The largest value.
        most: f64,
    },
    /// A tag that is popped is given a priority.
    #[error("priority = {0}: a tag that is popped has its own; expected it beside push = VID")]
    Priority(u16),
}

impl NfError {
    /// A number of seconds in nanoseconds.
    ///
    /// # Errors
    /// If it is less than a thousandth, not a number, or more than a year.
    pub(crate) fn nanos(key: &'static str, seconds: f64) -> Result<i64, Self> {
        Self::within(key, seconds, 0.001, 31_536_000.0)?;
        Ok((seconds * 1e9).round() as i64)
    }

    /// Checks that a number is in its range.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn within(key: &'static str, value: f64, least: f64, most: f64) -> Result<(), Self> {
        if (least..=most).contains(&value) { Ok(()) } else { Err(Self::Number { key, value, least, most }) }
    }

    /// Checks that the number of a key is not above the greatest one that it may have.
    ///
    /// # Errors
    /// [`Range`](Self::Range) if it is.
    pub(crate) fn check(key: impl Into<Cow<'static, str>>, value: u16, most: u16) -> Result<(), Self> {
        if value <= most { Ok(()) } else { Err(Self::Range { key: key.into(), value, most }) }
    }
}
