#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("compressed"), |data: &[u8]| legonf_fuzz::compressed(data));
