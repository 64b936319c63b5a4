"""How weirlog's records reach a server: by pyzmq, or by a PUSH socket of ZMTP 3.0 of our own.

Both are used by one thread. send takes messages of two parts and returns how many the system
took; if it raises instead, whole says how many those were.
"""

import errno
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
    """libzmq's socket. It connects again by itself, and keeps meanwhile what it has been given;
    that is not much, since nothing tells what becomes of it. A socket that the application has
    made is used as it is."""

    def __init__(self, endpoint, user, password, handler):
        self.whole = 0
        self._handler, self._context, self._monitor = handler, None, None
        self._connected, self._told, self._fell = True, True, False
        if not isinstance(endpoint, str):
            self._socket = endpoint
            return
        self._connected = False
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, 16)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 10000)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 3000)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, int(_PATIENCE * 1000))
        if user:
            self._socket.plain_username, self._socket.plain_password = user.encode(), (password or "").encode()
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._socket.connect(endpoint)
        deadline = time.monotonic() + 1
        while not self._notice(100):
            if time.monotonic() > deadline or handler._stopped():
                self.close(0)
                raise ConnectionError("no connection to %s" % endpoint)
        self._fell = False

    @staticmethod
    def check(endpoint):
        """Raise ValueError if it is no endpoint."""
        Zmtp.check(endpoint)

    def _notice(self, wait):
        """Take what libzmq tells of its connection, and say whether there is one."""
        while self._monitor is not None and self._monitor.poll(wait):
            event = struct.unpack("=HI", self._monitor.recv_multipart()[0])[0]
            was, self._connected, wait = self._connected, event == zmq.EVENT_HANDSHAKE_SUCCEEDED, 0
            self._fell = self._fell or was and not self._connected
        return self._connected

    def _tell(self):
        """Tell the handler what has become of the connection; of the first one it knows. It has
        to know before what that was given, or it would not take that for uncertain."""
        if self._fell:
            self._fell = self._told = False
            self._handler._is_down(ConnectionResetError("the connection is broken"))
        if self._connected and not self._told:
            self._told = True
            self._handler._is_up()

    def send(self, messages):
        """Give messages to libzmq as it has room for them, while there is a connection."""
        self.whole = 0
        for message in messages:
            while True:
                self._notice(0)
                if self._fell and self.whole:
                    return self.whole
                self._tell()
                if self._connected and self._socket.poll(100, zmq.POLLOUT):
                    break
                if not self._connected:
                    self._notice(100)
                if self._handler._stopped():
                    return self.whole
            self._socket.send_multipart(message, zmq.NOBLOCK)
            self.whole += 1
        return self.whole

    def idle(self):
        """Notice what has become of the connection; libzmq has threads of its own for the rest."""
        self.whole = 0
        self._notice(0)
        self._tell()

    def close(self, linger):
        """Give libzmq some seconds for what it has, and say whether that was enough."""
        began = time.monotonic()
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor.close(linger=0)
        self._socket.close(linger=int(linger * 1000))
        if self._context is not None:
            self._context.term()
        return time.monotonic() - began < linger


class Zmtp:
    """A PUSH socket with the mechanisms NULL and PLAIN."""

    def __init__(self, endpoint, user, password, handler):
        self.whole = 0
        self._handler = handler
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

    def send(self, messages):
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
                if self._handler._stopped() or time.monotonic() - since > _PATIENCE:
                    raise
            self.whole = sum(1 for end in ends if end <= at)
        return self.whole

    def idle(self):
        """Notice that the server is gone, and answer its pings."""
        self.whole = 0
        self._answer()

    def close(self, linger):
        """Let the server read what was sent, and say whether it has."""
        deadline = time.monotonic() + min(linger, 1)
        try:
            self._socket.shutdown(socket.SHUT_WR)
            while time.monotonic() < deadline:
                self._socket.settimeout(deadline - time.monotonic() + 0.001)
                if not self._socket.recv(4096):
                    return True
        except OSError:
            pass
        finally:
            self._socket.close()
        return False

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
        while self._in or self._waits():
            self._socket.settimeout(_PATIENCE)
            flags, body = self._receive()
            if flags & 4 and body.startswith(b"\x04PING") and 7 <= len(body) <= 23:
                self._socket.sendall(_frame(4, b"\x04PONG" + body[7:]))

    def _waits(self):
        """Take what has come from the server, if anything has."""
        self._socket.settimeout(0)
        try:
            self._in = self._socket.recv(_MAX_FRAME)
        except BlockingIOError:
            return False
        if not self._in:
            raise ConnectionResetError("the server has closed the connection")
        return True


def _frame(flags, body):
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return struct.pack(">BQ", flags | 2, len(body)) + body
