// The connection to one other person: perfect negotiation, queued candidates, and repair.
//
// Both sides always negotiate one audio and one video line in both directions; switching camera,
// muting and screen sharing then only replace tracks and need no further negotiation. Without a camera the
// line stays silent. Everything that touches the connection's descriptions runs in one queue.

import { Backoff } from './backoff.js';

const kKinds = ['audio', 'video'];
const kMaxQueuedCandidates = 200;
const kAnswerDeadline = 5_000;       // ms; then the offer is sent once more
const kDisconnectedPatience = 4_000; // ms; a phone changing cells recovers by itself within that
const kConnectingPatience = 15_000;  // ms

/** @typedef {'connecting'|'connected'|'interrupted'|'reconnecting'} PeerState */

export class Peer {
  #polite;
  #configuration;
  #send;
  #changed;
  #localStream;
  #outgoing;
  /** @type {RTCPeerConnection} */ #pc;
  #queue = Promise.resolve();
  #candidates = [];
  #ignoringOffer = false;
  #wasConnected = false;
  #troubleSince = null;    // performance.now() when the connection stopped being fine
  #offeredAt = null;
  #restartAt = 0;
  #restarts = new Backoff(4_000, 30_000);
  #maxBitrate = null;
  #closed = false;

  /**
   * @param {object} options
   * @param {string} options.id
   * @param {boolean} options.polite   gives way when both sides offer at once
   * @param {RTCConfiguration} options.configuration
   * @param {MediaStream} options.localStream  groups our tracks for the other side
   * @param {{audio: ?MediaStreamTrack, video: ?MediaStreamTrack}} options.outgoing
   * @param {(type: string, fields: object) => void} options.send
   * @param {() => void} options.changed  state or remote tracks changed
   */
  constructor({ id, polite, configuration, localStream, outgoing, send, changed }) {
    this.id = id;
    this.#polite = polite;
    this.#configuration = configuration;
    this.#localStream = localStream;
    this.#outgoing = outgoing;
    this.#send = send;
    this.#changed = changed;
    /** What we receive from the other person. */
    this.stream = new MediaStream();
    this.#open();
  }

  /** @returns {PeerState} */
  get state() {
    const state = this.#pc.connectionState;
    if (state === 'connected') return 'connected';
    if (!this.#wasConnected) return 'connecting';
    return state === 'disconnected' ? 'interrupted' : 'reconnecting';
  }

  get connection() { return this.#pc; }

  /** The newcomer calls; the others wait for the call. */
  call() {
    this.#prepareLines();
  }

  /** @param {object} message an offer, answer or ice-candidate of this person; handled in order */
  receive(message) {
    this.#run(async () => {
      if (message.type === 'offer') await this.#takeOffer(message.offer);
      else if (message.type === 'answer') await this.#takeAnswer(message.answer);
      else await this.#takeCandidate(message.candidate);
    });
  }

