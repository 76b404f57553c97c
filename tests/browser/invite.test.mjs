// Invitations: the waiting room, what hosts can do, and a place that survives a reload.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { assertAccessible, launchBrowser, Server, shoot, until } from './support.mjs';
import { noWebSocket, VisitPage } from './visit-page.mjs';

const kPhone = { width: 360, height: 740 };

let server;
let browser;
let people = [];
before(async () => {
  server = await Server.start({ access: 'invite' });
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  for (const person of people.splice(0)) await person.close();
});

async function open(options) {
  const person = await VisitPage.open(browser, server, options);
  people.push(person);
  return person;
}

/** A host in the visit and a guest in its waiting room. */
async function hostAndGuest(room, guestOptions = {}) {
  const { link, hostLink } = await server.invite(room);
  const host = await (await open({ link: hostLink })).join('Dr. Amara Okafor');
  const guest = await (await open({ link, viewport: kPhone, ...guestOptions })).knock('Margaret Hill');
  await host.reads('#knock-list', 'Margaret Hill is waiting');
  return { host, guest, link };
}

test('a guest waits until the host admits, then both see each other', async () => {
  const { host, guest } = await hostAndGuest('waits');
  await guest.reads('#waiting-title', 'The clinician will let you in');
  await assertAccessible(guest.page, 'the waiting room');
  await assertAccessible(host.page, 'a knock');
  await shoot(guest.page, 'waiting-room');
  await host.reads('#alone-title', 'You are the only one in the visit');
  await shoot(host.page, 'host-knock');
  assert.deepEqual(await guest.facts(), [], 'no connection before the admission');
  await host.page.click('text="Admit"');
  await guest.shows('#visit');
  await Promise.all([host.mediaFlows(), guest.mediaFlows()]);
  assert.equal(await host.page.isVisible('#knocks'), false);
  assert.equal(await guest.page.isVisible('#host-tools'), false);
});

test('through a firewall without WebSockets the guest waits and comes in just the same', async () => {
  const { host, guest } = await hostAndGuest('waits-by-poll', { scripts: [noWebSocket] });
  await host.page.click('text="Admit"');
  await guest.shows('#visit');
  await guest.mediaFlows();
});

test('a declined guest reads the reason and may ask again', async () => {
  const { host, guest } = await hostAndGuest('declined');
  await host.page.click('text="Decline"');
  await host.page.fill('#knock-list input', 'I am with another patient until ten.');
  await shoot(host.page, 'host-decline');
  await host.page.click('#knock-list button[type=submit], #knock-list .primary');
  await guest.reads('#end-text', 'I am with another patient until ten.');
  await assertAccessible(guest.page, 'a declined guest');
  await shoot(guest.page, 'declined');
  await guest.page.click('#end-again');
  await guest.shows('#lobby');
  await guest.knock('Margaret Hill');
  await host.reads('#knock-list', 'Margaret Hill is waiting');
});

test('a reload keeps the place, in the waiting room and in the visit', async () => {
  const { host, guest } = await hostAndGuest('reloads');
  await guest.page.reload();
  await guest.shows('#waiting');
  await host.reads('#knock-list', 'Margaret Hill is waiting');
  await host.page.click('text="Admit"');
  await guest.shows('#visit');
  await guest.mediaFlows();
  await guest.page.reload();
  await guest.shows('#visit');
  await Promise.all([host.mediaFlows(), guest.mediaFlows()]);
  assert.equal(await host.page.isVisible('#knocks'), false, 'nobody has to be admitted twice');
});

/** The guest is in the visit, and its page asks for its place over a line that can be `cut`; `asked` has every action. */
async function admittedOverLine(room) {
  const { host, guest } = await hostAndGuest(room);
  await host.page.click('text="Admit"');
  await guest.shows('#visit');
  await host.reads('#people-count', '2 people');
  const line = { cut: false, asked: [] };
  await guest.page.route('**/api/webrtc-signaling', (route) => {
    const { action } = route.request().postDataJSON() ?? {};
    line.asked.push(action);
    return line.cut && action === 'ice-servers' ? route.abort('connectionreset') : route.continue();
  });
  const count = (wanted) => line.asked.filter((action) => action === wanted).length;
  return { host, guest, line, count };
}

const placeOf = (guest, room) =>
  guest.page.evaluate((key) => JSON.parse(sessionStorage.getItem(key)), `bedside-place:${room}`);

test('a reload that meets no server leads back to the place by itself, without a second knock', async () => {
  const room = 'glitch';
  const { host, guest, line, count } = await admittedOverLine(room);
  const { participantId } = await placeOf(guest, room);
  line.cut = true;
  await guest.page.reload();
  await guest.reads('#join-problem', 'You keep your place in the visit');
  await assertAccessible(guest.page, 'the lobby of somebody who keeps a place');
  await shoot(guest.page, 'place-kept');
  line.cut = false;
  await guest.shows('#visit');
  await Promise.all([host.mediaFlows(), guest.mediaFlows()]);
  assert.equal((await placeOf(guest, room)).participantId, participantId);
  assert.equal(count('join-room'), 0);
  assert.equal(await host.page.isVisible('#knocks'), false, 'nobody has to be admitted twice');
  await host.reads('#people-count', '2 people');
});

