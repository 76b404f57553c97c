// What people do in a visit, and what they are told.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { assertAccessible, launchBrowser, Server, shoot, until } from './support.mjs';
import { blueScreen, lateDevices, noDevices, VisitPage } from './visit-page.mjs';

const kPhone = { width: 360, height: 740 };

let server;
let browser;
let people = [];
before(async () => {
  server = await Server.start();
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

test('somebody without camera and microphone joins, sees the other one and is told so', async () => {
  const room = await server.createRoom('no-camera');
  const doctor = await (await open({ room })).join('Dr. Amara Okafor');
  const patient = await open({ room, scripts: [noDevices], viewport: kPhone });
  await patient.reads('#device-problem', 'We found no camera and no microphone on this device.');
  await patient.reads('#device-problem', 'You can still join');
  await assertAccessible(patient.page, 'the lobby without devices');
  await shoot(patient.page, 'lobby-without-devices');
  await patient.join('Margaret Hill');
  await patient.reads('#banner-text', 'without camera and microphone');
  await until('the doctor to be seen', async () => (await patient.facts())[0]?.framesDecoded > 5);
  await doctor.page.waitForSelector(`${doctor.tile('Margaret Hill')}[data-picture="false"]`);
  await doctor.reads(`${doctor.tile('Margaret Hill')} .avatar`, 'MH');
  await doctor.reads(doctor.tile('Margaret Hill'), 'Connected directly');
  await assertAccessible(patient.page, 'a visit without devices');
  await shoot(patient.page, 'visit-without-devices');
});

test('who joins before the browser may use the camera is not told that there is none', async () => {
  const room = await server.createRoom('late-camera');
  const doctor = await (await open({ room })).join('Dr. Amara Okafor');
  const patient = await (await open({ room, scripts: [lateDevices], viewport: kPhone })).join('Margaret Hill');
  await patient.reads('#people-count', '2 people');
  assert.equal(await patient.page.isHidden('#banner'), true, await patient.text('#banner-text'));
  await patient.page.evaluate(() => window.allowDevices());
  await Promise.all([doctor.mediaFlows(), patient.mediaFlows()]);
  assert.equal(await patient.page.isHidden('#banner'), true, await patient.text('#banner-text'));
  await shoot(patient.page, 'late-camera');
});

test('the others see mute, stopped video and a shared screen, and their ends', async () => {
  const room = await server.createRoom('switches');
  const doctor = await (await open({ room })).join('Dr. Amara Okafor');
  const patient = await (await open({ room, scripts: [blueScreen] })).join('Margaret Hill');
  const tile = doctor.tile('Margaret Hill');
  const isBlue = async () => {
    const [red, green, blue] = await doctor.pixel(`${tile} video`) ?? [];
    return blue > 180 && red < 80 && green < 80;
  };
  await doctor.mediaFlows();

  await patient.page.click('#control-mic');
  await doctor.page.waitForSelector(`${tile} .tile-muted:not(.hidden)`);
  await patient.page.click('#control-mic');
  await doctor.page.waitForSelector(`${tile} .tile-muted.hidden`, { state: 'attached' });

  await patient.page.click('#control-camera');
  await doctor.page.waitForSelector(`${tile}[data-picture="false"]`);
  await patient.reads('#control-camera', 'Start video');
  await patient.page.click('#control-camera');
  await doctor.page.waitForSelector(`${tile}[data-picture="true"]`);
  const before = (await doctor.facts())[0].framesDecoded;
  await until('pictures to flow again', async () => (await doctor.facts())[0].framesDecoded > before + 5);

  assert.equal(await isBlue(), false);
  await patient.page.click('#control-screen');
  await doctor.page.waitForSelector(`${tile}[data-screen="true"]`);
  await until('the shared screen to be seen', isBlue);
  await shoot(doctor.page, 'screen-is-shared');
  await patient.page.click('#control-screen');
  await doctor.page.waitForSelector(`${tile}[data-screen="false"]`);
  await until('the camera to be seen again', async () => !await isBlue());
});

test('three people are connected each with each, and see who leaves', async () => {
  const room = await server.createRoom('mesh');
  const doctor = await (await open({ room })).join('Dr. Amara Okafor');
  const patient = await (await open({ room, viewport: { width: 768, height: 1024 } })).join('Margaret Hill');
  const son = await (await open({ room, viewport: kPhone })).join('Peter Hill');
  for (const person of [doctor, patient, son]) {
    await person.mediaFlows(2);
    await person.reads('#people-count', '3 people');
  }
  await doctor.reads('#visit-status', 'Everybody is connected');
  await doctor.page.click('#people-button');
  assert.deepEqual(await doctor.page.locator('.person-name').allTextContents(),
    ['Dr. Amara Okafor (you)', 'Margaret Hill', 'Peter Hill']);
  await assertAccessible(doctor.page, 'a visit of three with the list of people');
  await shoot(doctor.page, 'three-doctor');
  await shoot(patient.page, 'three-patient');
  await shoot(son.page, 'three-son');

  await son.page.click('#control-leave');
  await son.reads('#end-title', 'You have left the visit');
  await assertAccessible(son.page, 'the last screen');
  await doctor.reads('#people-count', '2 people');
  await doctor.page.waitForSelector(doctor.tile('Peter Hill'), { state: 'detached' });
  // Closing the tab is leaving, too.
  await patient.page.close();
  await doctor.reads('#people-count', '1 person');
  await doctor.shows('#alone');
});

test('a visit is joined, used and left by keyboard alone on a small phone', async () => {
  const room = await server.createRoom('keyboard');
  const person = await open({ room, viewport: kPhone });
  const { page } = person;
  const focused = () => page.evaluate(() => document.activeElement.id);
  const tabTo = async (id) => {
    for (let presses = 0; presses < 25; presses += 1) {
      if (await focused() === id) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`Tab does not reach ${id}`);
  };
  await person.shows('#preview-video');
  assert.equal(await focused(), 'lobby-title');
  await assertAccessible(page, 'the lobby');
  await shoot(page, 'lobby-phone');

  // Without a name: told what is missing, and put there.
  await tabTo('join');
  await page.keyboard.press('Enter');
  await person.reads('#join-problem', 'Please write your name first.');
  assert.equal(await focused(), 'name');
  await assertAccessible(page, 'the lobby with a problem');
  await page.keyboard.type('Margaret Hill');
  await page.keyboard.press('Enter');
  await person.shows('#alone');
  assert.equal(await focused(), 'visit-title');
  await assertAccessible(page, 'a visit alone');
  await shoot(page, 'alone-phone');

  await tabTo('people-button');
  await page.keyboard.press('Enter');
  await person.shows('#people');
  assert.equal(await focused(), 'people-title');
  await page.keyboard.press('Escape');
  assert.equal(await focused(), 'people-button');
  await tabTo('control-mic');
  await page.keyboard.press('Space');
  await person.reads('#control-mic', 'Unmute');

  for (const selector of ['body', '#visit']) {
    const wide = await page.evaluate((query) => document.querySelector(query).scrollWidth, selector);
    assert.ok(wide <= 360, `${selector} is ${wide} px wide`);
  }
  for (const box of await page.locator('#visit button:visible').all()) {
    const { width, height } = await box.boundingBox();
    assert.ok(width >= 44 && height >= 44, `a control of ${width} × ${height} px`);
  }
  await tabTo('control-leave');
  await page.keyboard.press('Enter');
  await person.reads('#end-title', 'You have left the visit');
  assert.equal(await focused(), 'end-title');
});

test('both colour schemes and every size are free of serious accessibility problems', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const room = await server.createRoom(colorScheme);
    const one = await open({ room, colorScheme, viewport: { width: 768, height: 1024 } });
    await one.shows('#preview-video');
    await assertAccessible(one.page, `the ${colorScheme} lobby`);
    await shoot(one.page, `lobby-${colorScheme}`);
    await one.join('Margaret Hill');
    const two = await open({ room, colorScheme, viewport: kPhone });
    await two.join('Dr. Amara Okafor');
    await two.reads('#visit-status', 'Connected');
    await two.page.click('#people-button');
    await assertAccessible(one.page, `a ${colorScheme} visit`);
    await assertAccessible(two.page, `a ${colorScheme} list of people`);
    await shoot(two.page, `people-${colorScheme}`);
    for (const person of people.splice(0)) await person.close();
  }
});

