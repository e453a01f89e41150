#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| se_fuzz::zip(bytes));
