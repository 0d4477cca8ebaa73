//! Packets parsed per second.
fn main() {}
