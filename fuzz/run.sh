#!/usr/bin/env bash
# Runs every fuzz target for a number of seconds each, beginning with seeds made of the examples. A find ends the run;
# cargo-fuzz then says where the input lies. Fix it, and keep the input as a regression of the crate's tests.
#
#   fuzz/run.sh SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET...]}
shift
if ! cargo fuzz --version >/dev/null 2>&1; then
    printf 'fuzz: cargo-fuzz is missing; install it with: cargo install --locked cargo-fuzz (or ./check.sh --install --fuzz N)\n' >&2
    exit 1
fi
# Coverage needs no nightly toolchain once the compiler is told so. No sanitizer: the code has next to nothing unsafe.
export RUSTC_BOOTSTRAP=1
fuzz=(cargo fuzz run --sanitizer none)
limits=(-timeout=20 -rss_limit_mb=2048 -print_funcs=0 -verbosity=0)

[ "$#" -gt 0 ] || set -- $(sed -n 's/^name = "\([a-z]*\)"$/\1/p' Cargo.toml)
for target; do
    printf '\n== fuzz %s for %s s\n' "$target" "$seconds"
    mkdir -p "corpus/$target"
    # Short inputs are tried more often; the smallest model has some kilobytes.
    longest=4096
    [ "$target" = model ] && longest=40000
    LEGONF_SEEDS="corpus/$target" "${fuzz[@]}" "$target" -- "${limits[@]}" -max_len="$longest" \
        -max_total_time="$seconds"
    printf '%s inputs in the corpus, no find\n' "$(find "corpus/$target" -type f | wc -l)"
done
