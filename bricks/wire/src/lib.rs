//! One-pass, zero-copy packet header parsing.
