// Our session with the server: messages in order, none lost, none twice, over whichever transport
// works. The WebSocket comes first; a long poll takes over while it is blocked or broken, and the
// WebSocket takes over again when it opens. `after` tells the server what we have; `clientSeq` tells
// it what it has of ours; a repeat of either is harmless.

import { call } from './api.js';
import { Backoff } from './backoff.js';
import { Liveness } from './liveness.js';
import { openSocketLink } from './socket-link.js';

const kSocketGrace = 3_000;      // ms until the poll stops waiting for the first WebSocket
const kFirstMessage = 8_000;     // ms for the server's first message on an open WebSocket
const kPollSeconds = 25;
// ms for an answer, beyond what the server was asked to wait. Longer after one that did not come: a slow disk
// must not look like a dead server for ever. Not so long that a lost SYN keeps us past the server's return.
const kPollAnswer = 4_000;
const kLongestPollAnswer = 8_000;
// With its jitter, so that everybody is back within 5 s of the server, however long it was away.
const kShortestPollPause = 500;
const kLongestPollPause = 3_000;
const kKeptMessages = 200;       // more unsent ones than this: the oldest go, negotiation repairs it
// The message that completes an attach; replayed ones may come before it.
const kOpeners = new Set(['existing-peers', 'resumed', 'resync', 'waiting']);
const kFinalCodes = new Set(['room-not-found', 'room-ended', 'not-a-participant', 'room-full']);
// What a close says when its message did not arrive.
const kFinalCloses = new Map([[4001, 'room-ended'], [4005, 'removed'], [4006, 'declined']]);

/** @typedef {{roomId: string, participantId: string, token?: string, name: string}} Membership */

const kHostActions = new Set(['admit', 'decline', 'kick', 'lock', 'end-room', 'emergency']);

/** The error message a WebSocket would have brought, for a host's wish that the server did not carry out. */
function hostRefusal(message, { status, message: words }) {
  if (!message || !kHostActions.has(message.type)) return null;
  if (status === 503) return { type: 'error', code: 'unavailable', message: words };
  if (status === 409 && message.type === 'emergency') {
    return { type: 'error', code: 'no-journal', message: words };
  }
  return null;
}

export class Signaling {
  /** @type {Membership} */ #who;
  #pollAnswer = kPollAnswer;
  #on;
  #after = null;         // highest seq we have; null before the first
  #clientSeq = 0;
  #unsent = [];          // not handed to a transport yet
  #unconfirmed = [];     // written to a WebSocket, not known to have arrived
  #link = null;          // the WebSocket in use or being opened
  #attached = null;      // 'socket', 'poll' or null
  #pollAllowed = false;
  #poll = null;          // AbortController of the parked poll
  #sending = false;
  #closed = false;
  #wakers = { socket: null, poll: null };

  /**
   * @param {Membership} who
   * @param {object} on
   * @param {(message: object) => void} on.message
   * @param {(transport: 'socket'|'poll'|null) => void} on.transport  null: nothing works at the moment
   * @param {(problem: {code?: string, status?: number}) => void} on.refused  the server does not want us
   */
  constructor(who, on) {
    this.#who = who;
    this.#on = on;
  }

