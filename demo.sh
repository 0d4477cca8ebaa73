#!/usr/bin/env bash
# Kitsune on the capture that ships with legonf: trains on the first benign packets, sets the threshold on the
# benign packets after them, then gives each of the 3,500 packets a score and a verdict. Sets the machine up first.
#
#   ./demo.sh [DIR]   results go into DIR (out/demo)
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh

out=${1:-out/demo}
capture=examples/synth-mini/synth-mini.pcap.gz
model=$out/kitsune.onnx

cargo build --release --locked --quiet --package legonf
legonf=${CARGO_TARGET_DIR:-target}/release/legonf

mkdir -p "$out"
"$legonf" train kitsune "$capture" --output "$model" --feature-mapping-packets 500 --training-packets 1500
"$legonf" calibrate "$model" "$capture" --skip 2001 --limit 999
"$legonf" replay "$capture" --model "$model" --labels examples/synth-mini/labels.csv --out "$out" --force
