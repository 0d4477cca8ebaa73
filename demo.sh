#!/usr/bin/env bash
# Kitsune on the capture that ships with legonf: the first 109 seconds of a home network's traffic train it, the next
# set the threshold, then each of the 82,036 packets gets a score and a verdict; a telnet scan and a UDP flood begin
# at second 228. Sets the machine up first.
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
"$legonf" train kitsune "$capture" --training-packets 20000 --output "$model" --force
"$legonf" calibrate "$model" "$capture" --skip 25001 --limit 40000
"$legonf" replay "$capture" --no-warm-up --model "$model" --labels examples/testbed/labels.csv.gz --out "$out" --force
