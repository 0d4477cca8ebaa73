#!/usr/bin/env python3
"""Packets a second of one core, from a capture file to flows: legonf, ndpiReader (Debian) and nfstream (PyPI), by turns.

usage: speed.py LEGONF CAPTURE [ROUNDS]

Beside CAPTURE a flood of 1,000,000 SYN packets with spoofed addresses is measured, which the script makes. Of each program the best of
some rounds counts, as processor time less that for a capture of one packet.
"""
import os, random, struct, subprocess, sys, tempfile, time

NFSTREAM = """
import sys, time
from nfstream import NFStreamer
start = time.process_time()
flows = sum(1 for _ in NFStreamer(source=sys.argv[1], idle_timeout=60, active_timeout=1800, n_dissections=0, n_meters=1))
"""


def flood(path, packets):
    some = random.Random(1)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for at in range(packets):
            source, port = some.getrandbits(32), some.getrandbits(16)
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, 40, at & 0xFFFF, 0, 64, 6, 0, source, 0x0A000001)
            tcp = struct.pack(">HHIIBBHHH", port, 80, at, 0, 0x50, 2, 1024, 0, 0)
            file.write(struct.pack("<IIII", at // 100_000, at % 100_000 * 10, 54, 54))
            file.write(b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + ip + tcp)


def first(path, capture):
    with open(capture, "rb") as file:
        head = file.read(24)
        record = file.read(16)
        length = struct.unpack("<IIII", record)[2]
        with open(path, "wb") as out:
            out.write(head + record + file.read(length))


def count(capture):
    packets = 0
    with open(capture, "rb") as file:
        file.seek(24)
        while len(record := file.read(16)) == 16:
            file.seek(struct.unpack("<IIII", record)[2], 1)
            packets += 1
    return packets


def seconds(command):
    """Processor time of a command and all its children."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main():
    legonf, capture = sys.argv[1], sys.argv[2]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with tempfile.TemporaryDirectory() as folder:
        file = lambda name: os.path.join(folder, name)
        flood(file("flood.pcap"), 1_000_000)
        first(file("one.pcap"), capture)
        open(file("nf.py"), "w").write(NFSTREAM)
        commands = {
            "legonf": lambda c: [legonf, "flows", c, "--workers", "fused", "--quiet"],
            "ndpiReader": lambda c: ["ndpiReader", "-i", c, "-q"],
            "nfstream": lambda c: [sys.executable, file("nf.py"), c],
        }
        captures = {"start": file("one.pcap"), "capture": capture, "flood": file("flood.pcap")}
        best = {}
        for turn in range(rounds):
            for name, command in commands.items():
                for what, path in captures.items():
                    # The flood takes nfstream a minute: once is enough.
                    if not (name == "nfstream" and turn > 0):
                        taken = seconds(command(path))
                        best[name, what] = min(best.get((name, what), taken), taken)
        sizes = {"capture": count(capture), "flood": 1_000_000}
        print(f"{'':12}{'capture, M/s':>14}{'flood, M/s':>14}{'start, s':>10}")
        for name in commands:
            rates = [sizes[what] / max(best[name, what] - best[name, "start"], 1e-3) / 1e6 for what in sizes]
            print(f"{name:12}{rates[0]:14.3f}{rates[1]:14.3f}{best[name, 'start']:10.2f}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main()
