#!/usr/bin/env bash
# Runs the tests, after setting the machine up. Arguments go to `cargo test`:
#
#   ./test.sh                          all tests
#   ./test.sh -p legonf-extract        those of one crate
#   ./test.sh -- --include-ignored     the long ones too
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh

# Some tests are of decisions in etcd. The package is unpacked, not installed, so that no service starts.
bring_etcd() {
    local into=$PWD/target/etcd
    PATH=$PATH:$into/usr/bin
    command -v etcd >/dev/null && return
    command -v apt-get >/dev/null || return
    say "bringing etcd"
    as_root apt-get -o DPkg::Lock::Timeout=300 -qq update || return
    mkdir -p "$into" && cd "$into" && apt-get -qq download etcd-server && dpkg-deb -x etcd-server_*.deb .
}
# Others have what Prometheus reads checked by its own tool.
bring_promtool() {
    local into=$PWD/target/prometheus
    PATH=$PATH:$into/usr/bin
    command -v promtool >/dev/null && return
    command -v apt-get >/dev/null || return
    say "bringing promtool"
    as_root apt-get -o DPkg::Lock::Timeout=300 -qq update || return
    mkdir -p "$into" && cd "$into" && apt-get -qq download prometheus && dpkg-deb -x prometheus_*.deb .
}
# A test that lacks one says so.
(bring_etcd) >&2 || say "etcd cannot be brought"
(bring_promtool) >&2 || say "promtool cannot be brought"
export PATH=$PATH:$PWD/target/etcd/usr/bin:$PWD/target/prometheus/usr/bin

# Release, so that tests and ./demo.sh share one build and golden captures run at full speed.
scope=(--workspace)
for argument in "$@"; do
    case "$argument" in
        --) break ;;
        -p* | --package*) scope=() ;;
    esac
done
exec cargo test --release --locked "${scope[@]}" "$@"
