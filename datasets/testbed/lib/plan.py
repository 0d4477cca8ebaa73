"""What the testbed is made of, read from devices.toml and checked, and the times of one run."""

import ipaddress
import tomllib
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).parent.parent / "devices.toml"

# Bounds that no option exceeds.
SECONDS = (15, 3600)
SCAN_PACKETS = 20_000
FLOOD_PACKETS = 20_000
ATTACK_RATE = 1_000
CAPTURE_PACKETS = 2_000_000

# Where the attacks lie in a run, as shares of its seconds, and the packets per second at most.
SCAN_START, SCAN_LENGTH, SCAN_RATE = 0.76, 0.13, 150
FLOOD_START, FLOOD_LENGTH, FLOOD_RATE = 0.92, 0.03, 600


@dataclass(frozen=True)
class Phase:
    """One attack: seconds after the start of the capture, number of packets, packets per second."""

    start: float
    packets: int
    rate: float


@dataclass(frozen=True)
class Host:
    """A device, the gateway or the cloud."""

    name: str
    mac: str
    ipv4: str
    ipv6: str
    services: tuple
    tasks: tuple


@dataclass(frozen=True)
class Plan:
    """The whole table."""

    network: dict
    attack: dict
    gateway: Host
    cloud: Host
    cloud_addresses: tuple
    cloud_names: dict
    devices: tuple

    @property
    def infected(self):
        """The device that the attacks start from."""
        return next(d for d in self.devices if d.name == self.attack["infected"])

    @property
    def lan(self):
        """The devices' IPv4 network."""
        return ipaddress.ip_network(self.network["lan"])

    @property
    def targets(self):
        """The networks that the scan draws its targets from: the devices' and those that stand for the internet."""
        return [self.lan, *map(ipaddress.ip_network, self.network["wan"])]


def load(path=TABLE):
    """Reads the table and checks that every address is one that is not routed on the internet."""
    table = tomllib.loads(Path(path).read_text())
    cloud = table["cloud"]
    plan = Plan(
        network=table["network"],
        attack=table["attack"],
        gateway=_host(table["gateway"]),
        cloud=_host(cloud | {"ipv4": cloud["ipv4"][0]}),
        cloud_addresses=tuple(cloud["ipv4"]),
        cloud_names=cloud["names"],
        devices=tuple(_host(d) for d in table["device"]),
    )
    _check(plan)
    return plan


def phases(seconds, scan_packets, flood_packets):
    """When a run of `seconds` scans and floods, within the bounds."""
    scan = _phase(seconds * SCAN_START, seconds * SCAN_LENGTH, min(scan_packets, SCAN_PACKETS), SCAN_RATE)
    flood = _phase(seconds * FLOOD_START, seconds * FLOOD_LENGTH, min(flood_packets, FLOOD_PACKETS), FLOOD_RATE)
    return {"scan": scan, "flood": flood}


def _phase(start, length, packets, rate):
    packets = max(1, min(packets, int(length * ATTACK_RATE)))
    return Phase(start, packets, min(ATTACK_RATE, max(rate, packets / length)))


def _host(row):
    return Host(
        row["name"],
        row["mac"],
        row["ipv4"],
        row.get("ipv6", ""),
        tuple(row.get("services", ())),
        tuple(row.get("tasks", ())),
    )


def _check(plan):
    networks = [plan.network["lan"], plan.network["lan6"], plan.network["uplink"], *plan.network["wan"]]
    for network in map(ipaddress.ip_network, networks):
        if not network.is_private:
            raise SystemExit(f"{TABLE}: {network} is not a private or documentation network; take one that is")
    for host in (plan.gateway, *plan.devices):
        if ipaddress.ip_address(host.ipv4) not in plan.lan:
            raise SystemExit(f"{TABLE}: {host.name}: {host.ipv4} is not in {plan.lan}; give it one that is")
    addresses = [plan.attack["victim"], *plan.cloud_addresses]
    for address in map(ipaddress.ip_address, addresses):
        if not any(address in target for target in plan.targets):
            raise SystemExit(f"{TABLE}: {address} is in none of the network.wan networks")
