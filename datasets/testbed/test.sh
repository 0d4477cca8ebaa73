#!/usr/bin/env bash
# Runs a short recording of the testbed and checks what it wrote and that nothing of it is left; then kills a run half
# way and checks that again. Skips, with the reason, where the testbed cannot run. About a minute.
set -euo pipefail
cd "$(dirname "$0")"

failures=0
check() {
    local what=$1
    shift
    if "$@"; then
        printf 'ok      %s\n' "$what"
    else
        printf 'FAILED  %s\n' "$what"
        failures=$((failures + 1))
    fi
}

if ! reason=$(./testbed.sh --check 2>&1); then
    printf 'skipped: %s\n' "$reason"
    exit 0
fi

# Its own place for temporary files, so that leftovers are this test's.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/legonf-testbed-test.XXXXXXXX")
export TMPDIR
trap 'rm -rf -- "$TMPDIR"' EXIT
out=$TMPDIR/out

# The machine's own network, as far as the testbed could have changed it.
machine() {
    ip -oneline link | sed 's/ state .*//'
    ip -brief address
    ip route
    find /run/netns /etc/resolv.conf -exec ls -l {} + 2>/dev/null || true
}

leftovers() {
    find "$TMPDIR" -maxdepth 1 -name 'legonf-testbed.*'
}

# Processes that have the folder of a run among their arguments.
processes() {
    local file
    for file in /proc/[0-9]*/cmdline; do
        if tr '\0' ' ' 2>/dev/null <"$file" | grep -q "$TMPDIR/legonf-testbed\."; then
            echo "$file"
        fi
    done
}

refuses() {
    ! ./testbed.sh "$@" >/dev/null 2>&1
}

# Started here, in the machine's own network, the programs must make and send nothing.
refuse_outside() {
    local options=(--work "$TMPDIR/none" --seconds 15 --seed 1 --snaplen 96 --scan-packets 1 --flood-packets 1)
    ! python3 -B lib/main.py "${options[@]}" 2>/dev/null && ! python3 -B lib/attack.py scan 1 1 1 2>/dev/null
}

cat >"$TMPDIR/figures.py" <<'PYTHON'
import gzip, hashlib, json, pathlib, struct, subprocess, sys

out = pathlib.Path(sys.argv[1])
manifest = json.loads((out / "manifest.json").read_text())
labels = gzip.decompress((out / "labels.csv.gz").read_bytes()).decode().splitlines()[1:]
capture = subprocess.run(["zstd", "-dqc", out / "capture.pcap.zst"], capture_output=True, check=True).stdout
packets, at, macs, times = 0, 24, set(), []
while at < len(capture):
    seconds, nanoseconds, length = struct.unpack_from("<III", capture, at)
    times.append((seconds, nanoseconds))
    macs.add(capture[at + 22 : at + 28].hex(":"))
    packets, at = packets + 1, at + 16 + length
malicious = sum(line.endswith(",1") for line in labels)
figures = manifest["labels"]
known = {device["mac"] for device in manifest["devices"]}
checks = {
    "one label per packet": packets == len(labels) == figures["packets"],
    "labels are numbered from 0": [line.split(",")[0] for line in labels] == [str(i) for i in range(packets)],
    "packets are malicious": malicious == figures["malicious"] > 0,
    "packets are benign": figures["benign"] > 1000,
    "scan, flood and ARP all show": min(figures["scan"], figures["flood"], figures["arp"]) > 0,
    "every datagram of the flood is labelled": figures["flood"] >= manifest["attacks"][1]["sent"]["datagrams"],
    "the first malicious packet is where the manifest says": labels[figures["first_malicious_index"]].endswith(",1"),
    "nothing was dropped": manifest["capture"]["dropped_by_kernel"] == 0,
    "packets are in the order of their times": times == sorted(times),
    "only the devices send": macs <= known,
    "every device sends": len(known - macs) <= 1,
    "checksums hold": all(
        hashlib.sha256(data).hexdigest() == manifest["files"][name]["sha256"]
        for name, data in {
            "capture.pcap": capture,
            "capture.pcap.zst": (out / "capture.pcap.zst").read_bytes(),
            "labels.csv.gz": (out / "labels.csv.gz").read_bytes(),
        }.items()
    ),
}
for what, holds in checks.items():
    print("ok     " if holds else "FAILED ", what)
sys.exit(not all(checks.values()))
PYTHON

before=$(machine)
./testbed.sh --seconds 20 --seed test --out "$out"
check 'the files agree' python3 "$TMPDIR/figures.py" "$out"
check 'no folder is left' test -z "$(leftovers)"
check 'no process is left' test -z "$(processes)"
check 'the machine is as it was' test "$before" = "$(machine)"
check 'files that are there are kept' refuses --seconds 20 --out "$out"
check 'too short a run is refused' refuses --seconds 1 --out "$TMPDIR/none"
check 'too many packets are refused' refuses --scan-packets 1000000 --out "$TMPDIR/none"
check 'the programs refuse any other network' refuse_outside

# A run that is killed without a chance to clean up: the kernel ends its processes, --clean removes its folder.
./testbed.sh --seconds 60 --out "$TMPDIR/killed" >/dev/null 2>&1 &
run=$!
sleep 8
check 'a run is under way' test -n "$(processes)"
kill -KILL "$run"
wait "$run" 2>/dev/null || true
sleep 2
check 'no process outlives a killed run' test -z "$(processes)"
./testbed.sh --clean >/dev/null
check 'nothing is left after --clean' test -z "$(leftovers)"
check 'a killed run leaves no capture' test -z "$(ls "$TMPDIR/killed")"

# The same with a signal that it can answer.
./testbed.sh --seconds 60 --out "$TMPDIR/stopped" >/dev/null 2>&1 &
run=$!
sleep 8
kill -TERM "$run"
wait "$run" 2>/dev/null && status=0 || status=$?
check 'a stopped run says so' test "$status" = 143
check 'a stopped run cleans up' test -z "$(leftovers)$(processes)$(ls "$TMPDIR/stopped")"
check 'the machine is as it was at the end' test "$before" = "$(machine)"

((failures == 0)) || exit 1
echo 'the testbed holds'
