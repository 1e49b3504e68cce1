"""A proxy for any TCP connection that cuts, slows and silences what goes through it."""

import socket
import struct
import threading
import time


class TcpProxy:
    """Between a node and a server that listens on 127.0.0.1:`port`; the server may come and go."""

    def __init__(self, port, listen=0):
        self.upstream = port
        self.lock = threading.Lock()
        self.links = set()
        self.cuts = 0  # connections that were cut
        self.bytes_per_second = None
        self.open = threading.Event()  # clear: not a byte passes
        self.open.set()
        self.listener = socket.create_server(("127.0.0.1", listen))
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.open.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def cut(self):
        """Resets all connections now."""
        with self.lock:
            links = list(self.links)
        for link in links:
            link.cut()

    def cut_after(self, generator, most):
        """Resets each connection that is there once up to `most` more bytes have gone through it."""
        with self.lock:
            for link in self.links:
                link.allowance = generator.randrange(most)

    def _serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.upstream), timeout=10)
        except OSError:
            client.close()
            return
        link = _Link(self, client, server)
        with self.lock:
            self.links.add(link)
        for pair in ((client, server), (server, client)):
            threading.Thread(target=link.forward, args=pair, daemon=True).start()


class _Link:
    """One connection with its two sockets."""

    def __init__(self, proxy, client, server):
        self.proxy, self.sockets = proxy, (client, server)
        self.allowance = None  # bytes until it is cut
        self.ended = 0
        for end in self.sockets:
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def forward(self, source, target):
        try:
            while data := source.recv(16384):
                if self.allowance is not None:
                    passing = data[:self.allowance]
                    self.allowance -= len(passing)
                    if self.allowance == 0:
                        target.sendall(passing)
                        self.cut()
                        break
                self.proxy.open.wait()
                target.sendall(data)
                if rate := self.proxy.bytes_per_second:
                    time.sleep(len(data) / rate)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            self.cut(count=False)
        with self.proxy.lock:
            self.ended += 1
            if self.ended == 2:
                self.proxy.links.discard(self)
                for end in self.sockets:
                    end.close()

    def cut(self, count=True):
        self.proxy.cuts += count
        for end in self.sockets:
            try:  # reset, not closed
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
