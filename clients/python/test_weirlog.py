"""Tests of weirlog: python3 -m unittest, in this folder. They use loopback alone."""

import asyncio
import contextlib
import datetime
import decimal
import json
import logging
import math
import os
import pickle
import queue
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest
import uuid

import weirlog
from weirlog_wire import zmq

LIMIT = 20
TASK = "18f9d278-b3d8-489c-82e4-6d1d49b63f18"
TRANSPORTS = ("zmtp", "zmq") if zmq else ("zmtp",)


class Pull:
    """A PULL socket, in as far as tests need one."""

    def __init__(self, mechanism=b"NULL", said=None, serve=None, address=("127.0.0.1", 0)):
        self.mechanism, self.said, self.received = mechanism, said, queue.Queue()
        self.serve = serve or Pull.receive
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen()
        self.address = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.conns = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.listener.accept()
                self.conns.append(conn)
                threading.Thread(target=self.meet, args=(conn,), daemon=True).start()

    def meet(self, conn):
        with contextlib.suppress(OSError, EOFError, struct.error), conn:
            if self.said is not None:
                conn.sendall(self.said)
                conn.shutdown(socket.SHUT_WR)
                while conn.recv(4096):
                    pass
                return
            stream = conn.makefile("rb")
            conn.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + self.mechanism.ljust(20, b"\0") + bytes(32))
            if stream.read(64)[12:32].rstrip(b"\0") != self.mechanism:
                return
            ready = b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04PULL"
            if self.mechanism == b"PLAIN":
                if self.part(stream)[1] != b"\x05HELLO\x04anna\x06s3cret":
                    conn.sendall(b"\x04\x14\x05ERROR\x0dAccess denied")
                    return
                conn.sendall(b"\x04\x08\x07WELCOME")
            else:
                conn.sendall(ready)
            self.part(stream)
            if self.mechanism == b"PLAIN":
                conn.sendall(ready)
            self.serve(self, conn, stream)

    def receive(self, conn, stream):
        message = []
        while True:
            flags, body = self.part(stream)
            if flags & 4:
                if body.startswith(b"\x04PING"):
                    conn.sendall(bytes([4, len(body) - 2]) + b"\x04PONG" + body[7:])
                continue
            message.append(body)
            if not flags & 1:
                self.received.put(message)
                message = []

    @staticmethod
    def part(stream):
        flags = stream.read(1)
        if not flags:
            raise EOFError
        size = struct.unpack(">Q", stream.read(8))[0] if flags[0] & 2 else stream.read(1)[0]
        body = stream.read(size)
        if len(body) < size:
            raise EOFError
        return flags[0], body

    def next(self):
        topic, body = self.received.get(timeout=LIMIT)
        return json.loads(body) if topic[2:] == b"J" else pickle.loads(body)

    def close(self):
        # A thread in accept keeps a listener that is only closed.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for conn in self.conns:
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)


