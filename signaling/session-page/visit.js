// One person's stay in one room: joins, keeps roster and connections true to what the server says,
// renews credentials, leaves. Knows nothing of the page.

import { call, tellWhileLeaving } from './api.js';
import { iceConfiguration } from './ice-policy.js';
import { Mesh } from './mesh.js';
import { Roster } from './roster.js';
import { routeOf } from './route.js';
import { Signaling } from './signaling.js';

const kTendEvery = 1_000;          // ms
const kRenewBefore = 60_000;       // ms before expiry, when the server's own push has not come
const kRenewRetry = 5_000;         // ms

/**
 * @typedef {object} VisitOptions
 * @property {string} roomId
 * @property {string} secret      the link's fragment, '' without
 * @property {string} name
 * @property {import('./media.js').LocalMedia} media
 * @property {?string} policy     see ice-policy.js
 * @property {boolean} allowSocket
 */

/**
 * @typedef {object} VisitEvents
 * @property {() => void} changed    anything visible changed
 * @property {(kind: 'joined'|'left'|'connected'|'trouble'|'knock'|'locked'|'unlocked'|'emergency', name: string) => void} happened
 * @property {(why: {code?: string, status?: number, reason?: string}) => void} over  ended by the server
 * @property {(membership: object) => void} [joined]  what resume() takes after a reload
 */

export class Visit {
  #options;
  /** @type {VisitEvents} */ #on;
  #membership = null;
  /** @type {Signaling} */ #signaling = null;
  /** @type {Mesh} */ #mesh = null;
  #tending = 0;
  #renewing = 0;
  #over = false;
  #lastStates = new Map();
  #iceKnown = false;
  /** What came before the relay's credentials, which it needs. */
  #held = null;

  roster = new Roster();
  /** 'socket', 'poll' or null. */
  transport = null;
  /** There has been one: none now is a trouble. */
  transportSeen = false;
  /** Whether the server has answered our attach: from then on the roster is true. */
  present = false;
  /** In the waiting room: nobody sees or hears us. */
  waiting = false;
  /** @type {'host'|'guest'} */ role = 'guest';
  /** For hosts, who waits: id → name */
  knocks = new Map();
  locked = false;
  /**
   * For hosts, whether what they do can be recorded: 'refused' when it could not, 'emergency' after they
   * went on all the same, 'impossible' where the server has no place for that.
   * @type {'ok'|'refused'|'emergency'|'impossible'}
   */
  recording = 'ok';
  /** id → {relayed, protocol}, for those who are connected */
  routes = new Map();

  /** @param {VisitOptions} options  @param {VisitEvents} on */
  constructor(options, on) {
    this.#options = options;
    this.#on = on;
  }

