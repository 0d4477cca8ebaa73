"""The servers: their configuration, their content, and the commands that start them."""

import random
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


class Services:
    """Writes every configuration into `work` and starts every server; all of them end with the run."""

    def __init__(self, plan, network, work, seed):
        self.plan, self.network, self.work, self.seed = plan, network, Path(work), seed
        self.running = []

    def prepare(self):
        """Content, certificate, host keys and name resolution."""
        (self.work / "log").mkdir()
        self._content()
        self._certificate()
        self._resolver()
        for device in self.plan.devices:
            self._write(f"sntp-{device.name}.conf", "server time.example iburst maxsamples 1\ncmdport 0\n")

    def start(self):
        """Starts the servers of every host."""
        for host in (self.plan.gateway, self.plan.cloud, *self.plan.devices):
            for service in host.services:
                self._start(host, service, getattr(self, f"_{service}")(host))

    def refuse_ended(self):
        """Stops if a server has ended, with what it said."""
        for host, service, process, log in self.running:
            if process.poll() is not None:
                said = log.read_text(errors="replace").strip()[-400:]
                raise SystemExit(f"{service} on {host.name} ended with status {process.returncode}: {said}")

    def _start(self, host, service, argv):
        log = self.work / "log" / f"{service}-{host.name}"
        with log.open("wb") as out:
            command = self.network.inside(host, argv)
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.work)
        self.running.append((host, service, process, log))

    def _write(self, name, text):
        path = self.work / name
        path.write_text(text)
        return path

    def _content(self):
        """Pages, camera frames and parts of a film in folders a to z, of sizes that the seed draws."""
        random_sizes = random.Random(f"{self.seed} content")
        www = self.work / "www"
        first = www / "a"
        first.mkdir(parents=True)
        for index in range(10):
            for name, low, high in [("page", 2, 8), ("frame", 9, 15), ("part", 60, 140)]:
                suffix = {"page": "html", "frame": "jpg", "part": "ts"}[name]
                size = random_sizes.randint(low * 1024, high * 1024)
                (first / f"{name}-{index}.{suffix}").write_bytes(random_sizes.randbytes(size))
        for letter in "bcdefghijklmnopqrstuvwxyz":
            (www / letter).symlink_to("a")

    def _certificate(self):
        names = [*self.plan.cloud_names, *(f"{d.name}.{self.plan.network['domain']}" for d in self.plan.devices)]
        alternatives = "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)
        call = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=testbed"
        files = ["-addext", alternatives, "-keyout", "key.pem", "-out", "cert.pem"]
        _run([*call.split(), *files], self.work)

    def _resolver(self):
        """Our own resolver files over the machine's, seen in this mount namespace only."""
        files = {
            "/etc/resolv.conf": f"nameserver {self.plan.gateway.ipv4}\noptions timeout:2 attempts:2\n",
            "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
            "/etc/hosts": "127.0.0.1 localhost\n",
        }
        for target, text in files.items():
            if Path(target).exists():
                _run(["mount", "--bind", self._write(Path(target).name, text), target], self.work)

    def _dnsmasq(self, host):
        domain = self.plan.network["domain"]
        lines = ["no-resolv", "no-hosts", "pid-file=", "port=53", "interface=br0"]
        lines += ["bind-interfaces", "except-interface=lo", f"domain={domain}", f"local=/{domain}/", "local=/example/"]
        lines += [f"dhcp-leasefile={self.work / 'leases'}", f"dhcp-range={self.plan.lan.network_address},static"]
        lines += [f"dhcp-host={d.mac},{d.ipv4},{d.name}" for d in self.plan.devices]
        for known in (host, *self.plan.devices):
            lines.append(f"host-record={known.name}.{domain},{known.ipv4}" + (f",{known.ipv6}" if known.ipv6 else ""))
        lines += [f"host-record={name},{address}" for name, address in self.plan.cloud_names.items()]
        return ["dnsmasq", "--no-daemon", f"--conf-file={self._write('dnsmasq.conf', chr(10).join(lines) + chr(10))}"]

    def _chronyd(self, host):
        source = "local stratum 2" if host is self.plan.cloud else "server 198.51.100.10 iburst minpoll 4 maxpoll 4"
        lines = [source, "allow all", "cmdport 0", "bindcmdaddress /", f"pidfile {self.work / host.name}.pid"]
        # -x: the machine's clock is read, never set.
        path = self._write(f"chronyd-{host.name}.conf", "\n".join(lines) + "\n")
        return ["chronyd", "-x", "-U", "-u", "root", "-d", "-f", str(path)]

    def _mosquitto(self, host):
        lines = ["listener 1883", "allow_anonymous true", "user root", "persistence false", "log_dest stderr"]
        return ["mosquitto", "-c", str(self._write(f"mosquitto-{host.name}.conf", "\n".join(lines) + "\n"))]

    def _nginx(self, host):
        folder = self.work / f"nginx-{host.name}"
        folder.mkdir()
        text = NGINX.replace("{work}", str(self.work)).replace("{folder}", str(folder))
        path = self._write(f"nginx-{host.name}.conf", text)
        return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)]

    def _httpd(self, _host):
        return ["busybox", "httpd", "-f", "-p", "80", "-h", str(self.work / "www")]

    def _dropbear(self, host):
        key = self.work / f"dropbear-{host.name}.key"
        _run(["dropbearkey", "-t", "ecdsa", "-f", str(key)], self.work)
        process_file = self.work / f"dropbear-{host.name}.pid"
        return ["dropbear", "-F", "-E", "-s", "-j", "-k", "-r", str(key), "-P", str(process_file)]

    def _telnetd(self, _host):
        return [sys.executable, str(HERE / "telnetd.py")]

    def _discover(self, host):
        return [sys.executable, str(HERE / "discover.py"), host.name, host.ipv4, str(self.seed)]


NGINX = """
daemon off; user root; worker_processes 1; pid {folder}/pid; error_log stderr;
events { worker_connections 256; }
http {
    access_log off; server_tokens off; default_type application/octet-stream; tcp_nopush on;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {
        listen 80; listen [::]:80; listen 443 ssl; listen [::]:443 ssl;
        ssl_certificate {work}/cert.pem; ssl_certificate_key {work}/key.pem;
        root {work}/www;
        location /api/ { default_type application/json; return 200 '{"status": "ok"}'; }
    }
}
"""


def _run(argv, folder):
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{argv[0]}: {done.stderr.strip()}")
