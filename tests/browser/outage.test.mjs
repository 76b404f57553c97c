// What breaks in mid-visit comes back by itself.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, Server, shoot, until } from './support.mjs';
import { VisitPage } from './visit-page.mjs';

const kBackWithin = 5_000;  // ms after the server answers again

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

/** Runs in the page: `blockSockets` ends every WebSocket and lets none through. */
function breakableSockets() {
  const sockets = new Set();
  let blocked = false;
  window.blockSockets = (on) => {
    blocked = on;
    if (on) for (const socket of sockets) socket.close();
  };
  window.openSockets = () => [...sockets].filter(({ readyState }) => readyState === 1).length;
  window.WebSocket = class extends window.WebSocket {
    constructor(url) {
      super(blocked ? `${url}-closed` : url);
      sockets.add(this);
    }
  };
}

test('a killed and restarted server gets both people back, and their relayed visit', async () => {
  const room = await server.createRoom('outage');
  const options = { room, query: '&policy=relay' };
  const doctor = await (await VisitPage.open(browser, server, options)).join('Dr. Amara Okafor');
  const patient = await (await VisitPage.open(browser, server,
    { ...options, query: '&policy=relay&signaling=poll' })).join('Margaret Hill');
  await doctor.mediaFlows();
  await patient.mediaFlows();

  await server.kill('SIGKILL');
  for (const person of [doctor, patient]) {
    await person.reads('#banner-text', 'The line to our server is interrupted');
  }
  await shoot(doctor.page, 'outage');
  await server.restart();
  for (const person of [doctor, patient]) {
    await until('the notice to go away', () => person.page.isHidden('#banner'));
    await person.reads('#people-count', '2 people');
    const [fact] = await person.mediaFlows(1, 90_000);
    assert.equal(fact.candidateType, 'relay');
  }
  await shoot(doctor.page, 'after-outage');

  // The session is whole: what is said now arrives.
  await patient.page.click('#control-leave');
  await doctor.reads('#people-count', '1 person');
  await patient.close();
  await doctor.close();
});

// SIGTERM and a start are what `systemctl restart` does: the server says goodbye to everybody first.
for (const [signal, away] of [['SIGKILL', 'killed'], ['SIGTERM', 'restarted']]) {
  test(`a direct visit goes on while the server is ${away}, and both are back within 5 seconds`, async (t) => {
    const room = await server.createRoom(`direct-${away}`);
    const doctor = await (await VisitPage.open(browser, server, { room })).join('Dr. Amara Okafor');
    const patient = await (await VisitPage.open(browser, server, { room, query: '&signaling=poll' }))
      .join('Margaret Hill');
    await doctor.mediaFlows();
    await server.kill(signal);
    for (const person of [doctor, patient]) {
      await person.reads('#banner-text', 'The line to our server is interrupted');
      const [fact] = await person.mediaFlows();
      assert.notEqual(fact.candidateType, 'relay');
    }
    await server.restart();
    const served = Date.now();
    await Promise.all([doctor, patient].map((person) =>
      until('the notice to go away', () => person.page.isHidden('#banner'), kBackWithin)));
    t.diagnostic(`attached again ${((Date.now() - served) / 1000).toFixed(1)} s after the start`);
    for (const person of [doctor, patient]) {
      await person.reads('#people-count', '2 people');
      await person.mediaFlows();
    }
    // The session is whole: what is said now arrives.
    await patient.page.click('#control-mic');
    await doctor.page.waitForSelector(`${doctor.tile('Margaret Hill')} .tile-muted:not(.hidden)`);
    assert.equal(await doctor.page.evaluate(() => window.testConnections.length), 1, 'one connection all along');
    await patient.close();
    await doctor.close();
  });
}

test('a lost WebSocket is replaced by the long poll, and the other way round', async () => {
  const room = await server.createRoom('transports');
  const doctor = await (await VisitPage.open(browser, server, { room })).join('Dr. Amara Okafor');
  const patient = await (await VisitPage.open(browser, server, { room, scripts: [breakableSockets] }))
    .join('Margaret Hill');
  const tile = doctor.tile('Margaret Hill');
  const isMuted = (muted) => doctor.page.waitForSelector(
    `${tile} .tile-muted${muted ? ':not(.hidden)' : '.hidden'}`, { state: 'attached' });
  await doctor.mediaFlows();
  await until('a WebSocket', () => patient.page.evaluate(() => window.openSockets() === 1));

  const polled = patient.page.waitForRequest((request) =>
    request.method() === 'POST' && request.postDataJSON()?.action === 'poll');
  await patient.page.evaluate(() => window.blockSockets(true));
  await polled;
  await patient.page.click('#control-mic');
  await isMuted(true);
  // And what the others say arrives here.
  await doctor.page.click('#control-mic');
  await patient.page.waitForSelector(`${patient.tile('Dr. Amara Okafor')} .tile-muted:not(.hidden)`);

  await patient.page.evaluate(() => window.blockSockets(false));
  await until('the WebSocket again', () => patient.page.evaluate(() => window.openSockets() === 1), 60_000);
  await patient.page.click('#control-mic');
  await isMuted(false);
  await doctor.reads('#people-count', '2 people');
  await patient.close();
  await doctor.close();
});
