"""When the devices do what: tasks whose times and numbers come from the seed, all in one thread."""

import heapq
import itertools
import random
import shlex
import subprocess
import time

RESTART = 1.0


class Schedule:
    """Calls actions at their times; an action returns the time of its next call, or None."""

    def __init__(self):
        self.heap, self.order = [], itertools.count()

    def at(self, when, action):
        """Calls `action` at `when`, a time of the monotonic clock."""
        heapq.heappush(self.heap, (when, next(self.order), action))

    def run(self, until):
        """Works until that time of the monotonic clock."""
        while (now := time.monotonic()) < until:
            if not self.heap or self.heap[0][0] > now:
                due = self.heap[0][0] if self.heap else until
                time.sleep(max(0.0, min(due, until) - now))
                continue
            _, _, action = heapq.heappop(self.heap)
            following = action()
            if following is not None:
                self.at(following, action)


class Task:
    """One task of one device: see devices.toml."""

    def __init__(self, device, index, row, network, work, seed):
        self.device, self.row, self.network, self.work = device, row, network, work
        self.rng = random.Random(f"{seed} {device.name} {index}")
        self.process = None
        self.runs = self.failures = 0
        self.due = 0.0

    def first(self, start):
        """The time of the first call: anywhere in the task's period."""
        self.due = start + self.rng.uniform(0.0, min(self.row.get("every", 2.0), 10.0))
        return self.due

    def __call__(self):
        if "feed" in self.row:
            self._feed()
        elif self._ended():
            self._start()
        return self._next()

    def _next(self):
        period = self.row.get("every", RESTART)
        jitter = self.row.get("jitter", 0.3) if "every" in self.row else 0.0
        self.due = max(self.due, time.monotonic() - period) + period * self.rng.uniform(1.0 - jitter, 1.0 + jitter)
        return self.due

    def _feed(self):
        if self._ended():
            self._start(subprocess.PIPE)
        try:
            self.process.stdin.write(self._fill(self.row["feed"]).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def _start(self, stdin=subprocess.DEVNULL):
        argv = self.network.inside(self.device, [self._fill(word) for word in shlex.split(self.row["run"])])
        quiet = subprocess.DEVNULL
        self.runs += 1
        self.process = subprocess.Popen(argv, stdin=stdin, stdout=quiet, stderr=quiet, cwd=self.work)

    def _ended(self):
        """Whether the program is not running; one that still is is left alone, so that programs never pile up."""
        if self.process is None:
            return True
        status = self.process.poll()
        if status is None:
            return False
        if self.process.stdin is not None:
            _close(self.process.stdin)
        self.failures += status != self.row.get("status", 0)
        self.process = None
        return True

    def _fill(self, text):
        value = f"{self.rng.uniform(0.0, 100.0):.2f}"
        return text.replace("{value}", value).replace("{work}", str(self.work))


def _close(pipe):
    try:
        pipe.close()
    except BrokenPipeError:
        pass
