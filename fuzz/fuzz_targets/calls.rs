#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("calls"), |data: &[u8]| legonf_fuzz::calls::calls(data));
