// A person at the session page.

import assert from 'node:assert/strict';
import { until } from './support.mjs';

/** Runs in the page before its own scripts: lets the tests read every connection that the page makes. */
function recordConnections() {
  window.testConnections = [];
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(...configuration) {
      super(...configuration);
      window.testConnections.push(this);
    }
  };
}

/** In the page: the facts of every connection that is connected. */
async function connectionFacts() {
  const facts = [];
  for (const [index, connection] of window.testConnections.entries()) {
    if (connection.connectionState !== 'connected') continue;
    const stats = await connection.getStats();
    const all = [...stats.values()];
    const transport = all.find(({ type, selectedCandidatePairId }) => type === 'transport'
      && selectedCandidatePairId);
    const pair = stats.get(transport?.selectedCandidatePairId);
    if (!pair) continue;
    const video = all.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video');
    const local = stats.get(pair.localCandidateId);
    facts.push({
      connection: index,
      candidateType: local?.candidateType,
      remoteCandidateType: stats.get(pair.remoteCandidateId)?.candidateType,
      protocol: local?.protocol,
      relayProtocol: local?.relayProtocol,
      relayUrl: local?.url,
      // Of all pairs: the other side may send over another one than this side.
      bytesSent: transport.bytesSent,
      bytesReceived: transport.bytesReceived,
      framesDecoded: video?.framesDecoded ?? 0,
    });
  }
  return facts;
}

export class VisitPage {
  /** What the page's console reported as an error. */
  errors = [];

  /**
   * @param {import('playwright-core').Browser} browser
   * @param {import('./support.mjs').Server} server
   * @param {object} [options]
   * @param {string} [options.room]
   * @param {string} [options.query]      more of the query, e.g. '&policy=relay'
   * @param {{width: number, height: number}} [options.viewport]
   * @param {Function[]} [options.scripts]  run before the page's own
   * @param {string} [options.path]
   * @param {string} [options.link]       an invitation, instead of room and query
   */
  static async open(browser, server, { room, query = '', viewport = { width: 1280, height: 800 },
    scripts = [], path = '/telehealth-webrtc.html', colorScheme = 'light', link } = {}) {
    const person = new VisitPage();
    const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce' });
    person.page = await context.newPage();
    person.page.on('pageerror', (error) => person.errors.push(String(error)));
    person.page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) person.errors.push(message.text());
    });
    await person.page.addInitScript(recordConnections);
    for (const script of scripts) await person.page.addInitScript(script);
    const roomQuery = room === undefined ? '' : `room=${room}`;
    await person.page.goto(server.url(link ?? `${path}?${roomQuery}${query}`));
    return person;
  }

  /** Comes with an invitation that leads to the waiting room. */
  async knock(name) {
    await this.page.fill('#name', name);
    await this.page.click('#join');
    await this.shows('#waiting');
    return this;
  }

  async join(name) {
    await this.page.fill('#name', name);
    await this.page.click('#join');
    await this.shows('#visit');
    return this;
  }

  shows(selector) {
    return this.page.waitForSelector(selector, { state: 'visible', timeout: 20_000 });
  }

  text(selector) {
    return this.page.textContent(selector);
  }

  /** Waits until the text at `selector` contains `wanted`. */
  reads(selector, wanted, deadline) {
    return until(`${selector} to read “${wanted}”`, async () => {
      const text = await this.page.locator(selector).first().textContent({ timeout: 1_000 });
      return text.includes(wanted);
    }, deadline);
  }

  /** The tile of one of the others. */
  tile(name) {
    return `.tile[aria-label="${name}"]`;
  }

  facts() {
    return this.page.evaluate(connectionFacts);
  }

  /** Waits for `count` connections over which media flows both ways and pictures are decoded. */
  async mediaFlows(count = 1, deadline = 40_000) {
    let first = await until(`${count} connections with decoded pictures`, async () => {
      const facts = await this.facts();
      return facts.length === count && facts.every(({ framesDecoded }) => framesDecoded > 0) && facts;
    }, deadline);
    return until('bytes to grow both ways', async () => {
      const now = await this.facts();
      // Another connection counts from nothing.
      const isAnother = ({ connection }, index) => connection !== first[index].connection;
      if (now.length === count && now.some(isAnother)) first = now;
      const grown = now.length === count && now.every((fact, index) =>
        fact.bytesSent > first[index].bytesSent + 10_000
        && fact.bytesReceived > first[index].bytesReceived + 10_000
        && fact.framesDecoded > first[index].framesDecoded);
      if (!grown) throw new Error(`${JSON.stringify(now)}, at first ${JSON.stringify(first)}`);
      return now;
    }, deadline);
  }

  /** Colour of the middle of a picture as [r, g, b]; null while nothing is shown. */
  pixel(selector) {
    return this.page.evaluate((query) => {
      const video = document.querySelector(query);
      if (!video?.videoWidth) return null;
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = 1;
      const context = canvas.getContext('2d');
      context.drawImage(video, video.videoWidth / 2, video.videoHeight / 2, 1, 1, 0, 0, 1, 1);
      return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    }, selector);
  }

  /** Ends the person's browser tab; the page must have made no error of its own. */
  async close() {
    await this.page.context().close();
    assert.deepEqual(this.errors, []);
  }
}

/** Runs in the page: a device without camera and microphone. */
export function noDevices() {
  navigator.mediaDevices.getUserMedia = () =>
    Promise.reject(new DOMException('Requested device not found', 'NotFoundError'));
  navigator.mediaDevices.enumerateDevices = () => Promise.resolve([]);
}

/** Runs in the page: a person who answers the browser's question late, by `window.allowDevices()`. */
export function lateDevices() {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const answered = new Promise((resolve) => { window.allowDevices = resolve; });
  navigator.mediaDevices.getUserMedia = async (wishes) => {
    await answered;
    return ask(wishes);
  };
}

/** Runs in the page: a firewall that lets no WebSocket through. */
export function noWebSocket() {
  window.socketAttempts = 0;
  window.WebSocket = class {
    constructor() {
      window.socketAttempts += 1;
      setTimeout(() => this.onclose?.({ code: 1006 }), 0);
    }
    send() { throw new Error('not open'); }
    close() {}
  };
}

/** Runs in the page: no relay over TCP or TLS, which a busy machine may find faster than UDP. */
export function onlyUdpRelay() {
  const isUdp = (url) => url.startsWith('turn:') && !/[?&]transport=tcp/.test(url);
  const bent = (configuration) => ({
    ...configuration,
    iceServers: (configuration?.iceServers ?? [])
      .map((server) => ({ ...server, urls: [server.urls].flat().filter(isUdp) }))
      .filter((server) => server.urls.length > 0),
  });
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(configuration) { super(bent(configuration)); }
    setConfiguration(configuration) { super.setConfiguration(bent(configuration)); }
  };
}

/** Runs in the page: a person who picks a window to share; a blue one. */
export function blueScreen() {
  navigator.mediaDevices.getDisplayMedia = () => {
    const canvas = document.createElement('canvas');
    canvas.width = 1280;
    canvas.height = 720;
    const context = canvas.getContext('2d');
    setInterval(() => {
      context.fillStyle = '#0000ff';
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.fillStyle = '#ffffff';
      context.fillRect(Math.random() * 40, 0, 40, 40);
    }, 100);
    return Promise.resolve(canvas.captureStream(10));
  };
}
