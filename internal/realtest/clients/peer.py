"""Calls python3-statsd as often as it is told: peer.py udp|tcp|unix ADDRESS CALLS"""
import sys
import statsd

kind, address, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
if kind == "unix":
    client = statsd.UnixSocketStatsClient(socket_path=address)
else:
    host, port = address.rsplit(":", 1)
    client = (statsd.TCPStatsClient if kind == "tcp" else statsd.StatsClient)(host=host, port=int(port))
for i in range(calls):
    client.incr("hits")
    client.incr("bytes", i)
    client.decr("down")
    client.gauge("level", -i)
    client.gauge("moved", 2, delta=True)
    client.timing("took", 250)
    client.set("users", "user%d" % (i % 10))
pipe = client.pipeline()
for i in range(calls):
    pipe.incr("hits")
    pipe.timing("took", 250)
pipe.send()
client.close()
