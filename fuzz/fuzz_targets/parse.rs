#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("parse"), |data: &[u8]| legonf_fuzz::parse(data));
