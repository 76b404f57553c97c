// What some companies put between their browsers and the internet: ends TLS with a certificate of its own,
// reads HTTP and passes it on without its hop-by-hop fields, Upgrade among them (RFC 9110 §7.6.1).
//
//   intercepting-proxy.mjs PORT CERTIFICATE KEY SERVER   prints "ready", then a line for each request

import fs from 'node:fs';
import https from 'node:https';

const [port, certificate, key, server] = process.argv.slice(2);
const kHopByHop = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'];
const onward = new https.Agent({ keepAlive: true, rejectUnauthorized: false });

function withoutHops(headers) {
  const named = String(headers.connection ?? '').toLowerCase().split(',').map((name) => name.trim());
  return Object.fromEntries(Object.entries(headers)
    .filter(([name]) => !kHopByHop.includes(name) && !named.includes(name)));
}

// Without a listener for "upgrade", node gives such a request to us like any other.
const proxy = https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, (request, response) => {
  const stripped = request.headers.upgrade ? ' upgrade-stripped' : '';
  process.stdout.write(`${request.method} ${request.url.split('?')[0]}${stripped}\n`);
  const { host } = request.headers;
  const passed = https.request({
    host: server, port: 443, servername: host, agent: onward,
    method: request.method, path: request.url, headers: withoutHops(request.headers),
  }, (answer) => {
    response.writeHead(answer.statusCode, withoutHops(answer.headers));
    answer.pipe(response);
  });
  passed.on('error', () => response.destroy());
  response.on('close', () => passed.destroy());
  request.pipe(passed);
});
proxy.listen(Number(port), () => process.stdout.write('ready\n'));
