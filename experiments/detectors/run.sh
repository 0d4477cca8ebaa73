#!/bin/sh
# Makes composites of real attacks in real and generated benign traffic, and compares all detectors on them:
#   LEGONF_SHARED=FOLDER [LEGONF=legonf] experiments/detectors/run.sh WORK
# LEGONF_SHARED is the folder of data sets that the README names. WORK takes 250 MB: the composites, and the reports chosen.json (on
# which the ensemble's rules were chosen) and reported.json (that had no part in that). LEGONF is the command, by default that of PATH.
set -eu
work=${1:?names a folder to work in}
legonf=${LEGONF:-legonf}
here=$(cd "$(dirname "$0")/../.." && pwd)
data=${LEGONF_SHARED:?names the folder of data sets}/data
testbed=$here/examples/testbed/capture.pcap.zst
labels=$here/examples/testbed/labels.csv.gz
hakai=$data/iot23-hakai
attack_of_hakai="$hakai/iot23-8-1-hakai.pcap,labels=$hakai/packet_labels.csv"
mirai=$data/kitsune-mirai/mirai-first20000.pcap
mkdir -p "$work/chosen" "$work/reported"

# compose PART NAME BENIGN ATTACK [OPTION VALUE]: makes a composite.
compose() {
    to=$work/$1/$2 benign=$3 added=$4
    shift 4
    "$legonf" --quiet --force dataset compose "$benign" "$@" --attack "$added" -o "$to.pcapng" --labels-out "$to.csv"
}

# synthetic NAME SEED OPTION...: makes generated traffic of ten minutes with an attack after 400 s.
synthetic() {
    to=$work/reported/synthetic-$1 seed=$2
    shift 2
    "$legonf" --quiet --force dataset generate --packets 60000 --rate 100 --seed "$seed" "$@" -o "$to.pcapng" --labels "$to.csv"
}

# report PART [CAPTURE,labels=FILE]...: compares on the part's composites and on these captures.
report() {
    part=$1
    shift
    for composite in "$work/$part"/*.pcapng; do
        set -- "$@" "$composite,labels=${composite%.pcapng}.csv"
    done
    "$legonf" --quiet --json experiment detectors "$@" > "$work/$part.json"
    echo "$part"
    "$here/experiments/detectors/table.py" "$work/$part.json"
}

# Chosen on: attacks within the first six minutes, also thinned to a tenth of their packets.
for thin in 1 10; do
    for attack in masscan-tcp nmap-services synflood-spoofed dns-amplification-fragmented; do
        compose chosen "mirai-$attack-$thin" "$mirai" "$data/scans/$attack.pcap,thin=$thin"
    done
    compose chosen "mirai-hakai-$thin" "$mirai" "$attack_of_hakai,speed=300,thin=$thin"
done
for attack in masscan-tcp nmap-services synflood-spoofed; do
    compose chosen "testbed-$attack" "$testbed" "$data/scans/$attack.pcap,thin=4" --benign-labels "$labels"
done

# Reported on: the same attacks after ten minutes, other attacks, generated traffic, and devices of which few packets are known.
for attack in masscan-tcp nmap-services synflood-spoofed dns-amplification-fragmented; do
    compose reported "late-$attack" "$mirai" "$data/scans/$attack.pcap,start=600"
done
compose reported late-hakai "$mirai" "$attack_of_hakai,speed=2000,start=600"
for attack in synscan dns-tunnel-iodine dns_exfiltration; do
    compose reported "late-$attack" "$mirai" "$data/robustness/$attack.pcap,start=600"
    compose reported "mirai-$attack" "$mirai" "$data/robustness/$attack.pcap"
    compose reported "testbed-$attack" "$testbed" "$data/robustness/$attack.pcap" --benign-labels "$labels"
done
compose reported testbed-dns-amplification "$testbed" "$data/scans/dns-amplification-fragmented.pcap,thin=4" --benign-labels "$labels"
compose reported testbed-hakai "$testbed" "$attack_of_hakai,speed=300,thin=4" --benign-labels "$labels"
synthetic scan 11 --scan 400 20
synthetic flood 12 --flood 400 50
synthetic spoofed 13 --flood 400 50 --spoofed-sources 1000
sentinel=$data/iot-sentinel
for device in HueBridge/Setup-A-2-STA D-LinkHomeHub/Setup-C-3-STA; do
    compose reported "${device%/*}-masscan-tcp" "$sentinel/$device.pcap" "$data/scans/masscan-tcp.pcap,thin=10"
    compose reported "${device%/*}-dns_exfiltration" "$sentinel/$device.pcap" "$data/robustness/dns_exfiltration.pcap"
done
for device in WeMoLink/Setup-A-9-STA D-LinkCam/Setup-A-5-STA; do
    compose reported "${device%/*}-nmap-services" "$sentinel/$device.pcap" "$data/scans/nmap-services.pcap"
    compose reported "${device%/*}-synscan" "$sentinel/$device.pcap" "$data/robustness/synscan.pcap,thin=10"
done

report chosen "$testbed,labels=$labels" "$attack_of_hakai"
report reported
