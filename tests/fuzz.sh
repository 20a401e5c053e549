#!/bin/sh
# Fuzzes every target of fuzz/: fuzz.sh FOLDER SECONDS [TARGET...]
#
# Each runs for so many seconds, two at a time, on what is in fuzz/seeds and what earlier
# runs kept in FOLDER/corpus. An input that fails, takes over a second or over 128 MiB is
# kept in FOLDER/failed, and named. Built by the stable compiler, with libFuzzer.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$1 seconds=$2
shift 2
host=$(rustc -vV | sed -n 's/^host: //p')
# As cargo-fuzz has them, for libFuzzer to see what is reached and compared.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing" \
    cargo build --quiet --locked --release --manifest-path "$here/fuzz/Cargo.toml" --bins \
    --target "$host" --target-dir "$folder/build"
program=$folder/build/$host/release/rc-kexec-fuzz
mkdir -p "$folder/corpus" "$folder/failed" "$folder/log"

# run TARGET: libFuzzer's own words go to a log. A second is over sooner on a machine that
# does other things, too: what took one is tried again alone, and if it was nothing, the
# target goes on for the time that is left.
run() {
    export RC_KEXEC_FUZZ_TARGET="$1"
    mkdir -p "$folder/corpus/$1" "$folder/failed/$1"
    failed=$folder/failed/$1/
    end=$(($(date +%s) + seconds)) left=$seconds
    : >"$folder/log/$1"
    while [ "$left" -gt 0 ]; do
        "$program" -max_total_time="$left" -timeout=1 -rss_limit_mb=128 -max_len=16384 -print_final_stats=1 \
            -artifact_prefix="$failed" "$folder/corpus/$1" "$here/fuzz/seeds/$1" >>"$folder/log/$1" 2>&1 && return
        file=$(find "$failed" -name 'timeout-*' | head -n 1)
        if [ -z "$file" ] || ! "$program" -timeout=1 -artifact_prefix="$failed" "$file" >>"$folder/log/$1" 2>&1; then
            : >"$folder/log/$1.failed"
            return
        fi
        rm -f "$file"
        left=$((end - $(date +%s)))
    done
}

rm -f "$folder"/log/*.failed
unset RC_KEXEC_FUZZ_TARGET
if ! targets=${*:-$("$program" 2>"$folder/log/list")} || [ -z "$targets" ]; then
    echo "fuzz: $program lists no targets; its words: $folder/log/list" >&2
    exit 1
fi
# shellcheck disable=SC2086 # a list of words
set -- $targets
while [ $# -gt 0 ]; do
    run "$1" &
    [ $# -lt 2 ] || { run "$2" & shift; }
    shift
    wait
done

# shellcheck disable=SC2086 # a list of words
awk -v now="$folder/log/" '
function stat(name) { return value[name] + 0 }
BEGIN {
    printf "%-14s %13s %10s %8s %8s\n", "target", "executions", "a second", "inputs", "MiB"
    for (i = 1; i < ARGC; i++) {
        delete value
        while ((getline line < (now ARGV[i])) > 0) {
            if (line ~ /^stat::/ && split(line, part, / +/) == 2) {
                if (line ~ /executed/) part[2] += value[part[1]]
                value[part[1]] = part[2]
            }
            if (line ~ / corp: /) { sub(/.* corp: /, "", line); split(line, part, "/"); value["corpus"] = part[1] }
        }
        runs = stat("stat::number_of_executed_units:"); sum += runs
        printf "%-14s %13d %10d %8d %8d\n", ARGV[i], runs, stat("stat::average_exec_per_sec:"), stat("corpus"), stat("stat::peak_rss_mb:")
    }
    printf "%-14s %13d\n", "all", sum
}' $targets

failed=0
for target in $targets; do
    [ -e "$folder/log/$target.failed" ] || continue
    failed=1
    grep -E -m 3 'panicked at|ERROR|SUMMARY' "$folder/log/$target" >&2 || :
    echo "fuzz: $target failed: $(find "$folder/failed/$target" -type f | tail -n 1); its words: $folder/log/$target" >&2
done
exit $failed
