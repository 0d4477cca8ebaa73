//! Values of arguments.

/// What is no number above 0.
#[derive(Debug, thiserror::Error)]
#[error("expected a number above 0")]
pub struct NotPositive;

/// A number above 0.
pub fn positive(text: &str) -> Result<f64, NotPositive> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0).ok_or(NotPositive)
}
