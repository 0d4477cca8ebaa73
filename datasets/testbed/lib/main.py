"""One run of the testbed, as the first process of new namespaces: testbed.sh makes these and starts it."""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import labels
import manifest
import network
import packets
import plan as plans
import schedule
import services

HERE = Path(__file__).parent


class Recorder:
    """tcpdump on the gateway's bridge, which every packet between two hosts passes."""

    def __init__(self, path, snaplen):
        call = f"tcpdump -i {network.BRIDGE} -n -B 32768 --time-stamp-precision=nano -Z root"
        bounds = ["-s", str(snaplen), "-c", str(plans.CAPTURE_PACKETS), "-w", str(path)]
        self.process = subprocess.Popen([*call.split(), *bounds], stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        while line and "listening on" not in line:
            line = self.process.stderr.readline()
        if not line:
            raise SystemExit("tcpdump did not start")

    def stop(self):
        """Ends the recording; gives the number of packets that the kernel dropped."""
        time.sleep(1.0)
        self.process.terminate()
        _, said = self.process.communicate(timeout=30)
        dropped = re.search(r"(\d+) packets? dropped by kernel", said)
        if self.process.returncode != 0 or dropped is None:
            raise SystemExit(f"tcpdump: {said.strip()}")
        return int(dropped.group(1))


class Attacker:
    """Starts the attacks at their times and collects what they say that they sent, and when."""

    def __init__(self, plan, net, phases, seed):
        self.plan, self.net, self.phases, self.seed = plan, net, phases, seed
        self.running = {}

    def add_to(self, timetable, start):
        """Enters the attacks into the timetable of a run that began at `start`."""
        for kind, phase in self.phases.items():
            timetable.at(start + phase.start, lambda kind=kind: self._begin(kind))

    def _begin(self, kind):
        phase = self.phases[kind]
        say(f"{kind}: {phase.packets} packets, {phase.rate:.0f} per second")
        program = [sys.executable, str(HERE / "attack.py"), kind, str(phase.packets), str(phase.rate), self.seed]
        command = self.net.inside(self.plan.infected, program)
        self.running[kind] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def finish(self):
        """What each attack sent; they have ended by now, or are given a minute."""
        sent = {}
        for kind, process in self.running.items():
            said, _ = process.communicate(timeout=60)
            if process.returncode != 0:
                raise SystemExit(f"the {kind} ended with status {process.returncode}")
            sent[kind] = json.loads(said)
        return sent


def say(text):
    """A line of progress."""
    print(f"testbed: {text}", flush=True)


def record(options, plan, net, work, capture):
    """Records the devices' traffic and the attacks into `capture`; gives what the attacks sent."""
    servers = services.Services(plan, net, work, options.seed)
    servers.prepare()
    servers.start()
    # Time for the servers to listen and for the addresses to settle.
    time.sleep(3.0)
    servers.refuse_ended()
    recorded = work / "recorded.pcap"
    recorder = Recorder(recorded, options.snaplen)
    timetable, start = schedule.Schedule(), time.monotonic()
    tasks = [schedule.Task(d, i, row, net, work, options.seed) for d in plan.devices for i, row in enumerate(d.tasks)]
    for task in tasks:
        timetable.at(task.first(start), task)
    phases = plans.phases(options.seconds, options.scan_packets, options.flood_packets)
    attacker = Attacker(plan, net, phases, options.seed)
    attacker.add_to(timetable, start)
    say(f"{len(plan.devices)} devices are up; recording for {options.seconds} seconds")
    timetable.run(start + options.seconds)
    sent = attacker.finish()
    options.dropped = recorder.stop()
    packets.sort(recorded, capture)
    servers.refuse_ended()
    report(tasks)
    return sent


def report(tasks):
    """Names the tasks that never did what they should."""
    for task in tasks:
        # The last run may be under way still.
        if task.runs > 1 and task.failures >= task.runs - 1:
            say(f"warning: {task.device.name}: failed {task.failures} times of {task.runs}: {task.row['run']}")


def finish(options, plan, work, capture, sent):
    """Labels, compresses and describes the capture, in the folder `result`."""
    result = work / "result"
    result.mkdir()
    rule = labels.Rule(plan, sent["scan"]["start_ns"], sent["flood"]["start_ns"])
    figures = labels.write(capture, result / "labels.csv.gz", rule)
    packed = result / "capture.pcap.zst"
    subprocess.run(["zstd", "-q", "-19", str(capture), "-o", str(packed)], check=True)
    manifest.write(result / "manifest.json", plan, options, sent, figures, [capture, packed, result / "labels.csv.gz"])
    share = 100.0 * figures["malicious"] / figures["packets"]
    say(f"{figures['packets']} packets, {figures['malicious']} of them malicious ({share:.1f} %)")
    say(f"first malicious packet: index {figures['first_malicious_index']}; dropped by the kernel: {options.dropped}")


def main():
    """Builds the network, records, labels; everything goes into the folder `--work`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    for name in ("seconds", "snaplen", "scan-packets", "flood-packets"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--seed", required=True)
    options = parser.parse_args()
    network.refuse_foreign_namespace()
    plan = plans.load()
    net = network.Network(plan, options.work / "namespaces")
    net.build()
    capture = options.work / "capture.pcap"
    sent = record(options, plan, net, options.work, capture)
    finish(options, plan, options.work, capture, sent)


if __name__ == "__main__":
    main()
