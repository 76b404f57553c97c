// Pairs of people in rooms of two who send each other ICE candidates, by WebSocket.
//
//   node signaling_load.mjs URL [API]
//
// API: where Bedside's rooms are made and joined first; other servers need none. Does what the lines on its
// standard input say, answers each with a line, and ends with it:
//   attach SOCKETS      until there are so many; {"sockets":N}
//   talk RATE SECONDS BURST   so many messages a second in all, BURST at once; {"sent":N,"received":N}

import http from 'node:http';
import https from 'node:https';
import readline from 'node:readline';
import WebSocket from 'ws';

const [url, api] = process.argv.slice(2);
const kPerSource = 100;  // connections of one loopback address
const kAtOnce = 50;
const kTick = 10;        // ms
const kCandidate = {
  candidate: 'candidate:842163049 1 udp 1677729535 203.0.113.77 46154 typ srflx raddr 10.0.0.17 rport 46154 '
    + 'generation 0 ufrag EEtu network-id 1 network-cost 10',
  sdpMid: '0', sdpMLineIndex: 0, usernameFragment: 'EEtu',
};

let received = 0;
const { Agent, request } = api?.startsWith('https') ? https : http;
const agent = new Agent({ keepAlive: true, maxSockets: kAtOnce });

function post(fields) {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify(fields);
    const asking = request(api, {
      method: 'POST', agent, rejectUnauthorized: false,
      headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
    }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => { text += chunk; });
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${answer.statusCode} ${text}`));
      });
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

async function attach(number) {
  const roomId = `room-${number >> 1}`;
  let peerId = `peer-${number}`;
  let token;
  if (api) {
    await post({ action: 'create-room', appointmentId: 1, roomName: roomId });
    ({ participantId: peerId, participantToken: token } =
      await post({ action: 'join-room', roomId, participantName: 'Bench' }));
  }
  const source = Math.floor(number / kPerSource);
  const socket = new WebSocket(url, {
    localAddress: `127.30.${source >> 8}.${(source & 255) + 1}`, rejectUnauthorized: false, perMessageDeflate: false,
  });
  await new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => socket.send(JSON.stringify({ type: 'join', roomId, peerId, peerName: 'Bench', token })));
    socket.on('message', (data) => {
      const text = data.toString();
      if (text.includes('"ice-candidate"')) received += 1;
      else if (text.includes('"existing-peers"')) resolve();
    });
    socket.on('close', (code) => { throw new Error(`a socket was closed with ${code}`); });
  });
  return { socket, peerId };
}

/** Everybody in turn, at an even rate, `burst` messages each time. */
async function talk(people, rate, seconds, burst) {
  const texts = people.map((_, index) =>
    JSON.stringify({ type: 'ice-candidate', targetPeerId: people[index ^ 1].peerId, candidate: kCandidate }));
  received = 0;
  let sent = 0;
  const begin = performance.now();
  await new Promise((resolve) => {
    const tick = setInterval(() => {
      const elapsed = Math.min(performance.now() - begin, seconds * 1000);
      for (; sent < elapsed * rate / 1000; sent += burst) {
        const index = (sent / burst) % people.length;
        for (let i = 0; i < burst; i += 1) people[index].socket.send(texts[index]);
      }
      if (elapsed === seconds * 1000) { clearInterval(tick); resolve(); }
    }, kTick);
  });
  for (let waited = 0; received < sent && waited < 5_000; waited += kTick) {
    await new Promise((resolve) => { setTimeout(resolve, kTick); });
  }
  return { sent, received };
}

const people = [];
async function attachUntil(wanted) {
  while (people.length < wanted) {
    const count = Math.min(kAtOnce, wanted - people.length);
    people.push(...await Promise.all(Array.from({ length: count }, (_, index) => attach(people.length + index))));
  }
  agent.destroy();  // what the API's connections cost is not asked
  return { sockets: people.length };
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [verb, ...numbers] = line.split(' ');
  const answer = await (verb === 'attach' ? attachUntil(Number(numbers[0])) : talk(people, ...numbers.map(Number)));
  console.log(JSON.stringify(answer));
}
process.exit(0);
