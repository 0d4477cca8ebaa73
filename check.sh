#!/usr/bin/env bash
# Everything that must hold before a commit: formatting, lints, documentation, dependencies, tests.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'END'
usage: ./check.sh [--fast | --long] [--perf] [--fuzz SECONDS] [--install]

  --fast      leave the tests out
  --long      run the long tests and the model checker too
  --perf      compare the hot paths' instructions a packet with the baseline (valgrind)
  --fuzz N    run every fuzz target for N seconds too
  --install   install cargo-deny and cargo-fuzz if they are not there (takes minutes)
  --help      show this
END
}

fast=false long=false perf=false install=false fuzz=0
while [ "$#" -gt 0 ]; do
    case "$1" in
        --fast) fast=true ;;
        --long) long=true ;;
        --perf) perf=true ;;
        --fuzz)
            fuzz=${2:-}
            case "$fuzz" in '' | 0* | *[!0-9]*) usage >&2 && exit 2 ;; esac
            shift
            ;;
        --install) install=true ;;
        --help | -h) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done

. ./setup.sh

log=target/check.log
skipped=()
mkdir -p target
rm -f "$log"

skip() {
    printf '\n== SKIPPED: %s\n' "$*"
    skipped+=("$*")
}

# Ran or not, what was left out is said at the end.
say_skipped() {
    local status=$?
    printf '\n'
    [ "${#skipped[@]}" -eq 0 ] || printf 'skipped: %s\n' "${skipped[@]}"
    # Tests that leave something out say so themselves.
    grep -ah '^skipped: ' "$log" 2>/dev/null | sort -u || true
    [ "$status" -ne 0 ] || printf 'all other checks passed\n'
    exit "$status"
}
trap say_skipped EXIT

tests() {
    step ./test.sh --quiet -- --show-output "$@" 2>&1 | tee "$log"
}

step() {
    printf '\n== %s\n' "$*"
    "$@"
}

# The advisories come from the network; the rest of cargo-deny's checks need only the sources.
dependencies() {
    if ! cargo deny --version >/dev/null 2>&1; then
        if ! $install; then
            skip 'cargo deny (it is not installed; --install installs it); a test holds licences, sources and versions'
            skip 'advisories (they need cargo deny)'
            return
        fi
        step cargo install --locked cargo-deny
    fi
    step cargo deny --log-level error check licenses bans sources
    if cargo deny --log-level error fetch db 2>/dev/null; then
        step cargo deny --log-level error check --disable-fetch advisories
    else
        skip 'advisories (the database cannot be reached)'
    fi
}

step cargo fmt --all --check
step cargo clippy --release --workspace --all-targets --locked --quiet -- -D warnings
RUSTDOCFLAGS="-D warnings" step cargo doc --release --workspace --no-deps --locked --quiet
dependencies
if $long; then
    tests --include-ignored
    step cargo test --release --locked --quiet -p legonf-runtime --features model --test model
    step datasets/testbed/test.sh
else
    if $fast; then skip 'all tests (--fast)'; else tests; fi
    skip 'long tests, the model checker and the testbed (--long runs them)'
fi
if $perf; then
    step experiments/perf/guard.sh
else
    skip 'instruction counts (--perf compares them)'
fi
if [ "$fuzz" -gt 0 ]; then
    if $install && ! cargo fuzz --version >/dev/null 2>&1; then
        step cargo install --locked cargo-fuzz
    fi
    step fuzz/run.sh "$fuzz"
else
    skip 'fuzzing (--fuzz N)'
fi
