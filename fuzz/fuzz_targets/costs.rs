#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("costs"), |data: &[u8]| legonf_fuzz::costs(data));
