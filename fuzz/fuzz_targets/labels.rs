#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("labels"), |data: &[u8]| legonf_fuzz::labels(data));
