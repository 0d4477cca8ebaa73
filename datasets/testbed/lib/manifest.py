"""The manifest: what a run recorded, in JSON."""

import datetime
import hashlib
import json
import re
import subprocess
from pathlib import Path

VERSIONS = {
    "tcpdump": "tcpdump --version",
    "iproute2": "ip -V",
    "mosquitto": "mosquitto -h",
    "nginx": "nginx -v",
    "dnsmasq": "dnsmasq --version",
    "chrony": "chronyd --version",
    "dropbear": "dropbear -V",
    "openssh": "ssh -V",
    "openssl": "openssl version",
    "curl": "curl --version",
    "bind9-dnsutils": "dig -v",
    "busybox": "busybox",
    "zstd": "zstd --version",
    "python3": "python3 --version",
}


def write(path, plan, options, attacks, figures, files):
    """Writes the manifest of a run; `files` are those that it goes with, the uncompressed capture first."""
    first = figures.pop("first_ns")
    last = figures.pop("last_ns")
    document = {
        "what": "Traffic of a home network of network namespaces, recorded at its gateway: a telnet scan as Mirai's "
        "and a UDP flood from one infected device among benign traffic of real programs",
        "made_by": "legonf datasets/testbed",
        "licence": "CC0-1.0 for the capture, the labels and this manifest; MIT OR Apache-2.0 for the testbed's programs",
        "privacy": "every host, address and payload was made by the testbed; no traffic of people or of other machines",
        "seed": options.seed,
        "seconds": options.seconds,
        "recorded": datetime.datetime.fromtimestamp(first // 10**9, datetime.UTC).isoformat(),
        "capture": {
            "format": "pcap, nanoseconds, Ethernet",
            "snaplen": options.snaplen,
            "first_packet_ns": first,
            "seconds_to_last_packet": round((last - first) / 1e9, 3),
            "order": "by time",
            "dropped_by_kernel": options.dropped,
        },
        "labels": figures,
        "attacks": _attacks(plan, attacks, first),
        "network": plan.network,
        "devices": [_host(host) for host in (plan.gateway, *plan.devices, plan.cloud)],
        "files": {file.name: _file(file) for file in map(Path, files)},
        "versions": versions(),
    }
    Path(path).write_text(json.dumps(document, indent=2) + "\n")


def versions():
    """The first number that each program says its version with."""
    return {name: _version(command.split()) for name, command in VERSIONS.items()}


def _version(argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+\w*", done.stdout + done.stderr)
    return found.group() if found else "unknown"


def _attacks(plan, attacks, first):
    def row(kind, what):
        start, end = attacks[kind]["start_ns"], attacks[kind]["end_ns"]
        return {
            "kind": kind,
            "what": what,
            "source": plan.infected.name,
            "start_ns": start,
            "start_seconds": round((start - first) / 1e9, 3),
            "seconds": round((end - start) / 1e9, 3),
            "sent": attacks[kind]["sent"],
        }

    ports = " and ".join(map(str, plan.attack["telnet_ports"]))
    networks = ", ".join(map(str, plan.targets))
    return [
        row("scan", f"SYN to ports {ports} of random addresses of {networks}; login tries where a prompt answers"),
        row("flood", f"UDP datagrams to random ports of {plan.attack['victim']}"),
    ]


def _host(host):
    addresses = {"mac": host.mac, "ipv4": host.ipv4} | ({"ipv6": host.ipv6} if host.ipv6 else {})
    programs = {task["run"].split()[1 if task["run"].startswith("busybox") else 0] for task in host.tasks}
    return {"name": host.name} | addresses | {"serves": list(host.services), "runs": sorted(programs)}


def _file(path):
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
