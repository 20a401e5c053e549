#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    rc_kexec_fuzz::kernel_command_line(data);
});
