"""Scoped logging for Python 3.8 and newer, sent to weir, with the API of distlog.

    import logging
    import weirlog as distlog

    handler = distlog.ZmqHandler("tcp://127.0.0.1:5010")
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)

    with distlog.task("toplevel", user="leo"):
        logging.info("into task")
        with distlog.to("subtask", arg=42) as job:
            job.success("subtask done")

A record belongs to the scope that its code runs in: scopes are kept in a contextvar, so each
thread and each asyncio task has its own. Its key is seq@uuid/1/2: the record's number in its
scope, from 0, the task, and the numbers of the parts that lead to the scope, from 1.

No call waits for the server, and nothing grows without a bound: what finds the queue full is
dropped and counted (ZmqHandler.stats). Values that JSON does not have are written as text.
Everything may be called by any number of threads. Needs nothing but the standard library;
pyzmq is used where it is installed.
"""

import collections
import contextvars
import hashlib
import json
import logging
import os
import pickle
import random
import re
import socket
import sys
import threading
import time
import uuid
import weakref

from weirlog_wire import Zmq, Zmtp, zmq

__all__ = [
    "JSONFormatter", "PickleFormatter", "Scope", "ZmqHandler", "current", "from_traceparent",
    "get_foreign_task", "import_task", "parse_id", "task", "to",
]

# With True the record that ends a scope has the attributes task, the message it began with, and
# took, in seconds, of which weir can make task_duration_seconds and task_failures_total.
TOOK = False

_MAX_ID = 1024
_MAX_BOUND = 128
_MAX_RECORD = 1 << 20
_DEEPEST = 32
_DOUBT = 10  # seconds before its break in which what a connection took is uncertain
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ID = re.compile(r"(?:(?:0|[1-9][0-9]{0,17})@)?(%s(?:/(?:[1-9][0-9]{0,17}|%s))*)" % (_UUID, _UUID))
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.DOTALL)
_CONTEXT = "_weirlog_context"  # of a record; not "context", which extra= may have
_PLACE = "_weirlog_place"  # True: the beginning or the end of a scope; False: logged on the same line
_UNSET = object()

_current = contextvars.ContextVar("weirlog_scope", default=None)
_lock = threading.RLock()  # guards the numbers of all scopes; signal handlers may log, too
_handlers = weakref.WeakSet()


def _forked():
    """Begin anew in a process that was forked off: locks may be held by threads that it has not."""
    global _lock
    _lock = threading.RLock()
    for handler in list(_handlers):
        handler._fresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def parse_id(text):
    """Return the id of a scope, of an id or a record's key; ValueError if it is neither."""
    found = _ID.fullmatch(text.lower()) if isinstance(text, str) and len(text) <= _MAX_ID + 19 else None
    if not found or len(found.group(1)) > _MAX_ID:
        raise ValueError("not the id of a scope, as uuid/1/2")
    return found.group(1)


def from_traceparent(header):
    """Return an id for import_task in the trace of W3C's traceparent, another one each time."""
    found = _TRACEPARENT.fullmatch(header) if len(header) <= _MAX_ID else None
    if not found or found.group(1) == "ff" or found.group(1) == "00" and found.group(4) or not int(found.group(2), 16) or not int(found.group(3), 16):
        raise ValueError("not a traceparent, as 00-<trace id>-<span id>-01")
    return "%s/%d" % (uuid.UUID(found.group(2)), _far())


def _far():
    """Return a number that no count of parts reaches, and that fits 31 bits."""
    return random.SystemRandom().randrange(1 << 30, 1 << 31)


