#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("standby"), |data: &[u8]| legonf_fuzz::standby::standby(data));