test('when the practice ends the visit, everybody is told and no camera stays on', async () => {
  const room = await server.createRoom('ended');
  const doctor = await (await open({ room })).join('Dr. Amara Okafor');
  const patient = await (await open({ room, query: '&signaling=poll' })).join('Margaret Hill');
  await doctor.mediaFlows();
  await server.post({ action: 'end-room', roomId: room });
  for (const person of [doctor, patient]) {
    await person.reads('#end-title', 'The visit has ended');
    assert.equal(await person.page.evaluate(() => document.querySelector('#end-again').hidden), true);
    assert.deepEqual(await person.page.evaluate(() => window.testConnections.map((c) => c.signalingState)),
      ['closed']);
  }
  const late = await open({ room });
  await late.reads('#end-title', 'The visit has ended');
});

test('wrong links and full visits are explained', async () => {
  const unknown = await open({ room: 'there-is-no-such-room' });
  await unknown.reads('#end-title', 'We did not find this visit');
  await assertAccessible(unknown.page, 'an unknown visit');
  const nameless = await open({});
  await nameless.reads('#end-title', 'This link is not complete');

  const room = await server.createRoom('full');
  const late = await open({ room, path: '/telehealth-webrtc' });
  for (let seat = 1; seat <= 8; seat += 1) {
    await server.post({ action: 'join-room', roomId: room, participantName: `Person ${seat}` });
  }
  await late.page.fill('#name', 'Margaret Hill');
  await late.page.click('#join');
  await late.reads('#join-problem', 'This visit already has its maximum of 8 people');
  await late.reads('#join-problem', 'Please call your practice.');
});