class Scope:
    """A piece of work: a task, or a part of one. Use it in a with statement, or async with."""

    def __init__(self, scope_id, msg, args, kwargs):
        smsg = kwargs.pop("smsg", _UNSET)
        self._id = scope_id
        self._message = _text(msg, args)
        self._end = (msg, args) if smsg is _UNSET else (smsg, ())
        self._records = self._parts = 0
        self._place = None
        self._pid = os.getpid()
        self._tokens = []
        self._bound = {}
        self.bind(**kwargs)

    @property
    def id(self):
        """The id, uuid/1/2. A process that was forked off has a part of its own."""
        with _lock:
            return self._own()

    @property
    def trace_id(self):
        """The trace of W3C's Trace Context: the task's UUID without its dashes."""
        return self.id[:36].replace("-", "")

    @property
    def span_id(self):
        """The span: the first 8 bytes of the SHA-256 of the id."""
        return hashlib.sha256(self.id.encode()).hexdigest()[:16]

    def bind(self, **kwargs):
        """Add values to the context of the records that come; at most 128 are kept."""
        with _lock:
            bound = dict(self._bound)
            for name, value in kwargs.items():
                name = "key_" if name == "key" else name  # it would hide the record's key
                if name in bound or len(bound) < _MAX_BOUND:
                    bound[name] = value
                else:
                    bound["context_truncated"] = True
            self._bound = bound

    def success(self, msg, *args):
        """Say with what message the scope ends if nothing fails; None or "" leaves it out."""
        self._end = (msg, args)

    def get_foreign_task(self):
        """Return the id of a further part, for another process' import_task."""
        with _lock:
            own = self._own()
            self._parts += 1
            scope_id = "%s/%d" % (own, self._parts)
        return scope_id if len(scope_id) <= _MAX_ID else str(uuid.uuid4())

    def headers(self):
        """Return the headers of an HTTP request that is made in the scope; takes a number."""
        own = self.id
        span = hashlib.sha256(own.encode()).hexdigest()[:16]
        return {"Distlog-Task": self.get_foreign_task(), "traceparent": "00-%s-%s-01" % (own[:36].replace("-", ""), span)}

    def __enter__(self):
        return self._enter(sys._getframe(1))

    def __exit__(self, kind, error, trace):
        self._exit(error)

    async def __aenter__(self):
        return self._enter(sys._getframe(1))

    async def __aexit__(self, kind, error, trace):
        self._exit(error)

    def _enter(self, frame):
        self._place = frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        self._tokens.append(_current.set(self))
        self._began = time.monotonic()
        self._log(logging.INFO, self._message, ())
        return self

    def _exit(self, error):
        more = {"task": self._message, "took": time.monotonic() - self._began} if TOOK else {}
        try:
            if error is not None:
                self._log(logging.ERROR, "FAILED " + self._message, (), (type(error), error, error.__traceback__), more)
            elif self._end[0] not in (None, ""):
                self._log(logging.INFO, self._end[0], self._end[1], None, more)
        finally:
            try:
                _current.reset(self._tokens.pop())
            except ValueError:  # entered in another context, as generators may be
                _current.set(None)

    def _log(self, level, msg, args, exc_info=None, more=()):
        """Log to the root logger, also the end from where the scope began: that tells readers
        what it ends."""
        root = logging.getLogger()
        if root.isEnabledFor(level):
            file, line, function = self._place
            record = root.makeRecord(root.name, level, file, line, msg, args, exc_info, function)
            record.__dict__.update(more)
            record.__dict__[_PLACE] = True
            root.handle(record)

    def _own(self):
        """Return the id; the lock is held. The records of a fork are numbered apart."""
        if self._pid != os.getpid():
            self._pid, self._records, self._parts = os.getpid(), 0, 0
            self._id = "%s/%d" % (self._id, _far())
        return self._id

    def _context(self):
        """Number a record and return its context."""
        with _lock:
            own = self._own()
            number, self._records = self._records, self._records + 1
            bound = self._bound
        context = {"key": "%d@%s" % (number, own)}
        context.update(bound)
        return context


def task(msg, *args, **kwargs):
    """Begin a task. args are format arguments of msg; kwargs are in each of its records, but
    not in those of its parts. smsg is the message of its end. Within a scope it is a part."""
    outer, scope_id = _current.get(), str(uuid.uuid4())
    if outer is not None and len(outer.id) + 1 + len(scope_id) <= _MAX_ID:
        scope_id = outer.id + "/" + scope_id
    return Scope(scope_id, msg, args, kwargs)


def to(msg, *args, **kwargs):
    """Begin a part of the current scope; outside of any, it is a task. See task."""
    return Scope(get_foreign_task() or str(uuid.uuid4()), msg, args, kwargs)


