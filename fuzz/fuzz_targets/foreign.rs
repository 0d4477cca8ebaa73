#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("foreign"), |data: &[u8]| legonf_fuzz::foreign(data));
