#!/usr/bin/env bash
# Kitsune on the capture that ships with legonf: the first ten minutes of a home network's traffic train it, the next
# five set the threshold, then each of the 184,208 packets gets a score and a verdict; a telnet scan begins at second
# 912 and a UDP flood at second 1,104. Sets the machine up first.
#
#   ./demo.sh [DIR]   results go into DIR (out/demo)
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh

out=${1:-out/demo}
capture=examples/testbed/capture.pcap.zst
model=$out/kitsune.onnx

cargo build --release --locked --package legonf
legonf=${CARGO_TARGET_DIR:-target}/release/legonf

mkdir -p "$out"
"$legonf" train kitsune "$capture" -o "$model" --force
"$legonf" calibrate "$model" "$capture" --skip 86265 --limit 130160
"$legonf" replay "$capture" --model "$model" --labels examples/testbed/labels.csv.gz --out "$out" --force
echo "to look at it in a browser, second by second: $legonf serve --open $out"
