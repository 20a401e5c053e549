#!/bin/sh
# costs.sh FILE: an unstripped build by crate: bytes of code and constants.
set -eu
nm -S -C --defined-only "$1" | awk '
    function hex(text,    i, value) {
        value = 0
        for (i = 1; i <= length(text); i++) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
        return value
    }
    $3 ~ /^[tTrRwWvV]$/ && NF >= 4 {
        name = $0
        sub(/^[^ ]+ [^ ]+ [^ ]+ /, "", name)
        crate = "musl (C library, start)"
        # The own part of a decoder or a format has a line beside its crate.
        if (match(name, /rc_kexec::image::(pe|elf)|rc_kexec::image::decode::(gzip|xz|lz4|zstd)|rc_kexec::load::kernel/)) {
            crate = substr(name, RSTART, RLENGTH)
        } else if (match(name, /(rc_kexec|argh|goblin|heapless|lz4_flex|lzma_rust2|miniz_oxide|nix|plain|scroll)::/)) {
            crate = substr(name, RSTART, RLENGTH - 2)
        } else if (name == "main") crate = "rc_kexec"
        else if (name ~ /^OUTLINED_FUNCTION/) crate = "outlined, of all"
        else if (name ~ /(std|core|alloc|memchr|panic_abort)(::|>)/ || name ~ /^<(str|\[|char|u8|u32|u64|usize|&)/) crate = "std, core, alloc"
        if (seen[$1 crate]++) next
        bytes[crate] += hex($2)
    }
    END { for (crate in bytes) printf "%8d  %s\n", bytes[crate], crate }' | sort -rn
