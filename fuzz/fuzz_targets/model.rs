#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("model"), |data: &[u8]| legonf_fuzz::model(data));
