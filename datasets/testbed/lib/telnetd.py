"""A telnet server that shows a device's login prompt and never lets anyone in: there is no shell behind it."""

import socketserver

# IAC WILL ECHO, IAC WILL SUPPRESS-GO-AHEAD, IAC DO TERMINAL-TYPE: what a device's telnetd opens with.
NEGOTIATION = bytes([255, 251, 1, 255, 251, 3, 255, 253, 24])


class Login(socketserver.StreamRequestHandler):
    """Three tries, then the end."""

    timeout = 20

    def handle(self):
        try:
            self.wfile.write(NEGOTIATION + b"\r\ncamera login: ")
            for _ in range(3):
                if not self.rfile.readline(256):
                    return
                self.wfile.write(b"Password: ")
                if not self.rfile.readline(256):
                    return
                self.wfile.write(b"\r\nLogin incorrect\r\n\r\ncamera login: ")
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    """One thread per connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


Server(("0.0.0.0", 23), Login).serve_forever()
