//! The `legonf` command.
fn main() {}
