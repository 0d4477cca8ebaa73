#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("graph"), |data: &[u8]| legonf_fuzz::graph(data));
