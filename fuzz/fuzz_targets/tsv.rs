#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("tsv"), |data: &[u8]| legonf_fuzz::tsv(data));