def import_task(id, msg, *args, **kwargs):
    """Begin the scope whose id another process has got of get_foreign_task. What is no id
    begins a task instead, with the text as imported_id. See task."""
    try:
        scope_id = parse_id(id)
    except ValueError:
        scope_id = str(uuid.uuid4())
        kwargs["imported_id"] = str(id)[:64]
    return Scope(scope_id, msg, args, kwargs)


def current():
    """Return the scope that the code runs in, or None."""
    return _current.get()


def get_foreign_task():
    """Return the id of a further part of the current scope, for another process, or None."""
    scope = _current.get()
    return scope.get_foreign_task() if scope is not None else None


def _text(msg, args):
    try:
        return str(msg) % args if args else str(msg)
    except Exception:  # arguments that do not fit, or whose own methods fail
        return "%s %s" % (plain(msg), plain(args))


def _number_records():
    """Number records where they are made, whatever logger and handlers they have."""
    before = logging.getLogRecordFactory()
    if getattr(before, "weirlog", False):
        return

    def factory(*args, **kwargs):
        record = before(*args, **kwargs)
        _number(record)
        return record

    factory.weirlog = True
    logging.setLogRecordFactory(factory)


def _number(record):
    scope = _current.get()
    record.__dict__[_CONTEXT] = scope._context() if scope is not None else None
    if scope is not None and scope._place == (record.pathname, record.lineno, record.funcName):
        record.__dict__.setdefault(_PLACE, False)


_number_records()

_ORDER = (
    "name", "msg", "args", "levelname", "levelno", "pathname", "filename", "module", "exc_info", "exc_text", "stack_info",
    "lineno", "funcName", "created", "msecs", "relativeCreated", "thread", "threadName", "processName", "process",
)
_OWN = frozenset(_ORDER + ("context", "message", "asctime", "hostname"))
_HOST = socket.gethostname()


class _Formatter(logging.Formatter):
    """What the formatters have in common: a record as a dict. The record stays as it is."""

    encoding = ""

    def record(self, record):
        """Return the members of a record, in distlog's order. Newlines become a backslash and
        an n in message and exc_text."""
        if _CONTEXT not in record.__dict__:  # another record factory has replaced ours
            _number(record)
        members = {name: record.__dict__.get(name) for name in _ORDER}
        message = _text(record.msg, record.args)
        members["args"] = members["exc_info"] = None
        if record.exc_info and record.exc_info[0] is not None:
            members["exc_text"] = record.exc_text or self.formatException(record.exc_info)
        if members["exc_text"]:
            members["exc_text"] = members["exc_text"].replace("\n", "\\n")
        members["context"] = record.__dict__[_CONTEXT]
        members["message"] = message.replace("\n", "\\n")
        members["asctime"] = self.formatTime(record)
        members["hostname"] = _HOST
        for name, value in record.__dict__.items():
            if name not in members and name not in (_CONTEXT, _PLACE):
                members[name] = value
            elif name in ("context", "hostname"):  # of extra=; message and asctime are logging's
                members[name + "_"] = value
        if record.__dict__.get(_PLACE) is False:  # or readers take it for the end of its scope
            members.setdefault("action_status", "started")
        return members

    def format(self, record):
        return self.encode(record).decode("latin-1")


