#!/bin/sh
# sizes.sh FILE KIB...: prints each size, and fails when one is over its limit.
set -eu
status=0
while [ $# -gt 1 ]; do
    size=$(($(wc -c <"$1")))
    verdict=ok
    [ "$size" -le $(($2 * 1024)) ] || { verdict="TOO LARGE"; status=1; }
    printf '%-22s %7d bytes, %d of %d KiB: %s\n' "${1##*/}" "$size" $(((size + 1023) / 1024)) "$2" "$verdict"
    shift 2
done
exit $status
