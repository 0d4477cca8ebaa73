#!/usr/bin/env bash
# Records labelled traffic of a made-up home network: network namespaces on one bridge, real programs in them, and at
# known times a Mirai-like telnet scan and a UDP flood among these hosts only. See README.md.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=legonf-testbed
temporary=${TMPDIR:-/tmp}

usage() {
    cat <<'END_OF_USAGE'
usage: testbed.sh [options]
       testbed.sh --clean

  --out DIR            where capture.pcap.zst, labels.csv.gz and manifest.json go (out/testbed)
  --force              replace these files if they are there
  --seconds N          length of the recording, 15 to 3600 (300)
  --seed TEXT          decides the devices' timetables and contents and the attacks' targets (1)
  --snaplen N          bytes kept of each packet, 64 to 65535 (96: headers)
  --scan-packets N     SYNs of the scan, at most; 1 to 20000 (6000)
  --flood-packets N    datagrams of the flood, at most; 1 to 20000 (5000)
  --clean              remove what a killed run left behind, and nothing else
  --check              say what is missing for a run: 0 nothing, 3 programs or permissions
  --help               show this

Needs root with CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW. Nothing is made, changed or sent outside of new network,
mount and process namespaces, which end with the run.
END_OF_USAGE
}

fail() {
    printf 'testbed.sh: %s\n' "$*" >&2
    exit "${status:-2}"
}

# number NAME VALUE LOW HIGH
number() {
    if [[ ! $2 =~ ^[0-9]{1,6}$ ]] || ((10#$2 < $3 || 10#$2 > $4)); then
        fail "$1 is '$2'; give a number from $3 to $4"
    fi
}

out=out/testbed force=false seconds=300 seed=1 snaplen=96 scan_packets=6000 flood_packets=5000 action=record
while (($#)); do
    case "$1" in
        --out | --seconds | --seed | --snaplen | --scan-packets | --flood-packets)
            (($# >= 2)) || fail "$1 needs a value; see --help"
            name=${1#--}
            printf -v "${name//-/_}" %s "$2"
            shift
            ;;
        --force) force=true ;;
        --clean) action=clean ;;
        --check) action=check ;;
        --help | -h) usage && exit ;;
        *) fail "unknown option '$1'; see --help" ;;
    esac
    shift
done
number --seconds "$seconds" 15 3600
number --snaplen "$snaplen" 64 65535
number --scan-packets "$scan_packets" 1 20000
number --flood-packets "$flood_packets" 1 20000
[[ $seed =~ ^[A-Za-z0-9._-]{1,64}$ ]] || fail "--seed is '$seed'; give letters, digits, '.', '_' or '-', 64 at most"

# program:package, as Debian names them.
tools="ip:iproute2 ethtool:ethtool unshare:util-linux nsenter:util-linux setpriv:util-linux flock:util-linux
    mount:mount tcpdump:tcpdump zstd:zstd python3:python3 openssl:openssl curl:curl dig:bind9-dnsutils
    ssh:openssh-client ping:iputils-ping busybox:busybox mosquitto:mosquitto mosquitto_pub:mosquitto-clients
    mosquitto_sub:mosquitto-clients nginx:nginx-light dnsmasq:dnsmasq-base chronyd:chrony dropbear:dropbear-bin
    dropbearkey:dropbear-bin"
PATH=$PATH:/usr/sbin:/sbin

refuse_missing_tools() {
    local tool missing=() packages=()
    for tool in $tools; do
        if ! command -v "${tool%%:*}" >/dev/null; then
            missing+=("${tool%%:*}")
            packages+=("${tool##*:}")
        fi
    done
    if ((${#missing[@]})); then
        status=3 fail "missing: ${missing[*]}. Install with: sudo apt-get install --no-install-recommends $(
            printf '%s\n' "${packages[@]}" | sort -u | tr '\n' ' '
        )"
    fi
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || status=3 fail "python3 is older than 3.11"
}

# The commands that enter new namespaces.
namespaces=(setpriv --pdeathsig KILL unshare --net --mount --pid --ipc --uts --fork --kill-child --mount-proc)
refuse_missing_permission() {
    ((EUID == 0)) || status=3 fail "needs root to make network namespaces: sudo $0"
    "${namespaces[@]}" ip link add probe type bridge 2>/dev/null ||
        status=3 fail "root may not make network namespaces here: give the container CAP_SYS_ADMIN and CAP_NET_ADMIN"
}

# A run holds the lock of its folder as long as one of its processes lives; a folder with a free lock is a leftover.
clean() {
    local folder found=0
    for folder in "$temporary/$prefix".*/; do
        [[ -f $folder/lock && ! -L ${folder%/} && -O $folder ]] || continue
        if flock --nonblock "$folder/lock" true; then
            rm -rf -- "$folder"
            printf 'removed %s\n' "$folder"
            found=1
        else
            printf 'left alone, a run is using it: %s\n' "$folder"
            found=1
        fi
    done
    ((found)) || printf 'nothing to clean\n'
}

if [[ $action == clean ]]; then
    clean
    exit
fi
refuse_missing_tools
refuse_missing_permission
[[ $action == record ]] || exit 0

results=(capture.pcap.zst labels.csv.gz manifest.json)
mkdir -p "$out"
for file in "${results[@]}"; do
    [[ ! -e $out/$file ]] || $force || fail "$out/$file is there; --force replaces it"
done

work=$(mktemp -d "$temporary/$prefix.XXXXXXXX")
exec 9>"$work/lock"
flock 9
child=

# Ends the run's first process, and the kernel ends the rest and takes the namespaces away.
finish() {
    trap - EXIT INT TERM HUP
    exec 9>&-
    if [[ -n $child ]]; then
        kill -KILL "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    flock --timeout 10 "$work/lock" true || printf 'testbed.sh: processes of the run are left; try --clean later\n' >&2
    rm -rf -- "$work"
    (cd "$out" && rm -f -- "${results[@]/%/.partial}") || true
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Nothing of this shell's environment goes into the recording.
LEGONF_TESTBED_OUTSIDE=$(readlink /proc/self/ns/net)
env --ignore-environment PATH="$PATH" HOME="$work" LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 \
    LEGONF_TESTBED_OUTSIDE="$LEGONF_TESTBED_OUTSIDE" "${namespaces[@]}" python3 "$here/lib/main.py" --work "$work" \
    --seconds "$seconds" --seed "$seed" --snaplen "$snaplen" \
    --scan-packets "$scan_packets" --flood-packets "$flood_packets" &
child=$!
wait "$child" && result=0 || result=$?
child=
((result == 0)) || exit "$result"

# Each file gets its name only when it is whole, the manifest last.
for file in "${results[@]}"; do
    cp -- "$work/result/$file" "$out/$file.partial"
done
for file in "${results[@]}"; do
    mv -f -- "$out/$file.partial" "$out/$file"
done
printf 'testbed: wrote %s\n' "$out"
