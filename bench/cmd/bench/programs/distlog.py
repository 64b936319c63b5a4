"""make FILE N json|pickle: messages as they stand on the wire, of records as Python's logging makes them.
pull ENDPOINT N none|json|pickle: take so many, and decode them."""
import json, pickle, random, struct, sys, uuid


def frame(body, more):
    if len(body) < 256:
        return bytes([more, len(body)]) + body
    return bytes([more | 2]) + struct.pack('>Q', len(body)) + body


def make(path, n, encoding):
    rnd = random.Random(7)
    names = ['shop.cart', 'shop.order', 'db.pool', 'http.server', 'root']
    levels = [(20, 'INFO'), (10, 'DEBUG'), (30, 'WARNING'), (40, 'ERROR')]
    at, scope, seq = 1795197433.0, '', 0
    with open(path, 'wb') as out:
        for i in range(n):
            at += rnd.random() * 0.002
            if i % 20 == 0:
                scope, seq = str(uuid.UUID(int=rnd.getrandbits(128))), 0
            name = rnd.choice(names)
            level = rnd.choices(levels, [80, 12, 5, 3])[0]
            module = name.split('.')[-1]
            millis = float(int(at * 1000) % 1000)
            record = {
                'name': name, 'msg': 'order %d of %s took %d ms', 'args': None, 'levelname': level[1], 'levelno': level[0],
                'pathname': '/srv/apps/shop/' + name.replace('.', '/') + '.py', 'filename': module + '.py', 'module': module,
                'exc_info': None, 'exc_text': None, 'stack_info': None, 'lineno': rnd.randrange(10, 400), 'funcName': 'handle',
                'created': at, 'msecs': millis, 'relativeCreated': (at - 1795197000) * 1000, 'thread': 140400928568000,
                'threadName': 'MainThread', 'processName': 'MainProcess', 'process': 9139,
                'context': {'key': '%d@%s/%d' % (seq, scope, rnd.randrange(1, 4)), 'job': 'checkout'},
                'message': 'order %d of user%d took %d ms' % (rnd.randrange(10**6), rnd.randrange(500), rnd.randrange(900)),
                'asctime': '2026-11-20 17:57:13,%03d' % int(millis), 'hostname': 'web-1'}
            seq += 1
            body = json.dumps(record).encode() if encoding == 'json' else pickle.dumps(record, 2)
            out.write(frame(b'PLJ' if encoding == 'json' else b'PLP', 1) + frame(body, 0))


def pull(endpoint, n, decoding):
    import zmq
    decode = {'none': len, 'json': json.loads, 'pickle': pickle.loads}[decoding]
    socket = zmq.Context().socket(zmq.PULL)
    socket.bind(endpoint)
    for _ in range(n):
        topic, body = socket.recv_multipart()
        decode(body)
    print(n)


if sys.argv[1] == 'make':
    make(sys.argv[2], int(sys.argv[3]), sys.argv[4])
else:
    pull(sys.argv[2], int(sys.argv[3]), sys.argv[4])
