"""The label rule, and the label file that follows from it.

A packet is malicious if it is not earlier than the start of the scan, has the infected device at one end, and

1. `scan`: is TCP with a telnet port (23 or 2323) at the other end;
2. `flood`: is UDP with the flood's victim at the other end, and not earlier than the start of the flood;
3. either of these: is an ICMP error that quotes such a packet;
4. `arp`: is ARP between the infected device and an address with which it had no ARP or IPv4 packet before the scan.

Answers are malicious as the packets that they answer. Everything else is benign.
"""

import csv
import gzip
import io

import packets


class Rule:
    """The rule of one run. It sees the packets in the order of the capture."""

    def __init__(self, plan, scan_ns, flood_ns):
        self.infected, self.victim = plan.infected.ipv4, plan.attack["victim"]
        self.ports, self.scan_ns, self.flood_ns = set(plan.attack["telnet_ports"]), scan_ns, flood_ns
        self.known = set()

    def kind(self, packet):
        """Which part of the rule holds: scan, flood, arp, or empty for a benign packet."""
        if self.infected not in (packet.source, packet.target):
            return ""
        sent = packet.source == self.infected
        other, port = (packet.target, packet.target_port) if sent else (packet.source, packet.source_port)
        if packet.time_ns < self.scan_ns:
            self.known.add(other)
            return ""
        kind = packet.kind.removeprefix("icmp-error ")
        if kind == "tcp" and port in self.ports:
            return "scan"
        if kind == "udp" and other == self.victim and packet.time_ns >= self.flood_ns:
            return "flood"
        return "arp" if kind == "arp" and other not in self.known else ""


def write(capture, path, rule):
    """Writes `index,label` for every packet of `capture`, gzip'd; gives the figures for the manifest."""
    figures = {"packets": 0, "benign": 0, "malicious": 0, "scan": 0, "flood": 0, "arp": 0}
    figures |= {"first_malicious_index": None, "first_ns": None, "last_ns": None}
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["index", "label"])
    for index, packet in enumerate(packets.read(capture)):
        kind = rule.kind(packet)
        lines.writerow([index, int(kind != "")])
        _count(figures, index, packet, kind)
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as out:
        out.write(text.getvalue().encode())
    return figures


def _count(figures, index, packet, kind):
    figures["packets"] += 1
    figures["malicious" if kind else "benign"] += 1
    if kind:
        figures[kind] += 1
        if figures["first_malicious_index"] is None:
            figures["first_malicious_index"] = index
    if figures["first_ns"] is None:
        figures["first_ns"] = packet.time_ns
    figures["last_ns"] = packet.time_ns
