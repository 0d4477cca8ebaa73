#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("join"), |data: &[u8]| legonf_fuzz::join::join(data));
