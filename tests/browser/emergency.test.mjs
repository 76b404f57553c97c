// The server's disk is full: a clinician whose patient cannot wait opens the visit all the same.
// Needs root, because the disk is a small tmpfs.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { assertAccessible, launchBrowser, Server, shoot, until } from './support.mjs';
import { noWebSocket, VisitPage } from './visit-page.mjs';

const kPhone = { width: 360, height: 740 };
const kRoot = process.getuid() === 0;
const skip = kRoot ? false : 'NOT TESTED: an emergency in browsers; mounting a small disk needs root';

let server;
let browser;
let disk;
const people = [];

before(async () => {
  if (!kRoot) return;
  server = await Server.start({
    access: 'invite',
    more: '[audit]\nemergency_journal = "journal"\n',
    prepare: (folder) => {
      disk = path.join(folder, 'data');
      fs.mkdirSync(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m,mode=0700', 'tmpfs', disk]);
    },
  });
  browser = await launchBrowser();
});
after(async () => {
  for (const person of people) await person.close();
  await browser?.close();
  await server?.kill('SIGTERM');
  if (disk) execFileSync('umount', ['-l', disk]);
  await server?.stop();
});

async function open(options) {
  const person = await VisitPage.open(browser, server, options);
  people.push(person);
  return person;
}

let probes = 0;

/** Asks for new rooms until the answer has this status. */
function untilRoomsAnswer(wanted) {
  return until(`rooms answer ${wanted}`, async () => {
    const { status } = await server.post({ action: 'create-room', appointmentId: 9, roomName: `probe-${++probes}` },
      { Authorization: `Bearer ${server.token}` });
    return status === wanted;
  }, 60_000);  // the server looks at its disk every ten seconds
}

function fill() {
  const file = fs.openSync(path.join(disk, 'filler'), 'w');
  try {
    for (;;) fs.writeSync(file, Buffer.alloc(65536, 'f'));
  } catch (error) {
    assert.equal(error.code, 'ENOSPC');
  } finally {
    fs.closeSync(file);
  }
}

test('a clinician opens the visit as an emergency and lets the patient in', { skip }, async () => {
  const { link, hostLink } = await server.invite('urgent');
  const host = await open({ link: hostLink, viewport: kPhone });
  fill();
  await untilRoomsAnswer(503);
  await host.page.fill('#name', 'Dr. Amara Okafor');
  await host.page.click('#join');
  await host.page.waitForSelector('#emergency-offer:not([hidden])');
  await assertAccessible(host.page, 'the offer of an emergency');
  await shoot(host.page, 'emergency-offer');
  await host.page.click('#emergency-join');
  await host.page.click('#emergency-join');
  await host.shows('#visit');
  const guest = await (await open({ link })).knock('Margaret Hill');
  await host.page.click('text="Admit"');
  await guest.shows('#visit');
  await Promise.all([host.mediaFlows(), guest.mediaFlows()]);
  await host.reads('#emergency-note', 'goes on as an emergency');
  await shoot(host.page, 'emergency-visit');
  fs.unlinkSync(path.join(disk, 'filler'));
  await untilRoomsAnswer(200);
});

const kTransports = [['a WebSocket', []], ['the long poll', [noWebSocket]]];
for (const [transport, scripts] of kTransports) {
  test(`a host in by ${transport} reads that nothing is recorded, and goes on`, { skip }, () => goOn(scripts));
}

async function goOn(scripts) {
  const { link, hostLink } = await server.invite(`later-${scripts.length}`);
  const host = await (await open({ link: hostLink, scripts })).join('Dr. Amara Okafor');
  await (await open({ link })).knock('Margaret Hill');
  await host.reads('#knock-list', 'Margaret Hill is waiting');
  fill();
  await untilRoomsAnswer(503);
  await host.page.click('text="Admit"');
  await host.reads('#emergency-note', 'it was not done');
  await assertAccessible(host.page, 'a host who is refused');
  await shoot(host.page, 'emergency-tools');
  await host.page.click('#host-emergency');
  await host.page.click('#host-emergency');
  await host.reads('#emergency-note', 'goes on as an emergency');
  await host.page.click('text="Admit"');
  await host.page.waitForSelector('#knocks', { state: 'hidden' });
  fs.unlinkSync(path.join(disk, 'filler'));
  await untilRoomsAnswer(200);
}
