#![no_main]

libfuzzer_sys::fuzz_target!(init: legonf_fuzz::seeds::write("pcap"), |data: &[u8]| legonf_fuzz::pcap(data));
