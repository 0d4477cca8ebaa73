#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("policy"), |data: &[u8]| legonf_fuzz::policy(data));
