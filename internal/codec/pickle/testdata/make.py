#!/usr/bin/python3
"""Writes values.txt: values of many types in every protocol, and the JSON that is expected of each."""
import base64, collections, datetime, decimal, fractions, ipaddress, json, pathlib, pickle, pickletools, uuid


class Order:
    def __init__(self, number, items):
        self.number, self.items = number, items


class Slotted:
    __slots__ = ("a",)


class Names(dict):
    pass


class Point(collections.namedtuple("Point", "x y")):
    pass


def slotted():
    s = Slotted()
    s.a = 1
    return s


utc = datetime.timezone.utc
east = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
shared = {"k": [1]}
same = object()
VALUES = {
    "none": None, "true": True, "false": False, "zero": 0, "byte": 255, "two": 65535, "four": 2**31 - 1, "negative": -1, "minus": -2**31,
    "long": 2**40, "most": 2**63 - 1, "least": -2**63, "more": 2**63, "less": -2**63 - 1, "big": 7**300, "bigger": -7**700,
    "float": 1.5, "whole": 3.0, "small": 1e-7, "tenth": 0.1, "large": 1e16, "larger": 1.7976931348623157e308, "below": 123456789012345.6, "-0": -0.0,
    "nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"),
    "empty": "", "text": "hello", "quotes": "a\"b'c\\d\n\t\r\x00\x1f\x7f", "umlaut": "häß", "emoji": "x😀y", "half": "a\ud800b", "kilo": "k" * 300, "line": "\u2028",
    "list": [1, [2, []], "x"], "tuple": (1,), "two-tuple": (1, 2), "three": (1, 2, 3), "four-tuple": (1, 2, 3, 4), "empties": [(), [], {}],
    "dict": {"a": 1, "b": {"c": None}}, "keys": {1: "a", None: "c", 2.5: "d", 2**70: "e"}, "shared": [shared, shared],
    "many": list(range(2500)), "large-dict": {str(i): i for i in range(1500)},
}
RICH = {
    "bytes": (b"abc", "abc"), "binary": (b"\xff\x00a", "\\xff\x00a"), "long-bytes": (b"z" * 300, "z" * 300), "no-bytes": (b"", ""),
    "bytearray": (bytearray(b"xy\xfe"), "xy\\xfe"), "set": ({1}, [1]), "no-set": (set(), []), "frozenset": (frozenset(["a"]), ["a"]),
    "complex": (1 + 2j, "(1+2j)"), "complex-minus": (complex(0.5, -1.5), "(0.5-1.5j)"), "range": (range(3), "range(0, 3, 1)"),
    "datetime": (datetime.datetime(2026, 11, 20, 17, 56, 45, 88000), "2026-11-20T17:56:45.088000"),
    "seconds": (datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"), "year-1": (datetime.datetime(1, 1, 1), "0001-01-01T00:00:00"),
    "fold": (datetime.datetime(2026, 10, 25, 2, 30, fold=1), "2026-10-25T02:30:00"),
    "utc": (datetime.datetime(2026, 11, 20, 17, 56, 45, tzinfo=utc), "2026-11-20T17:56:45+00:00"),
    "east": (datetime.datetime(2026, 11, 20, 17, 56, 45, 1, tzinfo=east), "2026-11-20T17:56:45.000001+05:30"),
    "west": (datetime.timezone(datetime.timedelta(hours=-8)), "-08:00"),
    "date": (datetime.date(2026, 11, 20), "2026-11-20"), "time": (datetime.time(1, 2, 3), "01:02:03"), "time-utc": (datetime.time(1, 2, 3, 4, tzinfo=utc), "01:02:03.000004+00:00"),
    "span": (datetime.timedelta(days=1, seconds=2, microseconds=500000), 86402.5), "back": (datetime.timedelta(seconds=-1), -1.0),
    "decimal": (decimal.Decimal("1.50"), "1.50"), "fraction": (fractions.Fraction(1, 3), "1/3"),
    "uuid": (uuid.UUID("12345678-1234-5678-9abc-def012345678"), "12345678-1234-5678-9abc-def012345678"), "uuid-0": (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    "path": (pathlib.PosixPath("/var/log/x.log"), "/var/log/x.log"), "relative": (pathlib.PurePosixPath("a/b"), "a/b"), "here": (pathlib.PurePosixPath("."), "."),
    "windows": (pathlib.PureWindowsPath("c:\\a\\b"), "c:\\a\\b"),
    "address": (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"), "address-6": (ipaddress.ip_address("2001:db8::1"), "2001:db8::1"), "local": (ipaddress.ip_address("::1"), "::1"), "network": (ipaddress.ip_network("fe80::/10"), "fe80::/10"),
    "ordered": (collections.OrderedDict([("b", 1), ("a", 2)]), {"b": 1, "a": 2}), "default": (collections.defaultdict(list, x=[1]), {"x": [1]}),
    "counter": (collections.Counter("aab"), {"a": 2, "b": 1}), "deque": (collections.deque([1, 2], 5), [1, 2]),
    "error": (ValueError("no", 5), {"class": "ValueError", "args": ["no", 5]}), "class": (ValueError, "ValueError"), "function": (len, "len"),
    "order": (Order(7, ["x"]), {"class": "__main__.Order", "state": {"number": 7, "items": ["x"]}}),
    "slots": (slotted(), {"class": "__main__.Slotted", "state": [None, {"a": 1}]}),
    "names": (Names(a=1), {"class": "__main__.Names", "dict": {"a": 1}}), "point": (Point(1, 2), {"class": "__main__.Point", "args": [1, 2]}),
    "uuid-twice": ((lambda u: [u, u])(uuid.UUID(int=1)), ["00000000-0000-0000-0000-000000000001"] * 2),
}


def cycle():
    a = [1]
    a.append(a)
    return a


def line(name, protocol, body, want):
    text = json.dumps(want, separators=(",", ":"), ensure_ascii=False)
    text = text.replace("\ud800", "\\ud800")
    return "\t".join([name, str(protocol), base64.b64encode(body).decode(), text]) + "\n"


def main():
    with open("values.txt", "w", encoding="utf-8") as out:
        for protocol in range(6):
            for name, value in VALUES.items():
                if name in ("many", "large-dict") and protocol not in (0, 1, 2, 4):
                    continue
                body = pickle.dumps(value, protocol)
                if protocol == 4:
                    body = pickletools.optimize(body)
                out.write(line(name, protocol, body, value))
            for name, (value, want) in RICH.items():
                if protocol < 2 and name in ("slots", "names", "point"):
                    continue
                out.write(line(name, protocol, pickle.dumps(value, protocol), want))
            out.write(line("cycle", protocol, pickle.dumps(cycle(), protocol), [1, "..."]))
        # what Python 3 reads, but does not write
        for name, body, want in [
            ("py2 str", b"U\x03abc.", "abc"), ("py2 long str", b"T\x03\0\0\0abc.", "abc"), ("py2 repr", b"S'a\\x41\\n\\'\"'\n.", "aA\n'\""), ("py2 repr 2", b'S"it\'s"\n.', "it's"),
            ("py2 bool", b"I01\n.", True), ("py2 long", b"L5L\n.", 5), ("py2 set", b"\x80\x02c__builtin__\nset\n]K\x01a\x85R.", [1]),
            ("py2 old class", b"(i__main__\nOld\n(dS'a'\nI1\nsb.", {"class": "__main__.Old", "state": {"a": 1}}),
            ("py2 obj", b"(c__main__\nOld\nK\x05o.", {"class": "__main__.Old", "args": [5]}),
            ("py2 error", b"\x80\x02cexceptions\nKeyError\nU\x01k\x85R.", {"class": "KeyError", "args": ["k"]}),
            ("py2 ordered", b"\x80\x02ccollections\nOrderedDict\n]]U\x01aK\x01eea\x85R.".replace(b"]]U\x01aK\x01eea", b"](](U\x01aK\x01ee"), {"a": 1}),
            ("reconstructor", b"ccopy_reg\n_reconstructor\n(c__main__\nX\nc__builtin__\nobject\nNtR(dS'n'\nI1\nsb.", {"class": "__main__.X", "state": {"n": 1}}),
            ("extension", b"\x82\x07.", "extension 7"), ("persistent", b"Pid1\n.", {"class": "persistent id", "args": ["id1"]}), ("persistent 2", b"K\x01Q.", {"class": "persistent id", "args": [1]}),
            ("old fraction", b"\x80\x02cfractions\nFraction\nX\x03\0\0\x001/3\x85R.", "1/3"), ("pop", b"K\x01K\x020.", 1), ("pop mark", b"K\x01(K\x02K\x031.", 1), ("dup", b"]2a.", ["..."]), ("rest", b"K\x01.whatever", 1),
            ("keywords", b"\x80\x04c__main__\nX\n)}\x8c\x01aK\x01s\x92.", {"class": "__main__.X", "args": [[], {"a": 1}]}),
            ("code", b"cos\nsystem\n(S'echo'\ntR.", {"class": "os.system", "args": ["echo"]}), ("code of a call", b"c__builtin__\ngetattr\n(cos\nsystem\nS'x'\ntR)R.",
             {"class": {"class": "getattr", "args": ["os.system", "x"]}}),
        ]:
            out.write(line(name, -1, body, want))


if __name__ == "__main__":
    main()
