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
. "$(dirname "$0")/source.sh"
source_package libpcap "$work"

# musl has no headers of the kernel; those of the system serve.
mkdir "$work/include"
ln -s /usr/include/linux "/usr/include/$(uname -m)-linux-gnu/asm" /usr/include/asm-generic "$work/include"
cd "$work/source"
./configure --quiet --prefix="$prefix" --host="$(uname -m)-linux-musl" --with-pcap=linux --disable-shared --disable-dbus --disable-rdma \
    --disable-usb --disable-bluetooth --disable-remote --without-libnl --without-dag --without-septel --without-snf --without-turbocap \
    --without-dpdk CC=musl-gcc CFLAGS="-O2 -fPIC -idirafter $work/include" >/dev/null
make -s -j2 >/dev/null
make -s install >/dev/null
