// The connections to everybody else: one Peer each, full mesh of up to eight people.

import { Peer } from './peer.js';

// Each picture is sent once for every other person, so the uplink is shared out: bits per second by
// the number of others.
const kVideoLimits = [1_500_000, 1_500_000, 900_000, 600_000, 400_000, 300_000, 250_000, 200_000];
const kNegotiation = new Set(['offer', 'answer', 'ice-candidate']);

export class Mesh {
  #selfId;
  #configuration;
  #media;
  #send;
  #changed;
  /** @type {Map<string, Peer>} */ #peers = new Map();

  /**
   * @param {object} options
   * @param {string} options.selfId
   * @param {RTCConfiguration} options.configuration
   * @param {import('./media.js').LocalMedia} options.media
   * @param {(message: object) => void} options.send
   * @param {() => void} options.changed
   */
  constructor({ selfId, configuration, media, send, changed }) {
    this.#selfId = selfId;
    this.#configuration = configuration;
    this.#media = media;
    this.#send = send;
    this.#changed = changed;
  }

  get peers() { return [...this.#peers.values()]; }
  get(id) { return this.#peers.get(id); }

  /** Somebody is there; they call us (the newcomer always calls). */
  expect(id) {
    if (!this.#peers.has(id)) this.#add(id);
  }

  /** We are the newcomer: a fresh connection, and we call. */
  call(id) {
    this.remove(id);
    this.#add(id).call();
  }

  remove(id) {
    this.#peers.get(id)?.close();
    this.#peers.delete(id);
    this.#shareUplink();
  }

  /** @returns {boolean} whether the message was about a connection */
  receive(message) {
    if (!kNegotiation.has(message.type)) return false;
    this.#peers.get(message.fromPeerId)?.receive(message);
    return true;
  }

  setOutgoing(outgoing) {
    for (const peer of this.#peers.values()) peer.setOutgoing(outgoing);
  }

  setConfiguration(configuration) {
    this.#configuration = configuration;
    for (const peer of this.#peers.values()) peer.setConfiguration(configuration);
  }

  tend() {
    for (const peer of this.#peers.values()) peer.tend();
  }

  hurry() {
    for (const peer of this.#peers.values()) peer.hurry();
  }

  close() {
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
  }

  #add(id) {
    const peer = new Peer({
      id,
      polite: this.#selfId < id,
      configuration: this.#configuration,
      localStream: this.#media.stream,
      outgoing: this.#media.outgoing,
      send: (type, fields) => this.#send({ type, targetPeerId: id, ...fields }),
      changed: this.#changed,
    });
    this.#peers.set(id, peer);
    this.#shareUplink();
    return peer;
  }

  #shareUplink() {
    const limit = kVideoLimits[Math.min(this.#peers.size, kVideoLimits.length - 1)];
    for (const peer of this.#peers.values()) peer.limitVideo(limit);
  }
}
