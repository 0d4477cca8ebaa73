//! The one place that knows every brick by name.
