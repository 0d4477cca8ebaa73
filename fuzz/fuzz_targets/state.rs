#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("state"), |data: &[u8]| legonf_fuzz::state(data));
