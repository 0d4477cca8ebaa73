#!/usr/bin/env bash
# Runs the tests, after setting the machine up. Arguments go to `cargo test`:
#
#   ./test.sh                          all tests
#   ./test.sh -p legonf-extract        those of one crate
#   ./test.sh -- --include-ignored     the long ones too
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh

# Release, so that tests and ./demo.sh share one build and golden captures run at full speed.
scope=(--workspace)
for argument in "$@"; do
    case "$argument" in
        --) break ;;
        -p* | --package*) scope=() ;;
    esac
done
exec cargo test --release --locked "${scope[@]}" "$@"