test('a browser that refuses the camera still gets its person into the visit', async () => {
  const room = await server.createRoom('denied');
  const person = await open({ room, viewport: kPhone, scripts: [() => {
    navigator.mediaDevices.getUserMedia = () =>
      Promise.reject(new DOMException('Permission denied', 'NotAllowedError'));
  }] });
  await person.reads('#device-problem', 'This page may not use your camera and microphone. Allow them');
  await shoot(person.page, 'lobby-denied');
  await person.join('Margaret Hill');
  await person.page.click('#control-camera');
  await person.reads('#banner-text', 'This page may not use your camera.');
});

test('relay credentials are renewed before they expire, without disturbing the visit', async () => {
  const room = await server.createRoom('renewal');
  const doctor = await (await open({ room, query: '&policy=relay' })).join('Dr. Amara Okafor');
  const patient = await open({ room, query: '&policy=relay' });
  const credential = () => patient.page.evaluate(() =>
    window.testConnections[0]?.getConfiguration().iceServers.find(({ username }) => username).credential);
  let asked = 0;
  await patient.page.route('**/api/webrtc-signaling', async (route) => {
    const { action } = route.request().postDataJSON() ?? {};
    if (action !== 'join-room' && action !== 'ice-servers') return route.continue();
    const response = await route.fetch();
    const body = await response.json();
    if (action === 'join-room') {
      body.iceExpiresAt = Date.now() + 1_000;
    } else {
      asked += 1;
      body.iceServers[1].credential = 'renewed';
    }
    return route.fulfill({ response, json: body });
  });
  await patient.join('Margaret Hill');
  await doctor.mediaFlows();
  assert.notEqual(await credential(), 'renewed');
  await until('new credentials in the connection', async () => await credential() === 'renewed');
  await patient.mediaFlows();
  assert.equal(asked, 1);
  assert.equal((await patient.facts())[0].candidateType, 'relay');
});

test('a page of which a part does not arrive says so, and a reload helps', async () => {
  const room = await server.createRoom('incomplete');
  // Without starting.js the notice comes too, later and without a button.
  for (const missing of ['main', 'mesh', 'starting']) {
    const context = await browser.newContext({ viewport: kPhone });
    const page = await context.newPage();
    const asked = page.waitForRequest(`**/session/${missing}.js`);
    await context.route(`**/session/${missing}.js`, (route) => route.abort('connectionreset'));
    if (missing === 'starting') await context.route('**/session/main.js', (route) => route.abort('connectionreset'));
    await page.goto(server.url(`/telehealth-webrtc.html?room=${room}#secret`));
    await asked;
    await page.getByRole('heading', { name: 'This page did not load completely' }).waitFor({ timeout: 12_000 });
    await context.unrouteAll();
    const reload = page.getByRole('button', { name: 'Reload the page' });
    if (missing === 'starting') {
      assert.equal(await reload.isVisible(), false);
      await page.reload();
    } else {
      await assertAccessible(page, 'a page that did not load');
      await shoot(page, `incomplete-${missing}`);
      await reload.click();
    }
    await page.waitForSelector('#lobby', { state: 'visible' });
    assert.equal(await page.locator('#starting').count(), 0);
    assert.match(page.url(), /#secret$/);
    await context.close();
  }
});