  /** @param {{allowSocket: boolean}} options */
  start({ allowSocket }) {
    this.#pollAllowed = !allowSocket;
    if (allowSocket) {
      this.#keepSocket();
      setTimeout(() => { this.#pollAllowed = true; this.#wake('poll'); }, kSocketGrace);
    }
    this.#keepPolling();
  }

  get transport() { return this.#attached; }

  send(message) {
    if (this.#closed) return;
    this.#unsent.push({ ...message, clientSeq: ++this.#clientSeq });
    if (this.#unsent.length > kKeptMessages) this.#unsent.shift();
    this.#flush();
  }

  /** The network changed or the device woke up: do not wait for time-outs. */
  refresh() {
    if (this.#closed) return;
    this.#link?.close();
    this.#poll?.abort();
    this.#wake('socket');
    this.#wake('poll');
  }

  /** Says goodbye where that is still possible; nothing is called back afterwards. */
  close({ leave }) {
    if (this.#closed) return;
    const { roomId, participantId, token } = this.#who;
    if (leave) {
      if (this.#attached === 'socket') {
        this.#link.send({ type: 'leave', roomId, peerId: participantId });
      } else {
        call('leave-room', { roomId, participantId, token }).catch(() => {});
      }
    }
    this.#closed = true;
    this.#link?.close();
    this.#poll?.abort();
    this.#wake('socket');
    this.#wake('poll');
  }

  // ---- WebSocket

  async #keepSocket() {
    const pauses = new Backoff(1_000, 20_000);
    while (!this.#closed) {
      const began = performance.now();
      const { code, wasOpen } = await this.#holdSocket();
      if (this.#closed) return;
      this.#pollAllowed = true;
      this.#wake('poll');
      if (kFinalCloses.has(code)) { this.#refuse({ code: kFinalCloses.get(code) }); return; }
      if (wasOpen && performance.now() - began > 10_000) pauses.reset();
      await this.#pause('socket', pauses.next());
    }
  }

  /** Resolves when the socket is over. */
  #holdSocket() {
    return new Promise((resolve) => {
      const { roomId, participantId, token, name } = this.#who;
      const join = { type: 'join', roomId, peerId: participantId, peerName: name };
      if (token) join.token = token;
      if (this.#after !== null) join.after = this.#after;
      let firstMessage = 0;
      const liveness = new Liveness(() => link.send({ type: 'ping' }), () => link.close());
      const link = openSocketLink(join, {
        open: () => { firstMessage = setTimeout(() => link.close(), kFirstMessage); },
        message: (message) => {
          clearTimeout(firstMessage);
          liveness.heard();
          this.#take(message);
          if (this.#attached !== 'socket' && kOpeners.has(message.type)) this.#socketAttached();
        },
        close: (end) => {
          clearTimeout(firstMessage);
          liveness.stop();
          if (this.#link === link) this.#link = null;
          if (this.#attached === 'socket') this.#setTransport(null);
          resolve(end);
        },
      });
      this.#link = link;
    });
  }

  #socketAttached() {
    this.#poll?.abort();
    this.#setTransport('socket');
  }

  // ---- long poll

  async #keepPolling() {
    const pauses = new Backoff(kShortestPollPause, kLongestPollPause);
    while (!this.#closed) {
      if (this.#attached === 'socket' || !this.#pollAllowed) {
        await this.#pause('poll', 60_000);
        continue;
      }
      const began = performance.now();
      try {
        await this.#pollOnce();
        pauses.reset();
        this.#pollAnswer = kPollAnswer;
      } catch (problem) {
        if (this.#closed || this.#attached === 'socket') continue;
        if (!problem.passing && problem.status !== undefined) { this.#refuse(problem); return; }
        if (this.#attached === 'poll') this.#setTransport(null);
        this.#pollAnswer = Math.min(2 * this.#pollAnswer, kLongestPollAnswer);
        // From start to start: an attempt that nobody answered has been a pause already.
        const pause = pauses.next() - (performance.now() - began);
        await this.#pause('poll', Math.max(pause, kShortestPollPause));
      }
    }
  }

  async #pollOnce() {
    const { roomId, participantId, token } = this.#who;
    const poll = new AbortController();
    this.#poll = poll;
    const liveness = new Liveness(() => this.#askByPost(poll, liveness), () => poll.abort());
    // The first one comes back at once: it shows that we are attached.
    const wait = this.#attached === 'poll' ? kPollSeconds : 0;
    if (wait > 0) liveness.heard();
    try {
      const answer = await call('poll', { roomId, participantId, token, after: this.#after ?? 0, wait },
        { signal: poll.signal, timeout: wait * 1000 + this.#pollAnswer });
      if (this.#closed || this.#attached === 'socket') return;
      for (const message of answer.messages ?? []) this.#take(message);
      if (typeof answer.clientSeq === 'number') this.#confirm(answer.clientSeq);
      this.#setTransport('poll');
    } finally {
      liveness.stop();
    }
  }

  /** Beside a parked poll, which is silent by design. */
  #askByPost(poll, liveness) {
    const { roomId, participantId, token } = this.#who;
    call('signal', { roomId, participantId, token, message: { type: 'ping' } }, { signal: poll.signal })
      .then(() => liveness.heard(), ({ status }) => { if (status !== 0) liveness.heard(); });
  }

  async #sendByPost() {
    if (this.#sending) return;
    this.#sending = true;
    const { roomId, participantId, token } = this.#who;
    let message = null;
    try {
      while (this.#attached === 'poll' && this.#unsent.length > 0) {
        [message] = this.#unsent;
        await call('signal',
          { roomId, participantId, token, clientSeq: message.clientSeq, message });
        if (this.#unsent[0] === message) this.#unsent.shift();
      }
    } catch (problem) {
      if (this.#attached !== 'poll' || this.#closed) return;
      // Refused for good, e.g. its target has left: the ones behind it must not wait for ever. What a host
      // does is not tried again by itself: as over a WebSocket, they read why and decide.
      const refusal = hostRefusal(message, problem);
      if ((!problem.passing || refusal) && this.#unsent[0] === message) this.#unsent.shift();
      if (refusal) this.#on.message(refusal);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    } finally {
      this.#sending = false;
    }
    this.#flush();
  }

  // ---- both

  #flush() {
    if (this.#closed || this.#unsent.length === 0) return;
    if (this.#attached === 'poll') {
      this.#sendByPost();
    } else if (this.#attached === 'socket') {
      for (const message of this.#unsent.splice(0)) {
        this.#link.send(message);
        this.#unconfirmed.push(message);
      }
      this.#unconfirmed.splice(0, this.#unconfirmed.length - kKeptMessages);
    }
  }

  #take(message) {
    if (message.type === 'pong') return;
    if (message.type === 'existing-peers') {
      // A new life in the room: what was meant for connections of the previous one is void.
      this.#unsent = [];
      this.#unconfirmed = [];
    } else if (message.type === 'resync') {
      // The server has lost count: it restarted, or we were away too long. Negotiation repairs the rest.
      this.#unconfirmed = [];
    } else if (message.type === 'resumed') {
      this.#confirm(message.clientSeq);
    } else if (typeof message.seq === 'number' && this.#after !== null && message.seq <= this.#after) {
      return;
    }
    if (typeof message.seq === 'number') this.#after = message.seq;
    if (message.type === 'error' && kFinalCodes.has(message.code)) {
      this.#refuse({ code: message.code });
      return;
    }
    this.#on.message(message);
  }

  #confirm(clientSeq) {
    const missing = (message) => message.clientSeq > clientSeq;
    this.#unsent = this.#unsent.filter(missing);
    this.#unconfirmed = this.#unconfirmed.filter(missing);
  }

  #setTransport(transport) {
    if (this.#attached === transport || this.#closed) return;
    this.#attached = transport;
    // What went into the previous socket and was not confirmed may have been lost with it.
    if (transport) this.#unsent.unshift(...this.#unconfirmed.splice(0));
    this.#on.transport(transport);
    this.#flush();
    this.#wake('poll');
    // The server can be reached (again): worth another try at once.
    if (transport === 'poll') this.#wake('socket');
  }

  #refuse(problem) {
    if (this.#closed) return;
    this.close({ leave: false });
    this.#on.refused(problem);
  }

  #pause(loop, milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wakers[loop] = () => { clearTimeout(timer); resolve(); };
    });
  }

  #wake(loop) {
    this.#wakers[loop]?.();
  }
}
