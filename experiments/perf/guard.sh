#!/usr/bin/env bash
# Counts the instructions a packet of the hot paths by callgrind, which gives the same number whatever else the machine
# does, and fails where one takes more than 3% more than the baseline beside this script says.
#
#   guard.sh            compare with baseline.csv
#   guard.sh --update   write baseline.csv
set -euo pipefail
cd "$(dirname "$0")/../.."

baseline=experiments/perf/baseline.csv
limit_percent=3
legonf=${CARGO_TARGET_DIR:-target}/release/legonf
capture=examples/testbed/capture.pcap.zst

for program in valgrind zstd; do
    command -v $program >/dev/null || {
        echo "guard.sh: $program is not installed" >&2
        exit 1
    }
done
cargo build --release --locked --quiet --package legonf
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
zstd -dqo "$work/capture.pcap" "$capture"
capture=$work/capture.pcap

# Instructions of one command.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$legonf" "$@" 2>&1 >/dev/null |
        sed -n 's/.*Collected : //p'
}

# per_packet NAME FEWER MORE ARGUMENTS...: what a packet more costs; COUNT in the arguments stands for the packets.
per_packet() {
    local name=$1 fewer=$2 more=$3 low high
    shift 3
    low=$(count "${@//COUNT/$fewer}")
    high=$(count "${@//COUNT/$more}")
    printf '%s,%d\n' "$name" $(((high - low) / (more - fewer)))
}

"$legonf" train kitsune "$capture" --quiet --schema kitsune-115 --feature-mapping-packets 1000 --training-packets 2000 -o "$work/115.onnx"
{
    echo 'path,instructions_per_packet'
    for schema in kitsune-115 kitsune-py-100; do
        per_packet "features $schema" 5000 10000 features "$capture" --quiet --workers monolithic --schema "$schema" \
            --limit COUNT --force -o "$work/f.npy"
    done
    per_packet 'train kitsune-115' 4000 8000 train kitsune "$capture" --quiet --schema kitsune-115 --workers monolithic \
        --feature-mapping-packets 1000 --training-packets COUNT --force -o "$work/trained.onnx"
    per_packet 'replay kitsune-115' 5000 10000 replay "$capture" --quiet --workers monolithic --model "$work/115.onnx" \
        --limit COUNT
} >"$work/now.csv"

if [ "${1-}" = --update ]; then
    cp "$work/now.csv" "$baseline"
    cat "$baseline"
    exit
fi
awk -F, -v limit=$limit_percent '
    FNR == 1 { next }
    NR == FNR { before[$1] = $2; next }
    {
        change = before[$1] ? ($2 / before[$1] - 1) * 100 : 0
        verdict = !($1 in before) ? "not in the baseline" : change > limit ? "WORSE" : "ok"
        failed += verdict != "ok"
        printf "%-36s %8d, baseline %8d, %+6.2f%%  %s\n", $1, $2, before[$1], change, verdict
    }
    END { exit failed > 0 }
' "$baseline" "$work/now.csv"