test('Join leads to the kept place too, however often it is pressed in vain', async () => {
  const room = 'pressed';
  const { host, guest, line, count } = await admittedOverLine(room);
  const { participantId } = await placeOf(guest, room);
  line.cut = true;
  await guest.page.reload();
  await until('the page to have tried thrice', () => count('ice-servers') >= 3);
  for (let presses = 0; presses < 2; presses += 1) {
    await guest.reads('#join', 'Join the visit');
    await guest.page.click('#join');
    await guest.reads('#join-problem', 'You keep your place in the visit');
  }
  line.cut = false;
  await guest.page.click('#join');
  await guest.shows('#visit');
  assert.equal((await placeOf(guest, room)).participantId, participantId);
  assert.equal(count('join-room'), 0);
  await guest.mediaFlows();
  assert.equal(await host.page.isVisible('#knocks'), false, 'nobody has to be admitted twice');
});

test('a place that the server says is gone is replaced by a new one, which has to knock', async () => {
  const room = 'gone';
  const { host, guest, line, count } = await admittedOverLine(room);
  const { participantId } = await placeOf(guest, room);
  const spoil = () => guest.page.evaluate((key) => {
    const place = JSON.parse(sessionStorage.getItem(key));
    sessionStorage.setItem(key, JSON.stringify({ ...place, token: 'spoilt' }));
  }, `bedside-place:${room}`);
  // The page finds out by itself: then nobody knocks unasked.
  await spoil();
  await guest.page.reload();
  await guest.reads('#join-problem', 'is not kept any more');
  assert.equal(count('join-room'), 0);
  await guest.knock('Margaret Hill');
  await host.reads('#knock-list', 'Margaret Hill is waiting');
  const second = await placeOf(guest, room);
  assert.notEqual(second.participantId, participantId);

  // Whoever presses Join finds out: they have asked already. After three attempts the page pauses for seconds.
  line.cut = true;
  await spoil();
  line.asked.length = 0;
  await guest.page.reload();
  await until('the page to have tried thrice', () => count('ice-servers') >= 3);
  line.cut = false;
  await guest.knock('Margaret Hill');
  assert.notEqual((await placeOf(guest, room)).participantId, second.participantId);
});

test('a host whose return cannot be recorded may declare an emergency by Join', async () => {
  const { hostLink } = await server.invite('urgent');
  const host = await (await open({ link: hostLink, viewport: kPhone })).join('Dr. Amara Okafor');
  await host.page.route('**/api/webrtc-signaling', (route) => {
    const { action } = route.request().postDataJSON() ?? {};
    const refusal = { success: false, error: 'Temporarily unavailable' };
    if (action === 'ice-servers') return route.fulfill({ status: 503, json: refusal });
    if (action !== 'join-room') return route.continue();
    return route.fulfill({ status: 503, json: { ...refusal, mayDeclareEmergency: true } });
  });
  await host.page.reload();
  await host.reads('#join-problem', 'The server is busy at the moment. You keep your place');
  await host.page.click('#join');
  await host.shows('#emergency-offer');
  assert.equal(await host.page.isVisible('#join-problem'), false);
});

test('a restart of the server keeps who is host, who is admitted and who waits', async () => {
  const { host, guest, link } = await hostAndGuest('restarts');
  await host.page.click('text="Admit"');
  await guest.mediaFlows();
  const late = await (await open({ link, viewport: kPhone })).knock('Late Guest');
  await host.reads('#knock-list', 'Late Guest is waiting');

  await server.kill('SIGKILL');
  await host.reads('#banner-text', 'The line to our server is interrupted');
  await server.restart();
  for (const person of [host, guest]) await until('the notice to go away', () => person.page.isHidden('#banner'));
  await Promise.all([host.mediaFlows(), guest.mediaFlows()]);
  assert.equal(await late.page.isVisible('#waiting'), true);
  assert.deepEqual(await late.facts(), [], 'a restart admits nobody');
  await host.page.click('#people-button');
  await host.shows('#host-tools');
  await guest.page.click('#people-button');
  await guest.shows('#people');
  assert.equal(await guest.page.isVisible('#host-tools'), false, 'a restart makes nobody a host');
  await host.reads('#knock-list', 'Late Guest is waiting');
  await shoot(host.page, 'host-after-restart');
  await host.page.click('text="Admit"');
  await late.shows('#visit');
  await Promise.all([host.mediaFlows(2), late.mediaFlows(2)]);
});

test('a host removes a guest, locks the visit and ends it for everybody', async () => {
  const { host, guest, link } = await hostAndGuest('controls');
  await host.page.click('text="Admit"');
  await guest.shows('#visit');
  await host.page.click('#people-button');
  await host.page.click('#host-people button');
  await assertAccessible(host.page, 'the controls of a host');
  await shoot(host.page, 'host-controls');
  // A slow machine takes longer for that than the button waits for the second press.
  await host.page.click('#host-people button:text-is("Remove Margaret Hill")', { trial: true });
  await host.page.click('#host-people button');
  await host.page.click('#host-people button');
  await guest.reads('#end-title', 'You are no longer in the visit');
  await shoot(guest.page, 'removed');
  await host.page.waitForSelector(host.tile('Margaret Hill'), { state: 'detached' });
  await host.page.click('#host-lock');
  await host.shows('#locked-note');
  const late = await open({ link, viewport: kPhone });
  await late.page.fill('#name', 'Late Guest');
  await late.page.click('#join');
  await late.reads('#join-problem', 'This visit is locked');
  await host.page.click('#host-end');
  await host.page.click('#host-end');
  await host.reads('#end-title', 'The visit has ended');
});

test('a wrong link says so, whatever the room', async () => {
  const { link } = await server.invite('wrong');
  for (const wrong of [`${link}x`, link.replace('room=wrong', 'room=nowhere')]) {
    const stranger = await open({ link: wrong });
    await stranger.page.fill('#name', 'Mallory');
    await stranger.page.click('#join');
    await stranger.reads('#join-problem', 'This link is not valid');
  }
});
