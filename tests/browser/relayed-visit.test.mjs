// Two real browsers hold a visit through our own relay.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, Server, shoot } from './support.mjs';
import { noWebSocket, onlyUdpRelay, VisitPage } from './visit-page.mjs';

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

async function assertRelayed(person, protocol) {
  const [fact] = await person.mediaFlows();
  assert.equal(fact.candidateType, 'relay');
  assert.equal(fact.remoteCandidateType, 'relay');
  assert.equal(fact.relayProtocol, protocol);
}

test('two browsers see and hear each other through the relay over UDP', async () => {
  const room = await server.createRoom('udp-visit');
  const phone = { width: 360, height: 740 };
  const options = { room, query: '&policy=relay', scripts: [onlyUdpRelay] };
  const doctor = await (await VisitPage.open(browser, server, options)).join('Dr. Amara Okafor');
  const patient = await (await VisitPage.open(browser, server, { ...options, viewport: phone }))
    .join('Margaret Hill');

  await assertRelayed(doctor, 'udp');
  await assertRelayed(patient, 'udp');
  await doctor.reads('#visit-status', 'Connected through the relay');
  await patient.reads(patient.tile('Dr. Amara Okafor'), 'Connected through the relay');
  await patient.reads('#people-count', '2 people');
  await shoot(doctor.page, 'relay-udp-doctor');
  await shoot(patient.page, 'relay-udp-patient');
  await patient.close();
  await doctor.close();
});

test('where UDP and WebSockets are blocked, long poll and TURN over TCP carry the visit', async () => {
  const room = await server.createRoom('tcp-visit');
  const options = { room, query: '&policy=relay-tcp', scripts: [noWebSocket] };
  const doctor = await (await VisitPage.open(browser, server, options)).join('Dr. Amara Okafor');
  const patient = await (await VisitPage.open(browser, server, options)).join('Margaret Hill');

  await assertRelayed(doctor, 'tcp');
  await assertRelayed(patient, 'tcp');
  assert.ok(await doctor.page.evaluate(() => window.socketAttempts) > 0, 'the WebSocket is tried');
  // What is said in the visit goes by long poll, too.
  await patient.page.click('#control-mic');
  await doctor.page.waitForSelector(`${doctor.tile('Margaret Hill')} .tile-muted:not(.hidden)`);
  await shoot(doctor.page, 'relay-tcp-doctor');
  await patient.page.click('#control-leave');
  await doctor.reads('#people-count', '1 person');
  await patient.close();
  await doctor.close();
});
