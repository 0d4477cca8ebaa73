#!/usr/bin/env bash
# Everything that must hold before a commit: formatting, lints, documentation, dependencies, tests.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'END'
usage: ./check.sh [--fast | --long] [--perf] [--fuzz SECONDS] [--install] [--no-advisories]

  --fast            leave the tests out
  --long            run the long tests and the model checker, build and try the packages and the Kubernetes operator too
  --perf            compare the hot paths' instructions a packet with the baseline (valgrind)
  --fuzz N          run every fuzz target for N seconds too
  --install         install cargo-deny (under target/), cargo-fuzz, cargo-deb and musl's compiler if they are not there (takes minutes)
  --no-advisories   leave out the advisories, which come from the network and change without a commit
  --help            show this
END
}

fast=false long=false perf=false install=false advisories=true fuzz=0
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
        --no-advisories) advisories=false ;;
        --help | -h) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done

. ./setup.sh

log=target/check.log
skipped=(${SKIPPED:+"$SKIPPED"})
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

# Without optimisation and debug information, in a folder of its own, and given up after ten minutes.
install_deny() {
    step env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 timeout 600 cargo install --quiet --debug --locked --root target/deny cargo-deny
}

# The advisories come from the network; the rest of cargo-deny's checks need only the sources.
dependencies() {
    PATH=$PWD/target/deny/bin:$PATH
    if ! cargo deny --version >/dev/null 2>&1; then
        if ! $install; then
            skip 'licences, bans, sources and advisories of the dependencies (cargo deny is not installed; --install installs it)'
            return
        elif ! install_deny; then
            skip 'licences, bans, sources and advisories of the dependencies (cargo deny cannot be installed)'
            return
        fi
    fi
    step cargo deny --locked --log-level error check licenses bans sources
    if ! $advisories; then
        skip 'advisories (--no-advisories)'
    elif timeout 60 cargo deny --log-level error fetch db 2>/dev/null; then
        step cargo deny --log-level error check --disable-fetch advisories
    else
        skip 'advisories (the database cannot be reached)'
    fi
}

# Packages are built and tried where what builds them is there.
packages() {
    if $install; then
        apt_install musl-tools flex bison dpkg-dev || true
        cargo deb --version >/dev/null 2>&1 || step cargo install --quiet --debug --locked cargo-deb || true
    fi
    if command -v musl-gcc >/dev/null && command -v flex >/dev/null && command -v bison >/dev/null; then
        step packaging/test.sh static oci
    else
        skip 'the static binary and the image (musl-gcc, flex or bison is not installed; --install installs them)'
    fi
    if cargo deb --version >/dev/null 2>&1; then
        step packaging/test.sh deb
    else
        skip 'the Debian package (cargo deb is not installed; --install installs it)'
    fi
}

# The operator is a workspace of its own. As root it is tried on a cluster, for which its script builds Kubernetes and installs the rest.
operator() {
    if [ "$(id -u)" -eq 0 ] && command -v musl-gcc >/dev/null && command -v flex >/dev/null && command -v bison >/dev/null; then
        step operator/test.sh --cluster
    else
        step operator/test.sh
        skip 'the operator on a cluster (it needs root, musl-gcc, flex and bison; --install installs these)'
    fi
}

# The book goes into a folder of its own under target/; a warning is a fault.
book() {
    if ! mdbook --version >/dev/null 2>&1; then
        skip 'the book (mdbook is not installed)'
        return
    fi
    step mdbook build docs --dest-dir "$PWD/target/book" 2>&1 | tee target/book.log
    ! grep -E 'WARN|ERROR' target/book.log
}

# Whether a part of the toolchain is there, which is not everybody's; what checks with it is skipped otherwise.
has() {
    cargo "$1" --version >/dev/null 2>&1 || { skip "$1 (cargo $1 is not installed)" && false; }
}

if has fmt; then step cargo fmt --all --check && step cargo fmt --manifest-path operator/Cargo.toml --check; fi
# In the tests' profile, so that procedural macros and build scripts are built once.
if has clippy; then
    step cargo clippy --release --workspace --features legonf/nats,legonf/otel --all-targets --locked --quiet -- -D warnings
fi
# The command as it is built by default, without what few need.
if has clippy; then step cargo clippy --release --package legonf --locked --quiet -- -D warnings; fi
RUSTDOCFLAGS="-D warnings" step cargo doc --release --workspace --no-deps --locked --quiet
book
dependencies
if $long; then
    tests --include-ignored
    step cargo test --release --locked --quiet -p legonf-runtime --features model --test model
    step datasets/testbed/test.sh
    packages
    operator
else
    if $fast; then skip 'all tests (--fast)'; else tests; fi
    skip 'long tests, the model checker, the testbed, the packages and the operator (--long runs them)'
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
