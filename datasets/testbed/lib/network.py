"""The network: a namespace for each host, a veth pair to the gateway's bridge, addresses and routes.

All of it is made inside the network and mount namespaces that this program was started in, so that the kernel takes
it away with the last process.
"""

import ipaddress
import json
import os
import subprocess
from pathlib import Path

BRIDGE = "br0"


class Network:
    """The namespaces of one run, bound to files in `folder`."""

    def __init__(self, plan, folder):
        self.plan = plan
        self.folder = Path(folder)
        self.folder.mkdir()

    def inside(self, host, argv):
        """The command that runs `argv` in the namespace of `host`; the gateway's is the one that we are in."""
        if host.name == self.plan.gateway.name:
            return list(argv)
        return ["nsenter", f"--net={self.folder / host.name}", "--", *argv]

    def build(self):
        """Makes the bridge, every namespace and the routes."""
        self._gateway()
        for index, device in enumerate(self.plan.devices):
            self._device(device, f"port{index}")
        self._cloud()

    def _gateway(self):
        gateway = self.plan.gateway
        lan, lan6 = self._prefixes()
        _write("/proc/sys/net/ipv4/ip_forward", "1")
        _quiet_ipv6("default")
        _ip("link set lo up")
        _ip(f"link add {BRIDGE} address {gateway.mac} type bridge stp_state 0 forward_delay 0")
        _quiet_ipv6(BRIDGE)
        _plain_packets([], BRIDGE)
        _ip(f"addr add {gateway.ipv4}/{lan} dev {BRIDGE}")
        _ip(f"addr add {gateway.ipv6}/{lan6} dev {BRIDGE} nodad")
        _ip(f"link set {BRIDGE} up")

    def _device(self, device, port):
        lan, lan6 = self._prefixes()
        self._pair(device, port)
        _ip(f"link set {port} master {BRIDGE}")
        commands = [f"addr add {device.ipv4}/{lan} dev eth0"]
        if device.ipv6:
            commands.append(f"addr add {device.ipv6}/{lan6} dev eth0 nodad")
        commands += ["link set eth0 up", f"route add default via {self.plan.gateway.ipv4}"]
        for command in commands:
            _ip(command, self.inside(device, []))

    def _cloud(self):
        cloud, uplink = self.plan.cloud, ipaddress.ip_network(self.plan.network["uplink"])
        near, far = list(uplink.hosts())[:2]
        self._pair(cloud, "uplink")
        _ip(f"addr add {near}/{uplink.prefixlen} dev uplink")
        far_end = [f"addr add {far}/{uplink.prefixlen} dev eth0", "link set eth0 up", f"route add default via {near}"]
        for command in far_end:
            _ip(command, self.inside(cloud, []))
        for network in self.plan.network["wan"]:
            _ip(f"route add blackhole {network}")
        for address in self.plan.cloud_addresses:
            _ip(f"addr add {address}/32 dev lo", self.inside(cloud, []))
            _ip(f"route add {address}/32 via {far}")

    def _pair(self, host, port):
        """A namespace for `host`, whose eth0 is the other end of our `port`."""
        file = self.folder / host.name
        file.touch()
        _run(["unshare", f"--net={file}", "true"])
        _ip(f"link add {port} type veth peer name eth0 address {host.mac} netns {file}")
        enter = self.inside(host, [])
        # A port of a bridge is no host: without IPv6 it sends no neighbour discovery of its own.
        _write(f"/proc/sys/net/ipv6/conf/{port}/disable_ipv6", "1")
        _ip("link set lo up", enter)
        keep = "addrgenmode eui64" if host.ipv6 else "addrgenmode none"
        _ip(f"link set eth0 {keep}", enter)
        _run([*enter, "sh", "-c", "; ".join(f"echo {v} >/proc/sys/net/ipv6/conf/eth0/{k}" for k, v in QUIET.items())])
        _plain_packets([], port)
        _plain_packets(enter, "eth0")
        _ip(f"link set {port} up")

    def _prefixes(self):
        return (ipaddress.ip_network(self.plan.network[key]).prefixlen for key in ("lan", "lan6"))


def refuse_foreign_namespace():
    """Stops unless we are the first process of new namespaces: nothing may be made in the machine's own network."""
    links = {link["ifname"] for link in json.loads(_run(["ip", "-json", "link"]))}
    ours = os.readlink("/proc/self/ns/net")
    # Some kernels give every new namespace its tunnels' unused fallback devices.
    fallback = {"lo", "sit0", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0"}
    if os.getpid() != 1 or links - fallback or ours == os.environ.get("LEGONF_TESTBED_OUTSIDE", ours):
        raise SystemExit("this is not a new network namespace; start the testbed with testbed.sh")


QUIET = {"accept_dad": 0, "accept_ra": 0, "autoconf": 0, "router_solicitations": 0}


def _quiet_ipv6(interface):
    for key, value in QUIET.items():
        _write(f"/proc/sys/net/ipv6/conf/{interface}/{key}", str(value))


def _plain_packets(enter, interface):
    """No offload: what is recorded is packets of at most the MTU, with the checksums that a wire would show."""
    _run([*enter, "ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off"])


def _write(path, text):
    Path(path).write_text(text)


def _ip(command, enter=()):
    return _run([*enter, "ip", *command.split()])


def _run(argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, argv))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
