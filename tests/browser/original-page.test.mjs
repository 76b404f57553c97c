// The kind of page that was there before us: protocol section 1 and nothing else. No token, no `after`,
// no long poll, no iceServers; one WebSocket at `/`.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, Server, until } from './support.mjs';

let server;
let browser;
before(async () => {
  server = await Server.start();
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Runs in the page, which has no script of ours: joins and does what section 1 says. */
async function enter({ room, name, media }) {
  const joined = await fetch('/api/webrtc-signaling', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ action: 'join-room', roomId: room, participantName: name }),
  });
  const { success, participantId } = await joined.json();
  if (!success) throw new Error(`join-room answered ${joined.status}`);
  const own = media && await navigator.mediaDevices.getUserMedia({
    audio: true, video: { width: 64, height: 48, frameRate: 5 },
  });
  const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/`);
  const connections = new Map();
  const heard = [];
  const errors = [];
  window.original = { participantId, socket, connections, heard, errors };
  const send = (message) => socket.send(JSON.stringify(message));
  const connectionWith = (peerId) => {
    const connection = new RTCPeerConnection();
    connections.set(peerId, connection);
    for (const track of own ? own.getTracks() : []) connection.addTrack(track, own);
    connection.onicecandidate = ({ candidate }) => {
      if (candidate) send({ type: 'ice-candidate', targetPeerId: peerId, candidate });
    };
    return connection;
  };
  // One message after the other: what WebRTC does with one takes time.
  let last = Promise.resolve();
  const take = async (message) => {
    heard.push(message);
    const { type, fromPeerId } = message;
    if (type === 'existing-peers') {
      for (const peerId of message.peers) {
        const connection = connectionWith(peerId);
        if (!own) connection.createDataChannel('instead of media');
        const offer = await connection.createOffer();
        send({ type: 'offer', targetPeerId: peerId, offer });
        await connection.setLocalDescription(offer);  // candidates come from here on, behind the offer
      }
    } else if (type === 'offer') {
      const connection = connectionWith(fromPeerId);
      await connection.setRemoteDescription(message.offer);
      const answer = await connection.createAnswer();
      send({ type: 'answer', targetPeerId: fromPeerId, answer });
      await connection.setLocalDescription(answer);
    } else if (type === 'answer') {
      await connections.get(fromPeerId).setRemoteDescription(message.answer);
    } else if (type === 'ice-candidate') {
      await connections.get(fromPeerId).addIceCandidate(message.candidate);
    } else if (type === 'peer-left') {
      connections.get(message.peerId)?.close();
      connections.delete(message.peerId);
    }
  };
  socket.onmessage = ({ data }) => {
    last = last.then(() => take(JSON.parse(data))).catch((error) => errors.push(String(error)));
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error('no WebSocket'));
  });
  send({ type: 'join', roomId: room, peerId: participantId, peerName: name });
}

/** Runs in the page: from how many of the others pictures are seen; without media, with how many there is a connection. */
async function reached(media) {
  const each = await Promise.all([...window.original.connections.values()].map(async (connection) => {
    if (!media) return connection.connectionState === 'connected';
    const stats = [...(await connection.getStats()).values()];
    return stats.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video')?.framesDecoded > 0;
  }));
  return each.filter(Boolean).length;
}

/** Runs in the page: who sent what, and whom it was told to call. */
function conversation() {
  const { participantId, heard } = window.original;
  const from = (wanted) => heard.filter(({ type }) => type === wanted).map(({ fromPeerId }) => fromPeerId).sort();
  const lists = heard.filter(({ type }) => type === 'existing-peers');
  return { participantId, lists: lists.length, existing: [...lists[0].peers].sort(), offers: from('offer'), answers: from('answer') };
}

/** Everybody has called whom they were told to, once, and was called by all the others, once. */
async function assertConversation(pages) {
  const said = await Promise.all(pages.map((page) => page.evaluate(conversation)));
  const everybody = said.map(({ participantId }) => participantId).sort();
  for (const { participantId, lists, existing, offers, answers } of said) {
    assert.equal(lists, 1);
    assert.deepEqual(answers, existing);
    assert.deepEqual([participantId, ...existing, ...offers].sort(), everybody);
  }
}

// Eight people are 56 pictures in one browser: more than the machine of a usual run has time for. Without this their
// connections carry a data channel instead; the signaling is the same.
const kCrowd = process.env.BEDSIDE_CROWD === '1';

for (const [count, media] of [[2, true], [3, true], [8, kCrowd]]) {
  const what = media ? 'see and hear each other' : 'have connections with each other';
  test(`${count} people with the original page ${what}, and notice who leaves`, async () => {
    // It runs inside our front page, whose policy would not let it.
    const context = await browser.newContext({ bypassCSP: true });
    const room = await server.createRoom(`original-${count}`);
    const pages = [];
    for (let i = 0; i < count; i += 1) {
      const page = await context.newPage();
      await page.goto(server.url('/'));
      await page.evaluate(enter, { room, name: `Person ${i + 1}`, media });
      pages.push(page);
    }
    for (const page of pages) {
      await until(`${count - 1} others`, async () => await page.evaluate(reached, media) === count - 1, 90_000);
    }
    await assertConversation(pages);
    const leaver = await pages[0].evaluate(() => {
      const { socket, participantId } = window.original;
      socket.send(JSON.stringify({ type: 'leave', roomId: 'ignored', peerId: participantId }));
      return participantId;
    });
    for (const page of pages.slice(1)) {
      await until('the departure', () => page.evaluate((id) =>
        window.original.heard.some(({ type, peerId }) => type === 'peer-left' && peerId === id), leaver));
    }
    for (const page of pages.slice(1)) {
      const left = () => window.original.heard.filter(({ type }) => type === 'peer-left').map(({ peerId }) => peerId);
      assert.deepEqual(await page.evaluate(left), [leaver]);
      assert.equal(await page.evaluate(() => window.original.connections.size), count - 2);
    }
    for (const page of pages) assert.deepEqual(await page.evaluate(() => window.original.errors), []);
    await context.close();
  });
}