class Keep(logging.Handler):
    """Keeps the records it gets."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


class Case(unittest.TestCase):
    def setUp(self):
        self.root = logging.getLogger()
        self.root.setLevel(logging.INFO)
        self.kept = Keep()
        self.root.addHandler(self.kept)
        self.addCleanup(self.root.removeHandler, self.kept)

    def handler(self, *args, **kwargs):
        handler = weirlog.ZmqHandler(*args, **kwargs)
        self.root.addHandler(handler)
        self.addCleanup(handler.close)
        self.addCleanup(self.root.removeHandler, handler)
        return handler

    def server(self, **kwargs):
        server = Pull(**kwargs)
        self.addCleanup(server.close)
        return server

    def said(self, task=None):
        """Return the records in short, as they would be sent."""
        lines = []
        for record in self.kept.records:
            m = json.loads(weirlog.JSONFormatter().encode(record))
            lines.append("%s %s %s" % (m["levelname"], m["message"], json.dumps(m["context"], sort_keys=True)))
        return [line.replace(task, "T") if task else line for line in lines]

    def doubt(self):
        """Let all that a broken connection took be uncertain, however long this takes."""
        before, weirlog._DOUBT = weirlog._DOUBT, 100 * LIMIT
        self.addCleanup(setattr, weirlog, "_DOUBT", before)

    def until(self, what, ok):
        deadline = time.monotonic() + LIMIT
        while not ok():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.001)


class TestScopes(Case):
    def test_tutorial(self):
        with weirlog.task("top%s", "level", user="leo") as job:
            task = job.id
            logging.info("into task")
            with weirlog.to("subtask", arg=42) as job:
                logging.info("into task")
                job.success("subtask %s", "done")
        logging.info("outside")
        self.assertEqual(self.said(task), [
            'INFO toplevel {"key": "0@T", "user": "leo"}',
            'INFO into task {"key": "1@T", "user": "leo"}',
            'INFO subtask {"arg": 42, "key": "0@T/1"}',
            'INFO into task {"arg": 42, "key": "1@T/1"}',
            'INFO subtask done {"arg": 42, "key": "2@T/1"}',
            'INFO toplevel {"key": "2@T", "user": "leo"}',
            "INFO outside null",
        ])
        for record in self.kept.records:
            self.assertEqual(record.filename, "test_weirlog.py")
            self.assertEqual(record.funcName, "test_tutorial")
        lines = [record.lineno for record in self.kept.records]
        self.assertEqual((lines[0], lines[2]), (lines[5], lines[4]), "a scope ends where it began")

    def test_failure(self):
        with self.assertRaises(ZeroDivisionError):
            with weirlog.task("100% of it") as outer:
                with weirlog.to("part"):
                    raise ZeroDivisionError("x\ny")
        lines = self.said(outer.id)
        self.assertEqual(lines[2:], ['ERROR FAILED part {"key": "1@T/1"}', 'ERROR FAILED 100% of it {"key": "1@T"}'])
        record = json.loads(weirlog.JSONFormatter().encode(self.kept.records[2]))
        self.assertTrue(record["exc_text"].startswith("Traceback (most recent call last):\\n"), record["exc_text"])
        self.assertTrue(record["exc_text"].endswith("ZeroDivisionError: x\\ny"), record["exc_text"])
        self.assertIsNotNone(self.kept.records[2].exc_info, "the record is changed for others")

    def test_took(self):
        weirlog.TOOK = True
        self.addCleanup(setattr, weirlog, "TOOK", False)
        with self.assertRaises(ZeroDivisionError):
            with weirlog.task("all") as outer:
                with weirlog.to("part") as job:
                    job.success("done")
                raise ZeroDivisionError()
        records = [json.loads(weirlog.JSONFormatter().encode(record)) for record in self.kept.records]
        self.assertEqual([r.get("task") for r in records], [None, None, "part", "all"])
        self.assertEqual([r["message"] for r in records[2:]], ["done", "FAILED all"])
        self.assertTrue(all(0 <= r["took"] < LIMIT for r in records[2:]), records)
        self.assertEqual(len(self.said(outer.id)), 4)

    def test_silent_ends(self):
        for scope in (weirlog.task("t", smsg=None), weirlog.task("t", smsg="")):
            with scope:
                pass
        with weirlog.task("t") as job:
            job.success(None)
        with weirlog.task("t", smsg="done"):
            pass
        self.assertEqual([line.split("{")[0] for line in self.said()], ["INFO t "] * 4 + ["INFO done "])

    def test_level(self):
        self.root.setLevel(logging.WARNING)
        with weirlog.task("quiet") as job:
            logging.info("not made")
            logging.warning("made")
        self.assertEqual(self.said(job.id), ['WARNING made {"key": "0@T"}'])

    def test_bind(self):
        with weirlog.task("t", key="mine", a=1) as job:
            job.bind(b=2, a=3)
            logging.info("m")
            for i in range(1000):
                job.bind(**{"many%d" % i: i})
            logging.info("m")
        self.assertEqual(self.said(job.id)[1], 'INFO m {"a": 3, "b": 2, "key": "1@T", "key_": "mine"}')
        context = json.loads(weirlog.JSONFormatter().encode(self.kept.records[2]))["context"]
        self.assertEqual(len(context), 130)
        self.assertTrue(context["context_truncated"])

    def test_import(self):
        self.assertIsNone(weirlog.get_foreign_task())
        with weirlog.task("here") as job:
            first, second = weirlog.get_foreign_task(), job.get_foreign_task()
            self.assertEqual([first, second], [job.id + "/1", job.id + "/2"])
        with weirlog.import_task(second, "there", a=1) as there:
            with weirlog.to("below") as below:
                pass
        self.assertEqual([there.id, below.id], [second, second + "/1"])
        with weirlog.import_task("None/1", "lost") as lost:
            self.assertEqual(len(lost.id), 36)
        self.assertEqual(self.said(lost.id)[-1], 'INFO lost {"imported_id": "None/1", "key": "1@T"}')

    def test_nesting(self):
        with weirlog.task("outer") as outer:
            with weirlog.task("inner") as inner:
                self.assertRegex(inner.id, "^" + outer.id + "/[0-9a-f-]{36}$")
        with weirlog.to("alone") as alone:
            self.assertEqual(len(alone.id), 36)
        self.root.setLevel(logging.ERROR)
        with contextlib.ExitStack() as deep:
            for _ in range(600):
                weirlog.parse_id(deep.enter_context(weirlog.to("deep")).id)

    def test_threads(self):
        ids = []

        def work():
            with weirlog.task("thread") as job:
                barrier.wait()
                ids.append(weirlog.current().id == job.id)
                barrier.wait()

        barrier = threading.Barrier(4)
        with weirlog.task("main"):
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(ids, [True] * 4)
        self.assertTrue(all(re.search(r'"key": "\d@[0-9a-f-]{36}"', line) for line in self.said()), self.said())

    def test_asyncio(self):
        async def work(name):
            async with weirlog.to(name) as job:
                await asyncio.sleep(0)
                logging.info("in %s", name)
                self.assertIs(weirlog.current(), job)

        async def main():
            async with weirlog.task("main") as job:
                await asyncio.gather(work("a"), work("b"))
            return job.id

        task = asyncio.run(main())
        lines = self.said(task)
        for line in ('INFO in a {"key": "1@T/1"}', 'INFO in b {"key": "1@T/2"}', 'INFO a {"key": "2@T/1"}'):
            self.assertIn(line, lines)
        self.assertEqual({record.filename for record in self.kept.records}, {"test_weirlog.py"})

    def test_generator(self):
        def numbers():
            with weirlog.to("numbers"):
                yield 1
                yield 2

        with weirlog.task("t") as job:
            for _ in numbers():
                break
        self.assertIsNone(weirlog.current())
        self.assertEqual(len(job.id), 36)

    def test_fork(self):
        read, write = os.pipe()
        with weirlog.task("parent") as job:
            before = job.id
            child = os.fork()
            if child == 0:
                os.write(write, job.id.encode())
                os._exit(0)
            os.waitpid(child, 0)
            self.assertEqual(job.id, before)
        theirs = os.read(read, 1000).decode()
        os.close(read), os.close(write)
        self.assertTrue(theirs.startswith(before + "/"), theirs)
        weirlog.parse_id(theirs)

    def test_ids(self):
        for good, want in ((TASK, TASK), ("7@" + TASK + "/1", TASK + "/1"), (TASK.upper(), TASK), (TASK + "/" + TASK + "/3",) * 2):
            self.assertEqual(weirlog.parse_id(good), want)
        for bad in ("", None, 7, "None/1", "<built-in function id>", TASK + "/", TASK + "/0", TASK + "/01", TASK + "\n", "x@" + TASK, TASK + "/1" * 1024, TASK + "/\u0661"):
            with self.assertRaises(ValueError, msg=bad):
                weirlog.parse_id(bad)

    def test_trace(self):
        job = weirlog.import_task(TASK + "/1", "t")
        self.assertEqual((job.trace_id, job.span_id), (TASK.replace("-", ""), "9b9652f59b155597"))
        self.assertEqual(job.headers(), {"Distlog-Task": TASK + "/1/1", "traceparent": "00-%s-9b9652f59b155597-01" % TASK.replace("-", "")})
        header = "00-%s-00f067aa0ba902b7-01" % TASK.replace("-", "")
        ids = {weirlog.from_traceparent(header), weirlog.from_traceparent("cc" + header[2:] + "-more")}
        self.assertEqual(len(ids), 2)
        for scope_id in ids:
            self.assertEqual(weirlog.parse_id(scope_id)[:37], TASK + "/")
        for bad in ("", header + "-", "ff" + header[2:], header.upper(), "00-" + "0" * 32 + header[35:], header[:36] + "0" * 16 + "-01", header + "\n"):
            with self.assertRaises(ValueError, msg=bad):
                weirlog.from_traceparent(bad)


class Hostile:
    def __str__(self):
        raise RuntimeError


class TestFormat(Case):
    def sent(self, formatter=None):
        body = (formatter or weirlog.JSONFormatter()).encode(self.kept.records[-1])
        if body[:1] == b"{":
            return json.loads(body, parse_constant=lambda c: self.fail("%s is no JSON" % c))
        return pickle.loads(body)

    def test_like_distlog(self):
        """The members of a capture, in its order and of its types."""
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "testdata", "tutorial.json")) as capture:
            theirs = json.load(capture)
        with weirlog.task("toplevel", user="leo"):
            body = json.loads(weirlog.JSONFormatter().encode(self.kept.records[0]))
            body.pop("taskName", None)  # of Python 3.12
        self.assertEqual(list(body), list(theirs))
        self.assertEqual({k: type(v) for k, v in body.items()}, {k: type(v) for k, v in theirs.items()})
        for same in ("name", "msg", "args", "levelname", "levelno", "exc_info", "exc_text", "stack_info", "message", "threadName", "processName"):
            self.assertEqual(body[same], theirs[same])

    def test_values(self):
        circular = {}
        circular["a"] = circular["b"] = circular
        wide = {1}  # no JSON, and 2 to the 24th as a tree
        for _ in range(24):
            wide = [wide, wide]
        values = {
            "when": (datetime.datetime(2026, 11, 20), "2026-11-20T00:00:00"), "amount": (decimal.Decimal("1.50"), "1.50"),
            "id": (uuid.UUID(TASK), TASK), "data": (b"a\xff", "a\\xff"), "set": ({1}, [1]), "nan": (math.nan, "nan"), "inf": (-math.inf, "-inf"),
            "keys": ({1: 2, (3, 4): 5}, {"1": 2, "(3, 4)": 5}), "error": (ValueError("x"), "x"), "hostile": (Hostile(), "<Hostile: RuntimeError>"),
            "large": (1 << 5000, hex(1 << 5000)), "plain": ([1, 2.5, None, True, "\u00e9\U0001f600"],) * 2,
        }
        with weirlog.task("t", **{k: v[0] for k, v in values.items()}, circular=circular, wide=wide):
            for formatter in (weirlog.JSONFormatter(), weirlog.PickleFormatter()):
                context = self.sent(formatter)["context"]
                for name, (_, want) in values.items():
                    self.assertEqual(context[name], want)
                self.assertEqual(context["circular"], {"a": "...", "b": "..."})
                self.assertLess(len(json.dumps(context["wide"])), 1 << 20)

    def test_message(self):
        logging.info("two\nlines %d", 1)
        record = self.sent()
        self.assertEqual((record["msg"], record["message"], record["args"]), ("two\nlines %d", "two\\nlines 1", None))
        self.assertEqual(self.kept.records[-1].args, (1,), "the record is changed for others")
        logging.info({"a": 1})
        self.assertEqual(self.sent()["msg"], {"a": 1})
        self.root.handle(logging.makeLogRecord({"msg": "%d %d", "args": (1,), "levelno": 25, "levelname": "Level 25"}))
        self.assertEqual(self.sent()["message"], "%d %d [1]")
        with weirlog.task(Hostile()) as job, weirlog.to("%s", Hostile()):
            self.assertEqual(self.said(job.id)[-1], 'INFO %s [\'<Hostile: RuntimeError>\'] {"key": "0@T/1"}')

    def test_large(self):
        """What is large in one member leaves the others whole."""
        with weirlog.task("t", a=[1], large=[object()] * 11000, b=[2]) as job:
            logging.info({"x": [object()] * 11000}, extra={"shop": {"a": [1]}})
        for formatter in (weirlog.JSONFormatter(), weirlog.PickleFormatter()):
            self.kept.records = self.kept.records[:2]
            record = self.sent(formatter)
            self.assertEqual((record["context"]["key"], record["context"]["a"], record["shop"]), ("1@" + job.id, [1], {"a": [1]}))

    def test_one_line(self):
        """What is logged on the line of its scope is not taken for its end."""
        with weirlog.task("t") as job: logging.info("working")
        logging.info("outside")
        said = [json.loads(weirlog.JSONFormatter().encode(record)) for record in self.kept.records]
        self.assertEqual([r["message"] for r in said], ["t", "working", "t", "outside"])
        self.assertEqual({r["lineno"] for r in said[:3]}, {said[0]["lineno"]})
        self.assertEqual([r.get("action_status") for r in said], [None, "started", None, None], job.id)

    def test_extra(self):
        with weirlog.task("t"):
            logging.info("m", extra={"context": 1, "hostname": "x", "shop": 2})
        record = self.sent()
        self.kept.records.pop()
        record = self.sent()
        self.assertEqual((record["context_"], record["hostname_"], record["shop"], record["context"]["key"][:2]), (1, "x", 2, "1@"))

    def test_factory(self):
        """A record factory that does not call ours costs the numbering of other handlers alone."""
        before = logging.getLogRecordFactory()
        logging.setLogRecordFactory(logging.LogRecord)
        self.addCleanup(logging.setLogRecordFactory, before)
        with weirlog.task("t") as job:
            self.assertEqual(self.said(job.id), ['INFO t {"key": "0@T"}'])


class TestWire(Case):
    def test_arrives(self):
        for transport in TRANSPORTS:
            for mechanism in (b"NULL", b"PLAIN"):
                server = self.server(mechanism=mechanism)
                user = {"user": "anna", "password": "s3cret"} if mechanism == b"PLAIN" else {}
                handler = self.handler(server.address, system="T", transport=transport, **user)
                with weirlog.task("t", text="x" * 300) as job:
                    pass
                self.assertEqual([server.next()["context"]["key"] for _ in range(2)], ["0@" + job.id, "1@" + job.id])
                handler.setFormatter(weirlog.PickleFormatter())
                logging.info("pickled")
                self.assertEqual(server.next()["message"], "pickled")
                handler.close()
                stats = handler.stats()
                self.assertEqual((stats["sent"], stats["connections"], stats["dropped_closed"]), (3, 1, 0), stats)
                self.root.removeHandler(handler)

    @unittest.skipUnless(zmq, "no pyzmq")
    def test_libzmq(self):
        for transport in ("zmtp", "zmq", "socket"):
            context = zmq.Context()
            pull = context.socket(zmq.PULL)
            pull.setsockopt(zmq.HEARTBEAT_IVL, 20)
            pull.setsockopt(zmq.HEARTBEAT_TIMEOUT, LIMIT * 1000)  # or a busy machine is taken for a dead one
            address = "tcp://127.0.0.1:%d" % pull.bind_to_random_port("tcp://127.0.0.1")
            if transport == "socket":
                push = context.socket(zmq.PUSH)
                push.connect(address)
                handler = self.handler(push)
            else:
                handler = self.handler(address, transport=transport)
            for i in range(500):
                logging.info("%d%s", i, "\u00e9" * i)
            for i in range(500):
                self.assertTrue(pull.poll(LIMIT * 1000), handler.stats())
                topic, body = pull.recv_multipart()
                self.assertEqual((topic, json.loads(body)["message"]), (b"PLJ", "%d%s" % (i, "\u00e9" * i)))
            handler.close()
            self.root.removeHandler(handler)
            pull.close()
            context.term()

    def test_down_at_first(self):
        for transport in TRANSPORTS:
            free = socket.socket()
            free.bind(("127.0.0.1", 0))
            address = free.getsockname()
            free.close()
            fallback = Keep()
            handler = self.handler("tcp://127.0.0.1:%d" % address[1], transport=transport, fallback=fallback, max_records=3)
            logging.info("0")
            self.until("down", lambda: handler.stats()["last_error"])
            for i in range(1, 5):
                logging.info("%d", i)
            self.assertEqual([r.getMessage() for r in fallback.records], ["1", "2", "3", "4"])
            self.assertEqual(handler.stats()["dropped_full"], 2)
            server = self.server(address=address)
            self.assertEqual([server.next()["message"] for _ in range(3)], ["0", "1", "2"])
            handler.close()
            self.root.removeHandler(handler)

    def test_never_reads(self):
        for transport in TRANSPORTS:
            stop = threading.Event()
            server = self.server(serve=lambda pull, conn, stream: stop.wait(LIMIT))
            handler = self.handler(server.address, transport=transport, max_bytes=1 << 20, close_timeout=0.2)
            began, n = time.monotonic(), 3000
            for _ in range(n):
                logging.info("x" * 2000)
            self.assertLess(time.monotonic() - began, LIMIT)
            self.assertLessEqual(handler.stats()["queued_bytes"], 1 << 20)
            began = time.monotonic()
            handler.close()
            self.assertLess(time.monotonic() - began, 5)
            stats = handler.stats()
            self.assertGreater(stats["dropped_full"], 0)
            self.assertEqual(stats["sent"] + stats["dropped_full"] + stats["dropped_closed"], n, stats)
            logging.info("after close")
            self.assertEqual(handler.stats()["dropped_closed"], stats["dropped_closed"] + 1)
            stop.set()
            self.root.removeHandler(handler)

    def test_resets(self):
        def serve(pull, conn, stream):
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for _ in range(20):
                topic, body = pull.part(stream), pull.part(stream)
                pull.received.put([topic[1], body[1]])

        self.doubt()
        for transport in TRANSPORTS:
            server = self.server(serve=serve)
            handler, n = self.handler(server.address, transport=transport), 0
            for resets in range(1, 4):  # a connection takes these, or has been reset before
                for _ in range(40):
                    logging.info("%d", n)
                    n += 1
                self.until("connected again", lambda: handler.stats()["connections"] > resets)
            handler.flush()
            handler.close()
            stats = handler.stats()
            self.assertEqual(stats["sent"] + stats["dropped_closed"], n, stats)
            got = []
            while not server.received.empty():
                got.append(int(server.next()["message"]))
            self.assertEqual(got, sorted(set(got)))
            self.assertGreaterEqual(len(got), 60)
            self.assertGreaterEqual(len(got) + stats["uncertain"] + stats["dropped_closed"], n, stats)
            self.root.removeHandler(handler)

    def test_lost(self):
        """What a server took that does not read is uncertain; the next one gets all else."""
        self.doubt()
        for transport in TRANSPORTS:
            stuck = threading.Event()
            first = self.server(serve=lambda pull, conn, stream: stuck.wait(LIMIT))
            handler = self.handler(first.address, transport=transport, max_bytes=32 << 20, close_timeout=LIMIT)
            self.assertEqual(handler.stats()["uncertain"], 0)
            n = 500
            for i in range(n):
                logging.info("%d %s", i, "x" * 10000)
            self.until("stuck", lambda: handler.stats()["sent"] > 0)
            first.listener.shutdown(socket.SHUT_RDWR)
            first.listener.close()
            taken = handler.stats()["sent"]
            for conn in first.conns:
                conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stuck.set()
            first.close()
            self.until("broken", lambda: not handler.stats()["connected"])
            self.assertGreaterEqual(handler.stats()["uncertain"], taken)
            logging.info("last")
            port = int(first.address.rpartition(":")[2])
            second = self.server(address=("127.0.0.1", port))
            handler.flush()
            handler.close()
            stats = handler.stats()
            self.assertEqual((stats["sent"], stats["connected"]), (n + 1, False), stats)
            self.assertGreaterEqual(stats["connections"], 2)
            got = [second.next()["message"]]
            while got[-1] != "last":
                got.append(second.next()["message"])
            self.assertEqual(len(set(got)), len(got))
            self.assertGreaterEqual(len(got) + stats["uncertain"], n + 1)
            self.root.removeHandler(handler)

    def test_fork_while_locked(self):
        """Locks that other threads hold at a fork hold up no child."""
        server = self.server()
        handler = self.handler(server.address)
        held, done = threading.Event(), threading.Event()

        def hold():
            with handler._changed, weirlog._lock:
                held.set()
                done.wait(LIMIT)

        with weirlog.task("parent") as job:
            thread = threading.Thread(target=hold)
            thread.start()
            held.wait(LIMIT)
            child = os.fork()
            if child == 0:
                try:
                    logging.info("child")
                    handler.stats()
                    job.bind(a=1)
                    logging.shutdown([lambda: handler])
                finally:
                    os._exit(0)
            done.set()
            thread.join()
            ended = []
            self.addCleanup(lambda: ended or os.kill(child, signal.SIGKILL))
            self.until("ended", lambda: os.waitpid(child, os.WNOHANG)[0] == child)
            ended.append(child)
        records = [server.next() for _ in range(3)]
        theirs = [r["context"]["key"] for r in records if r["process"] == child]
        self.assertEqual(len(theirs), 1, records)
        self.assertTrue(theirs[0].startswith("0@" + job.id + "/"), theirs)

    def test_many_files(self):
        """A descriptor beyond those that select knows is as good as any."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 1200:
            self.skipTest("no more than %d files may be open" % hard)
        if soft != resource.RLIM_INFINITY and soft < 1200:
            resource.setrlimit(resource.RLIMIT_NOFILE, (1200, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        files = []
        self.addCleanup(lambda: [os.close(fd) for fd in files])
        server = self.server()
        while not files or files[-1] < 1024:
            files.append(os.open(os.devnull, os.O_RDONLY))
        handler = self.handler(server.address, transport="zmtp")
        logging.info("x")
        self.assertEqual(server.next()["message"], "x", handler.stats())

    def test_end_waits_once(self):
        """A program's end, which is flush and close, waits as long as one of them."""
        free = socket.socket()
        free.bind(("127.0.0.1", 0))
        self.addCleanup(free.close)  # nobody listens
        handler = self.handler("tcp://127.0.0.1:%d" % free.getsockname()[1], close_timeout=0.2)
        logging.info("x")
        waits, wait_for = [], handler._changed.wait_for

        def waiting(ok, timeout=None):
            if threading.current_thread() is threading.main_thread():
                waits.append(timeout)
            return wait_for(ok, timeout)

        handler._changed.wait_for = waiting
        handler.flush()
        handler.close()
        self.assertEqual(waits[1:], [0], "it waits again although nothing has changed")
        self.assertEqual(handler.stats()["dropped_closed"], 1)

    def test_hostile(self):
        greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
        for said in (
            b"", b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(64), greeting.replace(b"\x7f\x03", b"\x7f\x01"), greeting.replace(b"NULL\0", b"CURVE"),
            greeting + b"\x06\x7f" + b"\xff" * 7, greeting + b"\x02" + b"\xff" * 8, greeting + b"\xff\xff" + bytes(8), greeting + b"\x00\x01x",
            greeting + b"\x04\x08\x05ERROR\x01x", greeting + b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB", greeting + b"\x04\x03\x02xx" * 100,
        ):
            server = self.server(said=said)
            handler = self.handler(server.address, transport="zmtp", close_timeout=0.05)
            logging.info("x")
            self.until("refused", lambda: handler.stats()["last_error"])
            handler.close()
            stats = handler.stats()
            self.assertEqual((stats["connections"], stats["sent"], stats["dropped_closed"]), (0, 0, 1), (said, stats))
            self.root.removeHandler(handler)
            server.close()

    def test_ping(self):
        def serve(pull, conn, stream):
            conn.sendall(b"\x04\x08\x07UNKNOWN\x04\x0a\x04PING\x00\x05abc")
            flags, body = 0, b""
            while not flags & 4:
                flags, body = pull.part(stream)
            pull.received.put(body)

        server = self.server(serve=serve)
        self.handler(server.address, transport="zmtp")
        logging.info("x")
        self.assertEqual(server.received.get(timeout=LIMIT), b"\x04PONGabc")

    def test_fork(self):
        server = self.server()
        handler = self.handler(server.address)
        logging.info("parent")
        self.assertEqual(server.next()["message"], "parent")
        child = os.fork()
        if child == 0:
            logging.info("child")
            handler.close()
            os._exit(0)
        os.waitpid(child, 0)
        record = server.next()
        self.assertEqual((record["message"], record["process"]), ("child", child))

    def test_mistakes(self):
        for wrong in ({"system": ""}, {"system": "TS"}, {"transport": "udp"}):
            with self.assertRaises(ValueError):
                weirlog.ZmqHandler("tcp://127.0.0.1:5010", **wrong)
        for endpoint in ("", "tcp://*:5010", "tcp://x", "udp://x:1", "tcp://x:0", "ipc://"):
            with self.assertRaises(ValueError, msg=endpoint):
                weirlog.ZmqHandler(endpoint)
        with self.assertRaises(TypeError):
            weirlog.ZmqHandler("tcp://127.0.0.1:5010").setFormatter(logging.Formatter())

    def test_too_long(self):
        server = self.server()
        handler = self.handler(server.address)
        logging.info("x" * (1 << 20))
        self.assertEqual(handler.stats()["dropped_too_long"], 1)

    def test_exit(self):
        """What a program logged last arrives although it ends at once."""
        server = self.server()
        program = "import logging, weirlog; logging.getLogger().addHandler(weirlog.ZmqHandler(%r, transport=%r)); logging.error('last')"
        for transport in TRANSPORTS:
            began = time.monotonic()
            done = subprocess.run([sys.executable, "-c", program % (server.address, transport)], capture_output=True, timeout=LIMIT,
                                  cwd=os.path.dirname(os.path.abspath(weirlog.__file__)))
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertEqual(server.next()["message"], "last")
            self.assertLess(time.monotonic() - began, LIMIT)


if __name__ == "__main__":
    unittest.main()
