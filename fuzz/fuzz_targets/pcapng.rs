#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("pcapng"), |data: &[u8]| legonf_fuzz::pcapng(data));
