#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("groups"), |data: &[u8]| legonf_fuzz::groups(data));