  setOutgoing(outgoing) {
    this.#outgoing = outgoing;
    for (const transceiver of this.#lines()) this.#feed(transceiver);
  }

  /** Holds for every later ICE restart, too. */
  setConfiguration(configuration) {
    this.#configuration = configuration;
    this.#pc.setConfiguration(configuration);
  }

  /** @param {number} bitsPerSecond upper limit of our picture: a mesh sends it once for each person */
  limitVideo(bitsPerSecond) {
    this.#maxBitrate = bitsPerSecond;
    this.#applyLimit();
  }

  /** Called about once a second while the server can be reached: repairs what does not repair itself. */
  tend() {
    if (this.#closed) return;
    const now = performance.now();
    const pc = this.#pc;
    if (pc.signalingState === 'have-local-offer' && now - this.#offeredAt > kAnswerDeadline) {
      // The offer, or the answer to it, was lost with a transport or a server.
      this.#offeredAt = now;
      this.#send('offer', { offer: pc.localDescription });
      return;
    }
    if (this.#troubleSince === null || now < this.#restartAt || pc.signalingState !== 'stable') return;
    const patience = { failed: 0, disconnected: kDisconnectedPatience }[pc.connectionState]
      ?? kConnectingPatience;
    // Nothing negotiated yet: there is nothing to restart, the newcomer's offer is on its way.
    if (!pc.remoteDescription || now - this.#troubleSince < patience) return;
    // One side first: both at once only makes them meet half-way.
    if (this.#polite && now - this.#troubleSince < patience + 3_000) return;
    this.#restartAt = now + this.#restarts.next();
    pc.restartIce();
  }

  /** The network is new: do not wait for the usual patience. */
  hurry() {
    this.#restartAt = 0;
    this.#restarts.reset();
    if (this.#troubleSince !== null) this.#troubleSince = -Infinity;
    if (this.#offeredAt !== null) this.#offeredAt = -Infinity;
  }

  close() {
    this.#closed = true;
    this.#pc.close();
  }

  // ---- the connection

  #open() {
    const pc = new RTCPeerConnection(this.#configuration);
    this.#pc = pc;
    this.#troubleSince = performance.now();
    pc.onnegotiationneeded = () => this.#run(() => this.#offer(pc));
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate && pc === this.#pc) this.#send('ice-candidate', { candidate });
    };
    pc.ontrack = ({ track }) => {
      for (const old of this.stream.getTracks()) {
        if (old.kind === track.kind) this.stream.removeTrack(old);
      }
      this.stream.addTrack(track);
      track.onmute = track.onunmute = () => this.#changed();
      this.#changed();
    };
    pc.onconnectionstatechange = () => {
      if (pc !== this.#pc || this.#closed) return;
      if (pc.connectionState === 'connected') {
        this.#wasConnected = true;
        this.#troubleSince = null;
        this.#restartAt = 0;
        this.#restarts.reset();
        this.#applyLimit();
      } else {
        this.#troubleSince ??= performance.now();
      }
      this.#changed();
    };
  }

  #reopen() {
    this.#pc.close();
    this.#candidates = [];
    this.#offeredAt = null;
    this.#open();
  }

  #run(step) {
    this.#queue = this.#queue.then(() => (this.#closed ? undefined : step())).catch((error) => {
      console.warn(`Negotiation with ${this.id}:`, error);
    });
  }

  // ---- negotiation

  async #offer(pc) {
    if (pc !== this.#pc || pc.signalingState !== 'stable') return;
    await pc.setLocalDescription();
    this.#offeredAt = performance.now();
    this.#send('offer', { offer: pc.localDescription });
  }

  async #takeOffer(offer) {
    const collision = this.#pc.signalingState !== 'stable';
    this.#ignoringOffer = collision && !this.#polite;
    if (this.#ignoringOffer) return;
    // A first offer cannot be rolled back cleanly: its lines would stay behind as doubles.
    if (collision && !this.#pc.currentRemoteDescription) this.#reopen();
    try {
      await this.#pc.setRemoteDescription(offer);
    } catch (error) {
      // The other side started afresh, e.g. after a crash of its tab: so do we.
      if (!this.#pc.currentRemoteDescription) throw error;
      this.#reopen();
      await this.#pc.setRemoteDescription(offer);
    }
    this.#prepareLines();
    await this.#addQueuedCandidates();
    await this.#pc.setLocalDescription();
    this.#send('answer', { answer: this.#pc.localDescription });
  }

  async #takeAnswer(answer) {
    // The second answer to an offer that was sent twice.
    if (this.#pc.signalingState !== 'have-local-offer') return;
    await this.#pc.setRemoteDescription(answer);
    this.#offeredAt = null;
    await this.#addQueuedCandidates();
  }

  async #takeCandidate(candidate) {
    if (!this.#pc.remoteDescription) {
      if (this.#candidates.length < kMaxQueuedCandidates) this.#candidates.push(candidate);
      return;
    }
    try {
      await this.#pc.addIceCandidate(candidate);
    } catch (error) {
      // Candidates of an offer that we ignored, or of a connection that was given up, fit nothing.
      if (!this.#ignoringOffer) console.debug(`Candidate of ${this.id} not used:`, error.message);
    }
  }

  async #addQueuedCandidates() {
    for (const candidate of this.#candidates.splice(0)) await this.#takeCandidate(candidate);
  }

  // ---- our tracks

  #lines() {
    const all = this.#pc.getTransceivers().filter((line) => line.currentDirection !== 'stopped');
    return kKinds.map((kind) => all.find((line) => line.receiver.track.kind === kind)).filter(Boolean);
  }

  /** Takes over the lines of the other side's offer, or makes ours; either way one of each kind. */
  #prepareLines() {
    const present = this.#lines();
    for (const line of present) {
      line.direction = 'sendrecv';
      line.sender.setStreams?.(this.#localStream);
      this.#feed(line);
    }
    for (const kind of kKinds) {
      if (present.some((line) => line.receiver.track.kind === kind)) continue;
      const line = this.#pc.addTransceiver(kind, {
        direction: 'sendrecv', streams: [this.#localStream],
      });
      this.#feed(line);
    }
  }

  #feed({ sender, receiver }) {
    const track = this.#outgoing[receiver.track.kind];
    if (sender.track !== track) {
      sender.replaceTrack(track).catch((error) => console.warn('Track not sent:', error));
    }
  }

  #applyLimit() {
    if (!this.#maxBitrate) return;
    for (const { sender, receiver } of this.#lines()) {
      if (receiver.track.kind !== 'video') continue;
      const parameters = sender.getParameters();
      // Firefox has no encodings before the first negotiation.
      if (!parameters.encodings?.length) continue;
      parameters.encodings[0].maxBitrate = this.#maxBitrate;
      sender.setParameters(parameters).catch(() => {});
    }
  }
}
