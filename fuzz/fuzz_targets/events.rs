#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("events"), |data: &[u8]| legonf_fuzz::events(data));
