"""How weirlog's records reach a server: by pyzmq, or by a PUSH socket of ZMTP 3.0 of our own.

Both are used by one thread. send takes messages of two parts and returns how many the system
took; if it raises instead, whole says how many those were.
"""

import errno
import select
import socket
import struct
import time

try:
    import zmq
except ImportError:
    zmq = None

_PATIENCE = 10.0
_MAX_FRAME = 4096


class Zmq:
    """libzmq's socket. Messages are queued for connections that exist, and for no other."""

    def __init__(self, endpoint, user, password):
        self.whole = 0
        self._context = None
        if not isinstance(endpoint, str):
            self._socket = endpoint
            return
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 3000)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, int(_PATIENCE * 1000))
        if user:
            self._socket.plain_username, self._socket.plain_password = user.encode(), (password or "").encode()
        self._socket.connect(endpoint)
        if not self._socket.poll(1000, zmq.POLLOUT):
            self.close(0)
            raise ConnectionError("no connection to %s" % endpoint)

    @staticmethod
    def check(endpoint):
        """Raise ValueError if it is no endpoint."""
        Zmtp.check(endpoint)

    def send(self, messages, stopped):
        """Give messages to libzmq as it has room for them."""
        self.whole = 0
        for message in messages:
            since = time.monotonic()
            while not self._socket.poll(100, zmq.POLLOUT):
                if stopped():
                    return self.whole
                if time.monotonic() - since > _PATIENCE:
                    raise ConnectionError("the server takes nothing")
            self._socket.send_multipart(message, zmq.NOBLOCK)
            self.whole += 1
        return self.whole

    def idle(self):
        """libzmq has threads of its own."""
        self.whole = 0

    def close(self, linger):
        """Give libzmq some seconds for what it has."""
        self._socket.close(linger=int(linger * 1000))
        if self._context is not None:
            self._context.term()


class Zmtp:
    """A PUSH socket with the mechanisms NULL and PLAIN."""

    def __init__(self, endpoint, user, password):
        self.whole = 0
        self._in = b""
        family, address = self.check(endpoint)
        self._socket = socket.socket(family) if family != socket.AF_INET else socket.create_connection(address, 5)
        try:
            self._socket.settimeout(5)
            if family != socket.AF_INET:
                self._socket.connect(address)
            self._meet(user, password)
            self._socket.settimeout(_PATIENCE)
        except BaseException:
            self._socket.close()
            raise

    @staticmethod
    def check(endpoint):
        """Return family and address of an endpoint, or raise ValueError."""
        scheme, found, rest = endpoint.partition("://")
        if scheme == "ipc" and rest:
            return socket.AF_UNIX, rest
        host, found, port = rest.rpartition(":")
        if scheme != "tcp" or not found or not host or host == "*" or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("endpoint %r: use tcp://host:port or ipc:///path" % endpoint)
        return socket.AF_INET, (host.strip("[]"), int(port))

    def send(self, messages, stopped):
        """Write messages; a server that takes nothing for ten seconds is given up."""
        self.whole, ends, length, parts = 0, [], 0, []
        for topic, body in messages:
            parts.append(_frame(1, topic) + _frame(0, body))
            length += len(parts[-1])
            ends.append(length)
        data = memoryview(b"".join(parts))
        self._answer()
        at, since = 0, time.monotonic()
        while at < len(data):
            self._socket.settimeout(0.1)
            try:
                at += self._socket.send(data[at:])
                since = time.monotonic()
            except socket.timeout:
                if stopped() or time.monotonic() - since > _PATIENCE:
                    raise
            self.whole = sum(1 for end in ends if end <= at)
        return self.whole

    def idle(self):
        """Notice that the server is gone, and answer its pings."""
        self.whole = 0
        self._answer()

    def close(self, linger):
        """Let the server read what was sent."""
        try:
            if linger:
                self._socket.shutdown(socket.SHUT_WR)
                self._socket.settimeout(min(linger, 1))
                while self._socket.recv(4096):
                    pass
        except OSError:
            pass
        self._socket.close()

    def _meet(self, user, password):
        mechanism = b"PLAIN" if user else b"NULL"
        self._socket.sendall(b"\xff" + bytes(7) + b"\x01\x7f\x03\x00" + mechanism.ljust(20, b"\0") + bytes(32))
        theirs = self._exactly(64)
        if theirs[0] != 0xFF or not theirs[9] & 1 or theirs[10] < 3:
            raise OSError(errno.EPROTO, "the server does not speak ZMTP 3")
        if theirs[12:32].rstrip(b"\0") != mechanism:
            raise OSError(errno.EPROTO, "the server has another security mechanism")
        metadata = b"\x0bSocket-Type\0\0\0\x04PUSH"
        if user:
            name, secret = user.encode()[:255], (password or "").encode()[:255]
            self._socket.sendall(_frame(4, b"\x05HELLO" + bytes([len(name)]) + name + bytes([len(secret)]) + secret))
        else:
            self._socket.sendall(_frame(4, b"\x05READY" + metadata))
        for _ in range(8):
            flags, body = self._receive()
            if flags & 4 and body.startswith(b"\x05READY"):
                if b"\x0bSocket-Type" in body and b"\x0bSocket-Type\0\0\0\x04PULL" not in body:
                    break
                return
            if user and flags & 4 and body.startswith(b"\x07WELCOME"):
                self._socket.sendall(_frame(4, b"\x08INITIATE" + metadata))
            elif flags & 4 and body.startswith(b"\x05ERROR"):
                raise OSError(errno.EACCES, "the server refuses us: %r" % body[7:])
        raise OSError(errno.EPROTO, "the server's socket is not of type PULL")

    def _receive(self):
        flags = self._exactly(1)[0]
        size = struct.unpack(">Q", self._exactly(8))[0] if flags & 2 else self._exactly(1)[0]
        if flags > 7 or size > _MAX_FRAME:
            raise OSError(errno.EPROTO, "the server does not follow the protocol")
        return flags, self._exactly(size)

    def _exactly(self, size):
        while len(self._in) < size:
            more = self._socket.recv(_MAX_FRAME)
            if not more:
                raise ConnectionResetError("the server has closed the connection")
            self._in += more
        data, self._in = self._in[:size], self._in[size:]
        return data

    def _answer(self):
        while self._in or select.select([self._socket], [], [], 0)[0]:
            self._socket.settimeout(_PATIENCE)
            flags, body = self._receive()
            if flags & 4 and body.startswith(b"\x04PING") and 7 <= len(body) <= 23:
                self._socket.sendall(_frame(4, b"\x04PONG" + body[7:]))


def _frame(flags, body):
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return struct.pack(">BQ", flags | 2, len(body)) + body
