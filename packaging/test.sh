#!/usr/bin/env bash
# Builds each package and tries it: a model is trained, and the capture that ships is replayed, with the binary as a user gets it.
#
#   packaging/test.sh [static | deb | oci]...
set -euo pipefail
cd "$(dirname "$0")/.."

out=target/package
capture=$PWD/examples/synth-mini/synth-mini.pcap.gz
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

wrong() {
    printf 'packaging/test.sh: %s\n' "$*" >&2
    exit 1
}

# try ROOT LEGONF...: trains and replays in the folder `tried` of ROOT with a command, for which paths begin there.
try() {
    local root=$1
    shift
    mkdir -p "$root/tried"
    cp "$capture" "$root/tried/capture.pcap.gz"
    (
        cd "$root"
        "$@" train kitsune tried/capture.pcap.gz --quiet --feature-mapping-packets 500 --training-packets 1000 -o tried/m.onnx
        "$@" replay tried/capture.pcap.gz --model tried/m.onnx --threshold 1 --no-warm-up --out tried/out --quiet
        "$@" record --help >/dev/null
    )
    [ "$(wc -l <"$root/tried/out/scores.csv")" -gt 1000 ] || wrong "$* scored nothing"
}

largest() {
    find "$1" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d ' ' -f 2
}

static() {
    packaging/build.sh static
    local bytes
    bytes=$(stat -c %s "$out/legonf")
    [ "$bytes" -le 25000000 ] || wrong "the static binary has $bytes bytes, more than 25 MB"
    # Of a static binary ldd says so, or nothing.
    ! ldd "$out/legonf" 2>/dev/null | grep -q '=>' || wrong 'the static binary is linked to libraries'
    try "$work/static" "$PWD/$out/legonf"
    printf 'static: %d bytes, tried\n' "$bytes"
}

deb() {
    packaging/build.sh deb
    local package
    package=$(ls -t "$out"/legonf_*.deb | head -1)
    dpkg-deb --extract "$package" "$work/deb"
    try "$work/deb" usr/bin/legonf
    man -l "$work/deb/usr/share/man/man1/legonf.1.gz" >/dev/null 2>&1 || ! command -v man >/dev/null || wrong 'the manual page is damaged'
    dpkg-deb --info "$package" conffiles | grep -qx /etc/legonf/live.conf || wrong 'live.conf is no configuration file'
    [ -e "$work/deb/usr/lib/systemd/system/legonf@.service" ] || wrong 'there is no unit'
    # As dpkg installs, configures and removes it, in a root of its own.
    local root=$work/root
    mkdir -p "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info" && : >"$root/var/lib/dpkg/status"
    if [ "$(id -u)" -eq 0 ]; then
        dpkg --root="$root" --force-depends --install "$package" >/dev/null 2>&1 || wrong 'dpkg does not install it'
        "$root/usr/bin/legonf" --version >/dev/null
        dpkg --root="$root" --purge legonf >/dev/null 2>&1 || wrong 'dpkg does not purge it'
        [ ! -e "$root/etc/legonf/live.conf" ] || wrong 'a purge leaves the configuration'
    fi
    printf 'deb: %d bytes, tried\n' "$(stat -c %s "$package")"
}

oci() {
    packaging/build.sh oci
    [ "$(find "$out/rootfs" -type f)" = "$out/rootfs/legonf" ] || wrong 'the root file system has more than the binary'
    python3 - "$out/oci" <<'END'
import hashlib, json, sys, tarfile
root = sys.argv[1]
def blob(descriptor):
    data = open(f"{root}/blobs/{descriptor['digest'].replace(':', '/')}", "rb").read()
    assert len(data) == descriptor["size"] and hashlib.sha256(data).hexdigest() == descriptor["digest"][7:], descriptor
    return data
manifest = json.loads(blob(json.load(open(f"{root}/index.json"))["manifests"][0]))
config = json.loads(blob(manifest["config"]))
layers = ["sha256:" + hashlib.sha256(blob(layer)).hexdigest() for layer in manifest["layers"]]
assert layers == config["rootfs"]["diff_ids"], layers
END
    # In a root where nothing else is.
    if [ "$(id -u)" -eq 0 ]; then
        mkdir "$work/image"
        tar --extract --directory "$work/image" --file "$(largest "$out/oci/blobs/sha256")"
        try "$work/image" chroot "$work/image" /legonf
    fi
    printf 'oci: tried\n'
}

[ "$#" -gt 0 ] || set -- static deb oci
for package in "$@"; do
    case "$package" in
        static | deb | oci) "$package" ;;
        *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
    esac
done
