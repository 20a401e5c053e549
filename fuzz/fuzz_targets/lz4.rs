#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    rc_kexec_fuzz::lz4(data);
});
