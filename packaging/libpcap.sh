#!/usr/bin/env bash
# Builds libpcap for musl, from the source package of this Debian or Ubuntu, into DIR: no more of it than captures of
# network interfaces and files need. Needs musl-gcc, flex and bison.
#
#   libpcap.sh DIR
set -euo pipefail

prefix=$(realpath -m "$1")
[ ! -e "$prefix/lib/libpcap.a" ] || exit 0
mkdir -p "$prefix"
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
mkdir -p "$work/sources.d" "$work/lists/partial"

# The machine's own sources, of which the packages' sources are asked for too.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    case "$file" in
        *.sources) sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/sources.d/${file##*/}" ;;
        *.list) [ ! -e "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >"$work/sources.d/${file##*/}" ;;
    esac
done
apt() {
    apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources.d" -o Dir::State::lists="$work/lists" \
        -o APT::Sandbox::User=root "$@"
}
apt update || true
(cd "$work" && apt source --download-only libpcap >/dev/null && dpkg-source --no-check -x libpcap_*.dsc source >/dev/null)

# musl has no headers of the kernel; those of the system serve.
mkdir "$work/include"
ln -s /usr/include/linux "/usr/include/$(uname -m)-linux-gnu/asm" /usr/include/asm-generic "$work/include"
cd "$work/source"
./configure --quiet --prefix="$prefix" --host="$(uname -m)-linux-musl" --with-pcap=linux --disable-shared --disable-dbus --disable-rdma \
    --disable-usb --disable-bluetooth --disable-remote --without-libnl --without-dag --without-septel --without-snf --without-turbocap \
    --without-dpdk CC=musl-gcc CFLAGS="-O2 -fPIC -idirafter $work/include" >/dev/null
make -s -j2 >/dev/null
make -s install >/dev/null
