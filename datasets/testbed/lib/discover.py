"""A device's discovery: announces, asks and answers by mDNS (RFC 6762) and SSDP (UPnP 1.1).

usage: discover.py NAME ADDRESS SEED
"""

import random
import select
import socket
import struct
import sys
import time

MDNS, SSDP = ("224.0.0.251", 5353), ("239.255.255.250", 1900)
SERVICE = "_iot._tcp.local"


def multicast(group, address):
    """A socket in `group` that sends from `address` and does not hear itself."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("", group[1]))
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    member = socket.inet_aton(group[0]) + socket.inet_aton(address)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    return made


def encoded(name):
    """A domain name as DNS writes it."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def mdns_query():
    """Asks who offers the service."""
    return struct.pack("!6H", 0, 0, 1, 0, 0, 0) + encoded(SERVICE) + struct.pack("!2H", 12, 1)


def mdns_answer(name, address):
    """Says that `name` at `address` offers the service: a PTR and an A record."""
    target = encoded(f"{name}.{SERVICE}")
    pointer = encoded(SERVICE) + struct.pack("!2HIH", 12, 1, 120, len(target)) + target
    host = encoded(f"{name}.local") + struct.pack("!2HIH", 1, 0x8001, 120, 4) + socket.inet_aton(address)
    return struct.pack("!6H", 0, 0x8400, 0, 2, 0, 0) + pointer + host


def ssdp(first, headers):
    """An SSDP message."""
    return "\r\n".join([first, *headers, "", ""]).encode()


def search():
    """Asks for root devices."""
    headers = ["HOST: 239.255.255.250:1900", 'MAN: "ssdp:discover"', "MX: 1", "ST: upnp:rootdevice"]
    return ssdp("M-SEARCH * HTTP/1.1", headers)


def description(name, address, first, kind):
    """Says where the device is described."""
    where = [f"LOCATION: http://{address}/", f"USN: uuid:{name}::upnp:rootdevice", f"{kind}: upnp:rootdevice"]
    return ssdp(first, ["HOST: 239.255.255.250:1900", "CACHE-CONTROL: max-age=120", *where])


class Discovery:
    """Both protocols of one device."""

    def __init__(self, name, address, seed):
        self.name, self.address = name, address
        self.rng = random.Random(f"{seed} {name} discovery")
        self.mdns, self.ssdp = multicast(MDNS, address), multicast(SSDP, address)
        now = time.monotonic()
        self.timers = [[now + self.rng.uniform(0, 8), period, send] for period, send in self._rounds()]

    def _rounds(self):
        notify = description(self.name, self.address, "NOTIFY * HTTP/1.1", "NT")
        return [
            (12, lambda: self.mdns.sendto(mdns_query(), MDNS)),
            (20, lambda: self.mdns.sendto(mdns_answer(self.name, self.address), MDNS)),
            (15, lambda: self.ssdp.sendto(search(), SSDP)),
            (18, lambda: self.ssdp.sendto(notify, SSDP)),
        ]

    def run(self):
        """For ever: sends what is due, answers what is asked."""
        while True:
            wait = max(0.0, min(timer[0] for timer in self.timers) - time.monotonic())
            for ready in select.select([self.mdns, self.ssdp], [], [], wait)[0]:
                self._answer(ready)
            for timer in self.timers:
                if timer[0] <= time.monotonic():
                    timer[2]()
                    timer[0] += timer[1] * self.rng.uniform(0.7, 1.3)

    def _answer(self, ready):
        message, sender = ready.recvfrom(2048)
        if ready is self.ssdp and message.startswith(b"M-SEARCH"):
            self.ssdp.sendto(description(self.name, self.address, "HTTP/1.1 200 OK", "ST"), sender)
        elif ready is self.mdns and message[2:3] == b"\0":
            self.mdns.sendto(mdns_answer(self.name, self.address), MDNS)


Discovery(sys.argv[1], sys.argv[2], sys.argv[3]).run()
