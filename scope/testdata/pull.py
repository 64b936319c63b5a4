"""Receives as distlog's daemon does, with libzmq: pull.py NULL|PLAIN COUNT. Prints its address,
then what it got of each record."""
import json
import sys

import zmq
import zmq.auth.thread

mechanism, count = sys.argv[1], int(sys.argv[2])
context = zmq.Context()
socket = context.socket(zmq.PULL)
auth = None
if mechanism == "PLAIN":
    auth = zmq.auth.thread.ThreadAuthenticator(context)
    auth.start()
    auth.configure_plain(domain="*", passwords={"anna": "s3cret"})
    socket.plain_server = True
socket.setsockopt(zmq.HEARTBEAT_IVL, 20)
socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 20000)  # or a busy machine is taken for a dead one
print("tcp://127.0.0.1:%d" % socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
for _ in range(count):
    topic, body = socket.recv_multipart()
    record = json.loads(body)
    again = json.dumps(record).encode()  # what Python itself would have written
    print(json.dumps({
        "topic": topic.decode(),
        "same": again == body,
        "line": "%(asctime)s %(levelname)s %(name)s %(filename)s:%(lineno)d %(process)d %(message)s" % record,
        "key": (record["context"] or {}).get("key"),
    }), flush=True)
socket.close()
if auth:
    auth.stop()
context.term()
