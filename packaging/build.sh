#!/usr/bin/env bash
# Builds packages of legonf under target/package. Each needs what setup.sh installs, and names what else is missing.
#
#   packaging/build.sh static   legonf, one static binary, for any Linux of this architecture
#   packaging/build.sh deb      legonf_VERSION_ARCH.deb, with the systemd unit and its configuration
#   packaging/build.sh oci      oci/, an OCI image layout, and rootfs/: the static binary and nothing else
#   packaging/build.sh operator operator-oci/, an OCI image layout of the Kubernetes operator alone
set -euo pipefail
cd "$(dirname "$0")/.."
. ./setup.sh

out=$PWD/target/package
target=$(uname -m)-unknown-linux-musl

needs() {
    command -v "$1" >/dev/null || fail "$1 is needed: $2"
}

# A binary without debug information, links to libraries, or what few need (`--features full` brings it).
static() {
    needs musl-gcc 'apt-get install musl-tools'
    needs flex 'apt-get install flex'
    needs bison 'apt-get install bison'
    needs dpkg-source 'apt-get install dpkg-dev'
    ls "$(rustc --print sysroot)/lib/rustlib/$target" >/dev/null 2>&1 || rustup -q target add "$target"
    packaging/libpcap.sh target/libpcap-musl
    # libzstd of the system is one for glibc.
    env -u ZSTD_SYS_USE_PKG_CONFIG LIBPCAP_LIBDIR="$PWD/target/libpcap-musl/lib" LIBPCAP_VER=1.10.0 \
        "CC_${target//-/_}=musl-gcc" CARGO_PROFILE_RELEASE_STRIP=symbols \
        cargo build --release --locked --target "$target" --package legonf
    mkdir -p "$out"
    cp "${CARGO_TARGET_DIR:-target}/$target/release/legonf" "$out/legonf"
}

deb() {
    cargo deb --version >/dev/null 2>&1 || fail 'cargo-deb is needed: cargo install --locked cargo-deb'
    cargo build --release --locked --package legonf
    local legonf=${CARGO_TARGET_DIR:-target}/release/legonf shell
    rm -rf "$out/share" && mkdir -p "$out/share"
    "$legonf" man "$out/share/man"
    for shell in bash zsh fish; do "$legonf" completions "$shell" >"$out/share/legonf.$shell"; done
    cargo deb --no-build --strip --package legonf --output "$out/"
}

# A blob of an image in a folder: its file, named by its digest; prints its descriptor.
blob() {
    local folder=$1 file=$2 type=$3 digest
    digest=$(sha256sum "$file" | cut -d ' ' -f 1)
    mv "$file" "$folder/blobs/sha256/$digest"
    printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%d}' \
        "$type" "$digest" "$(stat -c %s "$folder/blobs/sha256/$digest")"
}

# image BINARY FOLDER ROOT: an OCI image layout of a static binary, and its root file system.
image() {
    local binary=$1 folder=$2 root=$3 name architecture layer config manifest version
    name=$(basename "$binary")
    case "$(uname -m)" in x86_64) architecture=amd64 ;; aarch64) architecture=arm64 ;; *) architecture=$(uname -m) ;; esac
    version=$("$binary" --version | cut -d ' ' -f 2)
    rm -rf "$folder" "$root"
    mkdir -p "$folder/blobs/sha256" "$root"
    cp "$binary" "$root/$name"
    # The same bytes from the same binary.
    tar --create --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --directory "$root" --file "$out/layer.tar" "$name"
    printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/%s"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$architecture" "$name" "$(sha256sum "$out/layer.tar" | cut -d ' ' -f 1)" >"$out/config.json"
    layer=$(blob "$folder" "$out/layer.tar" layer.v1.tar)
    config=$(blob "$folder" "$out/config.json" config.v1+json)
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
        "$config" "$layer" >"$out/manifest.json"
    manifest=$(blob "$folder" "$out/manifest.json" manifest.v1+json)
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}\n' \
        "${manifest%\}},\"annotations\":{\"org.opencontainers.image.ref.name\":\"$version\"}}" >"$folder/index.json"
    printf '{"imageLayoutVersion":"1.0.0"}' >"$folder/oci-layout"
}

oci() {
    [ -x "$out/legonf" ] || static
    image "$out/legonf" "$out/oci" "$out/rootfs"
}

operator() {
    needs musl-gcc 'apt-get install musl-tools'
    ls "$(rustc --print sysroot)/lib/rustlib/$target" >/dev/null 2>&1 || rustup -q target add "$target"
    env "CC_${target//-/_}=musl-gcc" CARGO_PROFILE_RELEASE_STRIP=symbols \
        cargo build --release --locked --target "$target" --manifest-path operator/Cargo.toml
    mkdir -p "$out"
    cp "operator/target/$target/release/legonf-operator" "$out/legonf-operator"
    image "$out/legonf-operator" "$out/operator-oci" "$out/operator-rootfs"
}

case "${1-}" in
    static | deb | oci | operator) "$1" ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
