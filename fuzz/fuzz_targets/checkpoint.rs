#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("checkpoint"), |data: &[u8]| legonf_fuzz::checkpoint(data));
