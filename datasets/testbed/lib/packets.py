"""Reads what the label rule needs from a pcap file: time, addresses, ports; of ICMP errors, the packet they quote."""

import mmap
import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

NANOSECOND_MAGIC = 0xA1B23C4D
ETHERNET = 1
HEADER, RECORD = struct.Struct("<IHHiIII"), struct.Struct("<IIII")
TCP, UDP, ICMP = 6, 17, 1


@dataclass(frozen=True)
class Packet:
    """One packet. `kind` is arp, tcp, udp, icmp-error or other; addresses are IPv4 text, empty where there is none."""

    time_ns: int
    kind: str
    source: str = ""
    target: str = ""
    source_port: int = 0
    target_port: int = 0


def read(path):
    """The packets of a little-endian nanosecond pcap file of Ethernet frames, as tcpdump writes it here."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for time_ns, start, end in _records(path, data):
            yield parse(time_ns, data[start + RECORD.size : end])


def sort(path, sorted_path):
    """Writes the packets in the order of their times. The kernel stamps a packet when it enters the first interface and
    hands it to tcpdump at the bridge, so that now and then one that was stamped later comes first.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        records = sorted(_records(path, data), key=lambda record: record[0])
        with open(sorted_path, "wb") as out:
            out.write(data[: HEADER.size])
            for _, start, end in records:
                out.write(data[start:end])


def _records(path, data):
    """Time, start and end of every record."""
    magic, *_, link = HEADER.unpack_from(data)
    if (magic, link) != (NANOSECOND_MAGIC, ETHERNET):
        raise SystemExit(f"{path}: not a nanosecond pcap file of Ethernet frames")
    at = HEADER.size
    while at < len(data):
        seconds, nanoseconds, captured, _ = RECORD.unpack_from(data, at)
        end = at + RECORD.size + captured
        yield seconds * 1_000_000_000 + nanoseconds, at, end
        at = end


def parse(time_ns, frame):
    """One Ethernet frame; one that is cut short is `other`."""
    try:
        ethertype = struct.unpack_from("!H", frame, 12)[0]
        if ethertype == 0x0806:
            return Packet(time_ns, "arp", _address(frame, 28), _address(frame, 38))
        if ethertype == 0x0800:
            return _ipv4(time_ns, frame, 14)
    except (struct.error, IndexError):
        pass
    return Packet(time_ns, "other")


def _ipv4(time_ns, frame, at):
    protocol, payload = frame[at + 9], at + (frame[at] & 15) * 4
    ends = (_address(frame, at + 12), _address(frame, at + 16))
    if protocol in (TCP, UDP):
        return Packet(time_ns, "tcp" if protocol == TCP else "udp", *ends, *struct.unpack_from("!HH", frame, payload))
    if protocol == ICMP and frame[payload] in (3, 11):
        quoted = _ipv4(time_ns, frame, payload + 8)
        return replace(quoted, kind=f"icmp-error {quoted.kind}")
    return Packet(time_ns, "other", *ends)


def _address(frame, at):
    return str(IPv4Address(struct.unpack_from("!I", frame, at)[0]))
