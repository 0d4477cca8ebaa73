#!/usr/bin/env bash
# Installs what legonf needs to build and run, if it is not there: a C compiler, pkg-config, libpcap, libzstd, fonts for plots,
# certificates to download with, and a Rust toolchain that is new enough. Says nothing where nothing is to be done.
#
# For Debian and Ubuntu; elsewhere it says what is missing. Uses sudo unless it runs as root. The other scripts read
# it with `.`, which puts the toolchain on their PATH.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cargo_bin="${CARGO_HOME:-$HOME/.cargo}/bin"
rust_version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")

say() {
    printf 'setup: %s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "needs to run as root or with sudo: $*"
    fi
}

apt_install() {
    command -v apt-get >/dev/null || fail "please install: $*"
    say "installing $*"
    as_root apt-get -o DPkg::Lock::Timeout=300 -qq update || fail "apt-get update failed"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq -y --no-install-recommends \
        --no-remove install "$@" >/dev/null || return 1
}

install_packages() {
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    [ -e /usr/include/pcap/pcap.h ] || missing+=(libpcap-dev)
    [ -e /usr/include/zstd.h ] || missing+=(libzstd-dev)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || missing+=(fonts-dejavu-core)
    [ "${#missing[@]}" -eq 0 ] || apt_install "${missing[@]}" || fail "cannot install ${missing[*]}"
}

# Whether a cargo is there and at least as new as Cargo.toml asks for.
toolchain_is_new_enough() {
    local found
    found=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || return 1
    [ -n "$found" ] && printf '%s\n%s\n' "$rust_version" "$found" | sort -C -V
}

# Debian's package, where there is one and nothing stands in its way; else the official installer.
install_rustup() {
    if apt-cache show rustup >/dev/null 2>&1 && apt_install rustup; then
        return
    fi
    command -v curl >/dev/null || apt_install curl || fail "cannot install curl"
    say "installing rustup"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
        sh -s -- -y -q --profile minimal --default-toolchain none --no-modify-path ||
        fail "cannot install rustup; see https://rustup.rs"
}

install_toolchain() {
    case ":$PATH:" in
        *":$cargo_bin:"*) ;;
        *) export PATH="$cargo_bin:$PATH" ;;
    esac
    toolchain_is_new_enough && return
    command -v rustup >/dev/null || install_rustup
    say "installing the stable Rust toolchain ($rust_version or newer is needed)"
    rustup -q toolchain install stable --profile minimal --component clippy,rustfmt ||
        fail "cannot install the Rust toolchain"
    rustup show active-toolchain >/dev/null 2>&1 || rustup -q default stable
    export RUSTUP_TOOLCHAIN=stable
    hash -r
    toolchain_is_new_enough || fail "Rust $rust_version or newer is needed, $(cargo --version 2>&1) is on the PATH"
}

install_packages
install_toolchain

# The system's libzstd: to compile one takes a minute.
export ZSTD_SYS_USE_PKG_CONFIG=1
