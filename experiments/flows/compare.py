#!/usr/bin/env python3
"""Compares the flow records of `legonf flows` with those of nfstream (PyPI) on the same captures.

usage: compare.py LEGONF CAPTURE...

Prints for each capture how many flows have the same ends, protocol, packets and bytes in both, and what the others are.
"""
import collections, os, subprocess, sys, tempfile

import pandas
from nfstream import NFStreamer

IDLE, ACTIVE = 60, 1800


def ours(legonf, capture):
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "flows.csv")
        command = [legonf, "flows", capture, "-o", file, "--idle", f"{IDLE}s", "--active", f"{ACTIVE}s", "--vlan", "--quiet"]
        subprocess.run(command, check=True)
        flows = pandas.read_csv(file)
    for flow in flows.itertuples():
        ends = sorted([(flow.sourceIPAddress, flow.sourceTransportPort), (flow.destinationIPAddress, flow.destinationTransportPort)])
        packets = flow.packetTotalCount + flow.reversePacketTotalCount
        yield (ends[0], ends[1], flow.protocolIdentifier), packets, flow.octetTotalCount + flow.reverseOctetTotalCount


def theirs(capture):
    for flow in NFStreamer(source=capture, idle_timeout=IDLE, active_timeout=ACTIVE, accounting_mode=1, n_dissections=0):
        ends = sorted([(flow.src_ip, flow.src_port), (flow.dst_ip, flow.dst_port)])
        yield (ends[0], ends[1], flow.protocol), flow.bidirectional_packets, flow.bidirectional_bytes


def compare(legonf, capture):
    a, b = (collections.Counter(flows) for flows in (ours(legonf, capture), theirs(capture)))
    same = sum((a & b).values())
    left, right = a - b, b - a
    totals = [collections.defaultdict(lambda: [0, 0, 0]) for _ in range(2)]
    for total, flows in zip(totals, (left, right)):
        for (key, packets, octets), times in flows.items():
            for at, value in enumerate((1, packets, octets)):
                total[key][at] += value * times
    why = collections.Counter()
    for key in totals[0].keys() | totals[1].keys():
        mine, other = totals[0].get(key), totals[1].get(key)
        if mine is None:
            why["only nfstream has the ends"] += 1
        elif other is None:
            why["only legonf has the ends"] += 1
        elif mine[1] == other[1] and mine[2] == other[2]:
            why["the same packets, cut into other flows"] += 1
        elif mine[1] < other[1]:
            why["nfstream has packets behind the end"] += 1
        elif mine[1] > other[1]:
            why["legonf has more packets"] += 1
        else:
            why["the same packets with other lengths"] += 1
    print(f"{os.path.basename(capture)}: {sum(a.values())} and {sum(b.values())} flows, {same} the same; of other ends: {dict(why)}")
    return sum(a.values()), sum(b.values()), same


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sums = [sum(column) for column in zip(*(compare(sys.argv[1], capture) for capture in sys.argv[2:]))]
    print(f"all: {sums[0]} and {sums[1]} flows, {sums[2]} the same")
