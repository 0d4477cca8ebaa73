#!/usr/bin/env bash
# Runs the tests, after setting the machine up. Arguments go to `cargo test`:
#
#   ./test.sh                          all tests
#   ./test.sh -p legonf-extract        those of one crate
#   ./test.sh -- --include-ignored     the long ones too
set -euo pipefail
cd "$(dirname "$0")"
. ./setup.sh

# Brings a program by its package, if it is not there. The package is unpacked, not installed, so that no service starts.
bring_package() {
    local program=$1 package=$2 into=$PWD/target/$3
    PATH=$PATH:$into/usr/bin:$into/usr/sbin
    command -v "$program" >/dev/null && return
    command -v apt-get >/dev/null || return
    say "bringing $program"
    as_root apt-get -o DPkg::Lock::Timeout=300 -qq update || return
    mkdir -p "$into" && cd "$into" && apt-get -qq download "$package" && dpkg-deb -x "$package"_*.deb .
}
# The API is held against its document by schemathesis, of PyPI.
bring_schemathesis() {
    local into=$PWD/target/schemathesis
    PATH=$PATH:$into/bin
    command -v schemathesis >/dev/null && return
    command -v python3 >/dev/null || return
    say "bringing schemathesis"
    python3 -m venv "$into" && "$into/bin/pip" install --quiet 'schemathesis>=4,<5'
}
# The page is looked at in a browser where Node.js and Chromium are (Debian's packages nodejs, npm and chromium).
bring_page() {
    local into=$PWD/target/page
    command -v node >/dev/null && command -v npm >/dev/null && command -v chromium >/dev/null || return
    [ -e "$into/node_modules/axe-core" ] && return
    say "bringing playwright-core and axe-core"
    mkdir -p "$into" && npm install --silent --no-save --prefix "$into" playwright-core@1 axe-core@4
}
# Some tests are of decisions in etcd, and others have what Prometheus reads checked by its own tool. A test that lacks one says so.
(bring_package etcd etcd-server etcd) >&2 || say "etcd cannot be brought"
(bring_package nats-server nats-server nats) >&2 || say "nats-server cannot be brought"
(bring_package promtool prometheus prometheus) >&2 || say "promtool cannot be brought"
(bring_schemathesis) >&2 || say "schemathesis cannot be brought"
(bring_page) >&2 || say "no browser looks at the page: node, npm or chromium is not there"
export PATH=$PATH:$PWD/target/nats/usr/sbin:$PWD/target/etcd/usr/bin:$PWD/target/prometheus/usr/bin:$PWD/target/schemathesis/bin

# Release, so that tests and ./demo.sh share one build and golden captures run at full speed.
scope=(--workspace --features legonf/nats,legonf/otel)
for argument in "$@"; do
    case "$argument" in
        --) break ;;
        -p* | --package*) scope=() ;;
    esac
done
exec cargo test --release --locked "${scope[@]}" "$@"
