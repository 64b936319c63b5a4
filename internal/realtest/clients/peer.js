// Calls hot-shots as often as it is told: node peer.js udp|tcp|unix ADDRESS CALLS MODULES
const [kind, address, calls, modules] = process.argv.slice(2);
const StatsD = require(modules + '/hot-shots');
const options = { protocol: kind === 'unix' ? 'stream' : kind, globalTags: { env: 'prod' }, maxBufferSize: kind === 'udp' ? 1432 : 0, errorHandler: e => { console.error(e); process.exit(1); } };
if (kind === 'unix') {
  options.stream = require('net').connect(address);
} else {
  const at = address.lastIndexOf(':');
  options.host = address.slice(0, at);
  options.port = Number(address.slice(at + 1));
}
const client = new StatsD(options);
let i = 0;
(function some() { // a pause now and then, so that a socket's buffer is not overrun
  for (const end = Math.min(i + 100, Number(calls)); i < end; i++) {
    client.increment('hits', ['web']);
    client.increment('bytes', i);
    client.decrement('down');
    client.gauge('level', -i, { pool: 'a' });
    client.timing('took', 250);
    client.histogram('size', 3);
    client.distribution('spread', 4);
    client.set('users', 'user' + i % 10);
  }
  if (i < Number(calls)) return setImmediate(some);
  client.event('deployed', 'line one\nline two');
  client.check('db', client.CHECKS.CRITICAL);
  client.close(error => { if (error) { console.error(error); process.exit(1); } if (options.stream) options.stream.end(); });
})();
