#!/bin/sh
# Makes composites of real attacks in real and generated benign traffic, and compares all detectors on them:
#   LEGONF_SHARED=FOLDER [LEGONF=legonf] experiments/detectors/run.sh WORK [FILE.json]
set -eu
work=$1
out=${2:-$work/report.json}
legonf=${LEGONF:-legonf}
here=$(cd "$(dirname "$0")/../.." && pwd)
data=${LEGONF_SHARED:?names the folder of data sets}/data
testbed=$here/examples/testbed/capture.pcap.zst
labels=$here/examples/testbed/labels.csv.gz
hakai=$data/iot23-hakai
mirai=$data/kitsune-mirai/mirai-first20000.pcap
mkdir -p "$work"

set -- "$testbed,labels=$labels" "$hakai/iot23-8-1-hakai.pcap,labels=$hakai/packet_labels.csv"

# compose NAME BENIGN ATTACK [OPTION VALUE]: adds the composite to the captures that are compared.
compose() {
    name=$1 benign=$2 attack=$3
    shift 3
    "$legonf" --quiet --force dataset compose "$benign" "$@" --attack "$attack" -o "$work/$name.pcapng" --labels-out "$work/$name.csv"
}

for thin in 1 10; do
    for attack in masscan-tcp nmap-services synflood-spoofed dns-amplification-fragmented; do
        compose "mirai-$attack-$thin" "$mirai" "$data/scans/$attack.pcap,thin=$thin"
    done
    compose "mirai-hakai-$thin" "$mirai" "$hakai/iot23-8-1-hakai.pcap,labels=$hakai/packet_labels.csv,speed=300,thin=$thin"
done
for attack in masscan-tcp nmap-services synflood-spoofed; do
    compose "testbed-$attack" "$testbed" "$data/scans/$attack.pcap,thin=4" --benign-labels "$labels"
done
for composite in "$work"/*.pcapng; do
    set -- "$@" "$composite,labels=${composite%.pcapng}.csv"
done

"$legonf" --quiet --json experiment detectors "$@" > "$out"
"$here/experiments/detectors/table.py" "$out"
