#!/bin/sh
# Makes several of make's targets at the same time: together.sh MAKE FOLDER TARGET...
#
# For targets that keep less than the machine's processors busy, and do not write to the same
# places. The words of the first are seen as they come; those of each other are in FOLDER, and
# are printed when the first has ended.
set -eu
make=$1 folder=$2 first=$3
shift 3
mkdir -p "$folder"

started=''
for target; do
    "$make" --no-print-directory "$target" >"$folder/$target.log" 2>&1 &
    started="$started $target:$!"
done
status=0
"$make" --no-print-directory "$first" || status=$?
for one in $started; do
    wait "${one#*:}" || status=$?
    cat "$folder/${one%:*}.log"
done
exit $status