class JSONFormatter(_Formatter):
    """Writes records as ASCII JSON. What JSON does not have is written as text."""

    encoding = "J"

    def encode(self, record):
        """Return the bytes that are sent."""
        members = self.record(record)
        try:
            return json.dumps(members, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            return json.dumps(_plain_members(members), allow_nan=False).encode()


class PickleFormatter(_Formatter):
    """Writes records as pickles of plain values, of protocol 2."""

    encoding = "P"

    def encode(self, record):
        """Return the bytes that are sent."""
        return pickle.dumps(_plain_members(self.record(record)), protocol=2)


def plain(value, path=(), budget=None):
    """Return value with nothing but what JSON has; the rest as text. What is very deep, very
    large or contains itself is cut off."""
    budget = [10000] if budget is None else budget
    budget[0] -= 1
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is float:
        return value if value - value == 0 else str(value)  # NaN and Infinity
    try:
        if isinstance(value, int):
            return int(value) if value.bit_length() <= 1024 else hex(value)
        if len(path) >= _DEEPEST or budget[0] <= 0 or id(value) in path:
            return "..."
        inner = path + (id(value),)
        if isinstance(value, dict):
            return {k if type(k) is str else str(k): plain(v, inner, budget) for k, v in list(value.items())}
        if isinstance(value, (list, tuple, set, frozenset, collections.deque)):
            return [plain(v, inner, budget) for v in list(value)]
        if isinstance(value, (bytes, bytearray)):
            return bytes(value).decode("utf-8", "backslashreplace")
        if hasattr(value, "isoformat"):
            return str(value.isoformat())
        return str(value)
    except Exception as problem:  # a value's own methods may do anything
        return "<%s: %s>" % (type(value).__name__, type(problem).__name__)


def _plain_members(members):
    """Return the members of a record as plain does, each cut off by itself."""
    return {name: plain(value) for name, value in members.items()}


class ZmqHandler(logging.Handler):
    """Sends records over ZeroMQ, from a thread of its own.

    endpoint is tcp://host:port or ipc:///path, or a PUSH socket of pyzmq, which is left to the
    handler's thread. system is P for production, S for staging or T for test. max_records and
    max_bytes bound what waits. fallback is a handler that gets what finds no connection or no
    room. user and password are those of ZeroMQ's PLAIN. transport is "zmq" for pyzmq or "zmtp"
    for the module's own; None takes what there is. close waits close_timeout seconds for what is
    left, in a program's end, too.
    """

    def __init__(self, endpoint, system="P", max_records=10000, max_bytes=8 << 20, fallback=None,
                 user=None, password=None, transport=None, close_timeout=2.0, level=logging.NOTSET):
        super().__init__(level)
        if system not in ("P", "S", "T"):
            raise ValueError("system: use P, S or T")
        own = not isinstance(endpoint, str)
        if transport not in (None, "zmq", "zmtp") or zmq is None and (own or transport == "zmq"):
            raise ValueError("transport: use zmtp, or zmq where pyzmq is installed")
        kind = Zmtp if transport == "zmtp" or zmq is None else Zmq
        self._open = lambda: kind(endpoint, user, password, self)
        if not own:
            kind.check(endpoint)
        self._system, self._fallback, self._close_timeout = system, fallback, close_timeout
        self._max_records, self._max_bytes = max_records, max_bytes
        self._fresh()
        _handlers.add(self)
        self.setFormatter(JSONFormatter())

    def _fresh(self):
        """Begin, also in a process that was forked off, where the thread does not exist."""
        self._queue, self._bytes = collections.deque(), 0
        self._changed = threading.Condition()  # signal handlers may log, too
        self._thread = None
        self._stop = self._down = False
        self._late = None  # until when flush waited, if nothing has changed since
        self._deadline = 0.0  # of the end
        self._recent = collections.deque()  # [second, how many were sent in it]
        self._stats = {"sent": 0, "uncertain": 0, "dropped_full": 0, "dropped_too_long": 0, "dropped_closed": 0, "fallback": 0, "connections": 0, "connected": False, "last_error": None}

    def setFormatter(self, fmt):
        """Take a JSONFormatter or a PickleFormatter, which the topic tells."""
        if not isinstance(fmt, _Formatter):
            raise TypeError("use JSONFormatter or PickleFormatter")
        super().setFormatter(fmt)
        self._topic = (self._system + "L" + fmt.encoding).encode()

    def emit(self, record):
        """Queue a record; it does not wait for the server."""
        try:
            body = self.formatter.encode(record)
            with self._changed:
                why = self._refuse(len(body))
                if why:
                    self._stats[why] += 1
                else:
                    self._queue.append((self._topic, body))
                    self._bytes += len(body)
                    self._late = None
                    self._changed.notify_all()
                fall = self._fallback is not None and bool(why or self._down)
                self._stats["fallback"] += fall
            if fall:
                self._fallback.handle(record)
        except Exception:
            self.handleError(record)

    def _refuse(self, size):
        """Say why a body has to be dropped, or start the thread; changed is held."""
        if self._stop:
            return "dropped_closed"
        if size > _MAX_RECORD:
            return "dropped_too_long"
        if len(self._queue) >= self._max_records or self._bytes + size > self._max_bytes:
            return "dropped_full"
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="weirlog", daemon=True)
            self._thread.start()
        return None

    def stats(self):
        """Return what was sent, what waits and what was dropped, by cause."""
        with self._changed:
            return dict(self._stats, queued=len(self._queue), queued_bytes=self._bytes)

    def flush(self):
        """Wait up to close_timeout seconds until all is given to the system."""
        self._drain(time.monotonic() + self._close_timeout)

    def _drain(self, deadline):
        with self._changed:
            if not self._changed.wait_for(lambda: not self._queue, max(0, deadline - time.monotonic())):
                self._late = deadline

    def close(self):
        """Send what is left within close_timeout seconds, and count the rest as dropped. If a
        flush has just waited that long in vain, as a program's end does, it waits no more."""
        thread = self._thread
        self._deadline = time.monotonic() + self._close_timeout if self._late is None else self._late
        if thread is not None:
            self._drain(self._deadline)
            with self._changed:
                self._stop = True
                self._changed.notify_all()
            thread.join(max(0, self._deadline - time.monotonic()) + 0.5)
        with self._changed:
            self._stop = True
            self._stats["dropped_closed"] += len(self._queue)
            self._queue.clear()
            self._bytes = 0
        super().close()

    def _run(self):
        transport, pause, since = None, 0.0, 0.0
        while not self._stop:
            try:
                if transport is None:
                    transport = self._open()
                    self._is_up()
                    since = time.monotonic()
                batch = self._batch()
                if batch:
                    self._gone(transport.send(batch))
                else:
                    transport.idle()
            except Exception as problem:
                if transport is not None:
                    self._gone(transport.whole)
                    transport.close(0)
                    transport = None
                    if time.monotonic() - since >= 5:
                        pause = 0.0
                self._is_down(problem)
                pause = min(max(2 * pause, 0.1), 10.0)
                with self._changed:
                    self._changed.wait_for(lambda: self._stop, pause * random.uniform(0.5, 1))
        if transport is not None and not transport.close(max(0, self._deadline - time.monotonic())):
            self._doubt()
        self._is_down(None)

    def _stopped(self):
        """Say whether the handler is closed; for its transport."""
        return self._stop

    def _is_up(self):
        """Note that there is a connection; for the transport."""
        with self._changed:
            self._down = False
            self._stats["connected"] = True
            self._stats["connections"] += 1

    def _is_down(self, problem):
        """Note that there is none any more, and why; for the transport."""
        with self._changed:
            broken, self._down, self._stats["connected"] = self._stats["connected"], True, False
            if problem is not None:
                self._stats["last_error"] = "%s: %s" % (type(problem).__name__, problem)
        if broken and problem is not None:
            self._doubt()

    def _doubt(self):
        """Count what was sent in the last ten seconds as uncertain: nothing tells whether it was read."""
        with self._changed:
            now = int(time.monotonic())
            self._stats["uncertain"] += sum(sent for second, sent in self._recent if now - second <= _DOUBT)
            self._recent.clear()

    def _batch(self):
        """Wait a little for records and return some, which stay in the queue until gone."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stop, 0.5)
            batch, size = [], 0
            for message in self._queue:
                batch.append(message)
                size += len(message[1])
                if size >= 1 << 16:
                    break
            return batch

    def _gone(self, count):
        if count == 0:
            return
        with self._changed:
            for _ in range(min(count, len(self._queue))):
                self._bytes -= len(self._queue.popleft()[1])
            self._stats["sent"] += count
            now, self._late = int(time.monotonic()), None
            if not self._recent or self._recent[-1][0] != now:
                self._recent.append([now, 0])
            self._recent[-1][1] += count
            while now - self._recent[0][0] > _DOUBT:
                self._recent.popleft()
            self._changed.notify_all()
