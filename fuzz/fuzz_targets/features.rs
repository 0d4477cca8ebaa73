#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("features"), |data: &[u8]| legonf_fuzz::features(data));
