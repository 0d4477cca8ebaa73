#!/usr/bin/env bash
# Tests of the operator: formatting, lints and unit tests. With --cluster also against a real Kubernetes, which is built from the source package of
# this Debian or Ubuntu, with two nodes on this machine. That takes root, and minutes at the first time.
#
#   operator/test.sh [--cluster] [ARGUMENT OF THE TESTS]...
set -euo pipefail
cd "$(dirname "$0")"
. ../setup.sh

cluster=false
if [ "${1-}" = --cluster ]; then cluster=true && shift; fi

if cargo fmt --version >/dev/null 2>&1; then cargo fmt --check; fi
if cargo clippy --version >/dev/null 2>&1; then cargo clippy --release --all-targets --locked --quiet -- -D warnings; fi
if ! $cluster; then
    cargo test --release --locked --quiet -- "$@"
    exit
fi

[ "$(id -u)" -eq 0 ] || fail 'a cluster needs root'
packages=()
command -v go >/dev/null || packages+=(golang-go)
[ -d /usr/share/gocode/src/github.com/modern-go/reflect2 ] || packages+=(golang-github-modern-go-reflect2-dev)
command -v dpkg-source >/dev/null || packages+=(dpkg-dev)
command -v etcd >/dev/null || packages+=(etcd-server)
command -v containerd >/dev/null || packages+=(containerd runc)
[ -x /usr/lib/cni/bridge ] || packages+=(containernetworking-plugins)
command -v dnsmasq >/dev/null || packages+=(dnsmasq-base)
command -v iptables >/dev/null || packages+=(iptables)
command -v ip >/dev/null || packages+=(iproute2)
command -v openssl >/dev/null || packages+=(openssl)
command -v kubectl >/dev/null || packages+=(kubernetes-client)
[ "${#packages[@]}" -eq 0 ] || apt_install "${packages[@]}" || fail "cannot install ${packages[*]}"
test/kubernetes.sh target/kubernetes
../packaging/build.sh oci
cargo test --release --locked --quiet --no-run

# Namespaces of their own, so that nothing of this is left when the tests end: neither processes nor mounts nor a bridge.
export LEGONF_KUBERNETES=$PWD/target/kubernetes LEGONF_IMAGE=$PWD/../target/package/oci LEGONF_BINARY=$PWD/../target/package/legonf
exec unshare --net --mount --pid --fork --kill-child --mount-proc bash -c '
    set -euo pipefail
    ip link set lo up
    mkdir -p /var/lib/cni /var/lib/kubelet
    for folder in /run /var/log /var/lib/cni /var/lib/kubelet; do mount -t tmpfs tmpfs "$folder"; done
    cargo test --release --locked --offline -- --include-ignored --test-threads 1 "$@"
' - "$@"