  get selfId() { return this.#membership?.participantId; }

  /**
   * @param {{emergency?: boolean}} [how]  a host declares an emergency with it
   * @throws {import('./api.js').ApiError}
   */
  async join({ emergency = false } = {}) {
    const { roomId, secret, name } = this.#options;
    const fields = { roomId, participantName: name };
    if (secret) fields.token = secret;
    if (emergency) {
      fields.emergency = true;
      this.recording = 'emergency';
    }
    const answer = await call('join-room', fields);
    const { participantId, participantToken, role } = answer;
    this.#start({ participantId, token: participantToken, role, name }, answer);
  }

  /**
   * Back to a place of before, e.g. after a reload.
   * @throws {import('./api.js').ApiError} when it is not ours any more
   */
  async resume(membership) {
    const { roomId } = this.#options;
    const { participantId, token } = membership;
    let answer = { waiting: true };
    try {
      answer = await call('ice-servers', { roomId, participantId, token });
    } catch (problem) {
      // 409: still waits, or is not attached yet; 429: asked too often. Then the credentials are
      // fetched after the attach.
      if (problem.status !== 409 && problem.status !== 429) throw problem;
      answer = { waiting: problem.message === 'Waiting to be admitted' };
    }
    this.#start(membership, answer);
  }

  #start(membership, answer) {
    const { roomId, media, policy, allowSocket } = this.#options;
    const { participantId } = membership;
    this.#on.joined?.(membership);
    this.#membership = { ...membership, roomId };
    this.role = membership.role ?? 'guest';
    this.waiting = answer.waiting === true;
    this.#iceKnown = Boolean(answer.iceServers);
    this.#mesh = new Mesh({
      selfId: participantId,
      configuration: iceConfiguration(answer.iceServers ?? [], policy),
      media,
      send: (message) => this.#signaling.send(message),
      changed: () => this.#peersChanged(),
    });
    this.#signaling = new Signaling(this.#membership, {
      message: (message) => this.#take(message),
      transport: (transport) => this.#transportChanged(transport),
      refused: (problem) => this.#end(problem),
    });
    this.#scheduleRenewal(answer.iceExpiresAt);
    this.#tending = setInterval(() => this.#tend(), kTendEvery);
    this.#signaling.start({ allowSocket });
  }

  /** @param {string} id  @returns {?import('./peer.js').Peer} */
  peer(id) { return this.#mesh?.get(id) ?? null; }

  /** Our tracks or switches changed. */
  mediaChanged() {
    const { media } = this.#options;
    this.#mesh?.setOutgoing(media.outgoing);
    this.#tellMedia();
  }

  /** The network came back or the device woke up. */
  refresh() {
    this.#signaling?.refresh();
    this.#mesh?.hurry();
  }

  leave() {
    if (this.#over) return;
    this.#signaling?.close({ leave: true });
    this.#stop();
  }

  // ---- for hosts

  admit(id) { this.#signaling.send({ type: 'admit', peerId: id }); }
  decline(id, reason) { this.#signaling.send({ type: 'decline', peerId: id, reason }); }
  kick(id) { this.#signaling.send({ type: 'kick', peerId: id }); }
  lock(locked) { this.#signaling.send({ type: 'lock', locked }); }
  declareEmergency() { this.#signaling.send({ type: 'emergency' }); }
  endForAll() { this.#signaling.send({ type: 'end-room' }); }

  /**
   * The page is going away; only a beacon still gets out. `returning`: it may be a reload, the place is
   * to be kept.
   */
  pageGone({ returning }) {
    if (this.#over || !this.#membership) return;
    const { roomId, participantId, token } = this.#membership;
    tellWhileLeaving('leave-room', { roomId, participantId, token, returning });
    this.#signaling.close({ leave: false });
    this.#stop();
  }

  // ---- what the server says

  #take(message) {
    if (this.#held) {
      this.#held.push(message);
      return;
    }
    const enters = message.type === 'existing-peers' || message.type === 'resync';
    if (enters && !this.#iceKnown) {
      // Admitted while we were away: first the relay's credentials, then the connections.
      this.#held = [message];
      this.#renew();
      return;
    }
    if (this.#mesh.receive(message)) return;
    switch (message.type) {
      case 'waiting':
        this.waiting = true;
        this.present = false;
        break;
      case 'admitted':
        this.waiting = false;
        this.#takeIceServers(message);
        break;
      case 'declined':
        this.#end({ code: 'declined', reason: message.reason });
        return;
      case 'knock':
        this.knocks.set(message.peerId, message.name || 'Somebody');
        this.#on.happened('knock', this.knocks.get(message.peerId));
        break;
      case 'knock-over':
        this.knocks.delete(message.peerId);
        this.#wasRecorded();
        break;
      case 'locked':
        this.locked = message.locked === true;
        this.#wasRecorded();
        this.#on.happened(this.locked ? 'locked' : 'unlocked', '');
        break;
      case 'existing-peers':
        // We are new here, perhaps again: the others know no connection with us any more.
        this.#takeRoster(message);
        for (const { id } of this.roster.people) this.#mesh.call(id);
        break;
      case 'resync':
        this.#takeRoster(message);
        for (const { id } of this.roster.people) this.#mesh.expect(id);
        this.#mesh.hurry();
        break;
      case 'peer-joined':
        // Whoever joins again under the same id has no connection with us, whatever we remember.
        this.#mesh.remove(message.peerId);
        this.roster.add(message.peerId, message.peerName, message.role);
        this.#mesh.expect(message.peerId);
        this.#on.happened('joined', this.roster.get(message.peerId).name);
        break;
      case 'peer-left':
        this.#removePerson(this.roster.remove(message.peerId));
        break;
      case 'media-state':
        this.roster.setMedia(message.fromPeerId, message);
        break;
      case 'ice-servers':
        this.#takeIceServers(message);
        break;
      case 'room-ended':
        this.#end({ code: 'room-ended' });
        return;
      case 'removed':
        this.#end({ code: 'removed' });
        return;
      case 'emergency':
        this.recording = 'emergency';
        this.#on.happened('emergency', '');
        break;
      case 'error':
        if (message.code === 'unavailable' && this.recording !== 'emergency') this.recording = 'refused';
        if (message.code === 'no-journal') this.recording = 'impossible';
        console.warn('The server refused a message:', message.code, message.message);
        break;
      default:  // types of later servers
        return;
    }
    this.#on.changed();
  }

  #wasRecorded() {
    if (this.recording === 'refused') this.recording = 'ok';
  }

  #takeRoster(message) {
    const { left } = this.roster.replace(message);
    this.waiting = false;
    // Both are told anew behind every complete list.
    this.knocks.clear();
    this.locked = false;
    for (const person of left) this.#removePerson(person);
    this.present = true;
    this.#tellMedia();
  }

  #removePerson(person) {
    if (!person) return;
    this.#mesh.remove(person.id);
    this.routes.delete(person.id);
    this.#lastStates.delete(person.id);
    this.#on.happened('left', person.name);
  }

  #tellMedia() {
    if (!this.present) return;
    this.#signaling.send({ type: 'media-state', ...this.#options.media.state, ...this.#path() });
  }

  // For the practice's own view of its rooms; the others are not told.
  #path() {
    const routes = [...this.routes.values()];
    if (routes.length === 0) return {};
    return { path: routes.some((route) => route.relayed) ? 'relay' : 'direct' };
  }

  #transportChanged(transport) {
    this.transport = transport;
    if (transport) this.transportSeen = true;
    if (transport) this.#mesh.tend();
    this.#on.changed();
  }

  // ---- connections

  #peersChanged() {
    for (const peer of this.#mesh.peers) {
      const before = this.#lastStates.get(peer.id) ?? 'connecting';
      const name = this.roster.get(peer.id)?.name;
      this.#lastStates.set(peer.id, peer.state);
      if (!name || before === peer.state) continue;
      if (peer.state === 'connected') this.#on.happened('connected', name);
      else if (before === 'connected') this.#on.happened('trouble', name);
    }
    this.#on.changed();
    this.#readRoutes();
  }

  async #tend() {
    if (this.transport) this.#mesh.tend();
    await this.#readRoutes();
  }

  async #readRoutes() {
    let changed = false;
    for (const peer of this.#mesh.peers) {
      const route = peer.state === 'connected'
        ? await routeOf(peer.connection).catch(() => null) : null;
      const before = this.routes.get(peer.id);
      if (before?.relayed === route?.relayed && before?.protocol === route?.protocol) continue;
      if (route && this.roster.get(peer.id)) this.routes.set(peer.id, route);
      else this.routes.delete(peer.id);
      changed = true;
    }
    if (!changed || this.#over) return;
    this.#tellMedia();
    this.#on.changed();
  }

  // ---- credentials

  #takeIceServers({ iceServers, iceExpiresAt }) {
    this.#iceKnown = true;
    this.#mesh.setConfiguration(iceConfiguration(iceServers, this.#options.policy));
    this.#scheduleRenewal(iceExpiresAt);
  }

  #scheduleRenewal(expiresAt) {
    clearTimeout(this.#renewing);
    if (typeof expiresAt !== 'number') return;
    const wait = Math.max(expiresAt - Date.now() - kRenewBefore, kRenewRetry);
    this.#renewing = setTimeout(() => this.#renew(), Math.min(wait, 2 ** 31 - 1));
  }

  async #renew() {
    const { roomId, participantId, token } = this.#membership;
    try {
      const answer = await call('ice-servers', { roomId, participantId, token });
      if (this.#over) return;
      this.#takeIceServers(answer);
      const held = this.#held ?? [];
      this.#held = null;
      for (const message of held) this.#take(message);
    } catch {
      if (!this.#over) this.#renewing = setTimeout(() => this.#renew(), kRenewRetry);
    }
  }

  // ---- the end

  #end(why) {
    if (this.#over) return;
    this.#signaling.close({ leave: false });
    this.#stop();
    this.#on.over(why);
  }

  #stop() {
    this.#over = true;
    clearInterval(this.#tending);
    clearTimeout(this.#renewing);
    this.#mesh?.close();
  }
}
