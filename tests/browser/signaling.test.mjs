// The page's session with the server, beside a server and a clock that do what the test says.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

// As modules whatever this version of Node takes files named .js for.
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bedside-page-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
fs.cpSync(fileURLToPath(new URL('../../signaling/session-page', import.meta.url)), folder, { recursive: true });
fs.writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
const { Signaling } = await import(pathToFileURL(path.join(folder, 'signaling.js')));

const settled = () => new Promise((resolve) => { setImmediate(resolve); });

/** Everything the page's session touches: time, one server, the network between. */
class World {
  now = 0;
  #timers = new Map();
  #lastTimer = 0;
  /** Every WebSocket that was made, with what was `sent`; `open` until it is closed. */
  sockets = [];
  /** Requests without an answer; `reply(status, body)` answers. */
  requests = [];
  /** Bodies of all requests. */
  asked = [];
  /** The page's reports: messages, transports, refusals. */
  heard = [];
  transports = [];

  constructor() {
    const world = this;
    const set = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    set('location', { protocol: 'https:', host: 'visit.test' });
    set('performance', { now: () => world.now });
    set('setTimeout', (then, wait) => {
      world.#timers.set(++world.#lastTimer, { at: world.now + wait, then });
      return world.#lastTimer;
    });
    set('clearTimeout', (id) => world.#timers.delete(id));
    set('WebSocket', class {
      sent = [];
      open = true;
      constructor() { world.sockets.push(this); }
      send(text) { this.sent.push(JSON.parse(text)); }
      close() { this.open = false; }
      hear(message) { this.onmessage({ data: JSON.stringify(message) }); }
    });
    set('fetch', (url, { body, signal }) => new Promise((resolve, reject) => {
      const request = { ...JSON.parse(body), at: world.now, aborted: false };
      const over = () => { world.requests = world.requests.filter((one) => one !== request); };
      request.reply = (status, answer) => {
        over();
        resolve({ ok: status === 200, status, json: async () => ({ success: status === 200, ...answer }) });
        return settled();
      };
      signal.addEventListener('abort', () => {
        over();
        request.aborted = true;
        reject(new DOMException('aborted', 'AbortError'));
      });
      world.requests.push(request);
      world.asked.push(request);
    }));
    this.session = new Signaling({ roomId: 'r', participantId: 'p1', token: 't', name: 'Ann' }, {
      message: (message) => { this.heard.push(message); this.onMessage?.(message); },
      transport: (transport) => this.transports.push(transport),
      refused: (problem) => assert.fail(JSON.stringify(problem)),
    });
  }

  /** Lets time pass; what is due happens in its order. */
  async advance(milliseconds) {
    const end = this.now + milliseconds;
    for (;;) {
      await settled();
      const [id, next] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
      if (!next || next.at > end) break;
      this.#timers.delete(id);
      this.now = Math.max(this.now, next.at);
      next.then();
    }
    this.now = end;
  }

  waiting(action) { return this.requests.find((request) => request.action === action); }

  pings() { return this.asked.filter(({ message }) => message?.type === 'ping').length; }

  /** Attached by a WebSocket. */
  async bySocket() {
    this.session.start({ allowSocket: true });
    const [socket] = this.sockets;
    socket.onopen();
    socket.hear({ type: 'existing-peers', peers: [], seq: 1 });
    await settled();
    assert.deepEqual(this.transports, ['socket']);
    return socket;
  }

  /** Attached by a long poll, which is parked. */
  async byPoll() {
    this.session.start({ allowSocket: false });
    await settled();
    await this.waiting('poll').reply(200, { messages: [{ type: 'existing-peers', peers: [], seq: 1 }], clientSeq: 0 });
    assert.deepEqual(this.transports, ['poll']);
    return this.waiting('poll');
  }
}

const types = (messages) => messages.map(({ type }) => type);

test('a silent WebSocket is asked after 4 s, and given up when nobody answers for 4 s', async () => {
  const world = new World();
  const socket = await world.bySocket();
  await world.advance(3_999);
  assert.deepEqual(types(socket.sent), ['join']);
  await world.advance(1);
  assert.deepEqual(types(socket.sent), ['join', 'ping']);
  await world.advance(3_999);
  socket.hear({ type: 'pong' });
  await world.advance(4_000);
  assert.deepEqual(types(socket.sent), ['join', 'ping', 'ping']);
  assert.ok(socket.open);
  await world.advance(4_000);
  assert.ok(!socket.open);
  assert.deepEqual(world.transports, ['socket', null]);
  // At once by the way that goes through most firewalls, from where the session was.
  const { wait, after: from } = world.waiting('poll');
  assert.deepEqual({ wait, from }, { wait: 0, from: 1 });
  assert.deepEqual(types(world.heard), ['existing-peers'], 'an answer to a ping is nobody else’s business');
  world.session.close({ leave: false });
});

test('a server that speaks is not asked', async () => {
  const world = new World();
  const socket = await world.bySocket();
  for (let seq = 2; seq < 12; seq += 1) {
    await world.advance(3_900);
    socket.hear({ type: 'media-state', fromPeerId: 'p2', seq });
  }
  assert.deepEqual(types(socket.sent), ['join']);
  world.session.close({ leave: false });
  await world.advance(60_000);
  assert.deepEqual(types(socket.sent), ['join'], 'nothing goes on behind the end');
  assert.equal(world.asked.length, 0);
});

test('beside a parked poll the server is asked, and silence ends the poll', async () => {
  const world = new World();
  const parked = await world.byPoll();
  assert.equal(parked.wait, 25);
  for (const status of [200, 429, 200]) {
    await world.advance(4_000);
    await world.waiting('signal').reply(status, {});
  }
  assert.equal(world.pings(), 3);
  assert.ok(!parked.aborted);
  await world.advance(4_000);
  assert.equal(world.pings(), 4);
  await world.advance(4_000);
  assert.ok(parked.aborted);
  assert.deepEqual(world.transports, ['poll', null]);
  await world.advance(1_000);
  await world.waiting('poll').reply(200, { messages: [{ type: 'resumed', clientSeq: 0, seq: 2 }], clientSeq: 0 });
  assert.deepEqual(world.transports, ['poll', null, 'poll']);
  world.session.close({ leave: false });
});

test('a poll has 4 s beyond its wait, and 8 s after one that nobody answered', async () => {
  const world = new World();
  const parked = await world.byPoll();
  // The pings are answered, by somebody on the way, say: the poll has an end of its own.
  for (let i = 0; i < 7; i += 1) {
    await world.advance(4_000);
    await world.waiting('signal').reply(200, {});
  }
  await world.advance(999);
  assert.ok(!parked.aborted);
  await world.advance(1);
  assert.ok(parked.aborted);

  const before = world.asked.length;
  await world.advance(120_000);
  const probes = world.asked.slice(before);
  assert.ok(probes.every(({ action, wait }) => action === 'poll' && wait === 0));
  // 8 s for the answer, in which TCP asks again after 1, 3 and 7 s, and half a second of pause: a server that is
  // back is found within 5 s.
  for (let i = 1; i < probes.length; i += 1) assert.ok(probes[i].at - probes[i - 1].at <= 8_500);
  world.session.close({ leave: false });
});

test('a refusal that comes late does not throw away what was said since', async () => {
  for (const [status, kind] of [[404, 'offer'], [503, 'admit']]) {
    const world = new World();
    const parked = await world.byPoll();
    world.onMessage = ({ type }) => {
      if (type === 'existing-peers') world.session.send({ type: 'offer', targetPeerId: 'p2', offer: 'fresh' });
    };
    world.session.send({ type: kind, peerId: 'p2', targetPeerId: 'p2', offer: 'stale' });
    const stale = world.waiting('signal');
    await parked.reply(200, { messages: [{ type: 'existing-peers', peers: ['p2'], seq: 2 }], clientSeq: 0 });
    await stale.reply(status, { error: 'no' });
    await world.advance(1_000);
    assert.equal(world.waiting('signal')?.message.offer, 'fresh');
    world.session.close({ leave: false });
  }
});

test('of what went into a lost WebSocket exactly what did not arrive is posted, in its order', async () => {
  const world = new World();
  const socket = await world.bySocket();
  for (const offer of ['first', 'second', 'third']) world.session.send({ type: 'offer', targetPeerId: 'p2', offer });
  assert.deepEqual(socket.sent.slice(1).map(({ offer, clientSeq }) => [offer, clientSeq]),
    [['first', 1], ['second', 2], ['third', 3]]);
  socket.onclose({ code: 1006 });
  await settled();
  assert.equal(world.waiting('signal'), undefined, 'nothing is said before the server says what it has');
  await world.waiting('poll').reply(200, { messages: [], clientSeq: 1 });
  for (let posts = 0; posts < 2; posts += 1) await world.waiting('signal').reply(200, {});
  await world.advance(1_000);
  const posted = world.asked.filter(({ action, message }) => action === 'signal' && message.type === 'offer');
  assert.deepEqual(posted.map(({ message, clientSeq }) => [message.offer, clientSeq]), [['second', 2], ['third', 3]]);
  assert.deepEqual(world.transports, ['socket', null, 'poll']);
  world.session.close({ leave: false });
});

test('what comes by the poll and by the WebSocket, in either order, is reported once', async () => {
  const world = new World();
  const first = await world.bySocket();
  const heard = () => world.heard.filter(({ type }) => type === 'media-state').map(({ seq }) => seq);
  const said = (seq) => ({ type: 'media-state', fromPeerId: 'p2', seq });
  first.onclose({ code: 1006 });
  await settled();
  await world.waiting('poll').reply(200, { messages: [], clientSeq: 0 });
  const second = world.sockets[1];
  second.onopen();
  assert.equal(second.sent[0].after, 1);
  await world.waiting('poll').reply(200, { messages: [said(2)], clientSeq: 0 });
  // What the server replays to the WebSocket crosses the answers of polls.
  second.hear(said(2));
  second.hear(said(3));
  await world.waiting('poll').reply(200, { messages: [said(2), said(3), said(4)], clientSeq: 0 });
  second.hear(said(4));
  second.hear({ type: 'resumed', clientSeq: 0, seq: 5 });
  second.hear(said(6));
  assert.deepEqual(heard(), [2, 3, 4, 6]);
  assert.deepEqual(world.transports, ['socket', null, 'poll', 'socket']);
  world.session.close({ leave: false });
});
