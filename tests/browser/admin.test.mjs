// The admin page on the real server (BEDSIDE_BINARY): first account, rooms, audit log, relay, and what
// guards them. The tests build on each other, as a first day with Bedside does.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { assertAccessible, launchBrowser, Server, shoot, until } from './support.mjs';

const kPassword = 'a sentence nobody guesses';
const kWidths = [360, 768, 1280];

let server;
let origin;
let code;
let browser;
let context;
let page;
const complaints = [];  // console errors, exceptions, foreign requests

// axe-core at every width, a picture of each.
async function inspect(name) {
  for (const width of kWidths) {
    await page.setViewportSize({ width, height: 900 });
    await shoot(page, `admin-${name}-${width}`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `${name} at ${width} px is ${overflow} px too wide`);
    await assertAccessible(page, `${name} at ${width} px`);
  }
}

const button = (name) => page.getByRole('button', { name });
const tab = (name) => page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name });
const records = () => page.getByRole('table').locator('tbody tr:not(.detail)');
const types = () => page.locator('td.event .type').allTextContents();
const password = () => page.getByRole('textbox', { name: 'Password', exact: true });

async function showRecords() {
  const answered = page.waitForResponse((response) => response.url().includes('/admin/api/audit'));
  await button('Show records').click();
  await (await answered).finished();
  await page.waitForFunction(() => !document.querySelector('table').hasAttribute('aria-busy'));
}

before(async () => {
  server = await Server.start();
  origin = server.origin;
  code = await until('the set-up code in the banner', () => server.log.match(/#code=([0-9A-Z-]+)/)?.[1]);
  browser = await launchBrowser();
  context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'], reducedMotion: 'reduce' });
  page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // A refused login is an answer, not a fault; the browser lists it all the same.
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) complaints.push(message.text());
  });
  page.on('request', (request) => { if (!request.url().startsWith(origin)) complaints.push(request.url()); });
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

test('the link of the banner makes the first account, and its code leaves the address bar', async () => {
  await page.goto(`${origin}/admin/#code=${code}`);
  await page.getByRole('heading', { name: 'Set up Bedside' }).waitFor();
  assert.equal(page.url(), `${origin}/admin/`);
  assert.equal(await page.getByLabel('Set-up code').inputValue(), code);
  await inspect('set-up');

  await page.getByLabel('Your account name').fill('anna');
  await password().fill('too short');
  await button('Create the account').click();
  await page.getByText('3 more characters needed').waitFor();
  await password().fill(kPassword);
  await page.getByRole('textbox', { name: 'Password again' }).fill(kPassword);
  await button('Create the account').click();
  await page.getByRole('heading', { name: 'Rooms now' }).waitFor();
  await page.getByText('No room is open').waitFor();
  await inspect('rooms-empty');
});

test('the session cookie is out of reach of scripts and other sites', async () => {
  const [cookie, ...others] = await context.cookies(`${origin}/admin/`);
  assert.deepEqual(others, []);
  assert.equal(cookie.name, 'bedside-admin');  // __Host-bedside-admin on https
  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, 'Strict');
  assert.equal(cookie.path, '/');  // the signaling API takes it, with our header
  assert.equal(cookie.expires, -1);
  assert.match(cookie.value, /^[0-9a-f]{64}$/);
  const foreign = await fetch(`${origin}/admin/api/rooms/end`, {
    method: 'POST', body: '{"roomId":"x"}',
    headers: { 'Content-Type': 'application/json', Origin: 'https://evil.example', 'X-Bedside-Admin': '1', Cookie: `${cookie.name}=${cookie.value}` },
  });
  assert.equal(foreign.status, 403);
});

test('a room is created and its link copied', async () => {
  await page.getByLabel('Appointment id').fill('4711');
  await page.getByLabel('Appointment id').press('Enter');
  await page.getByRole('heading', { name: 'Room appointment-4711 is ready' }).waitFor();
  await button('Copy link (Visit link)').click();
  await page.getByText('Copied ✓').waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `${origin}/telehealth-webrtc.html?room=appointment-4711`);
  await page.getByText('Nobody is in the room yet').waitFor();
});

test('whoever joins shows up, and the room can be ended', async () => {
  const visitor = { action: 'join-room', roomId: 'appointment-4711', participantName: 'Pat Example' };
  const { status, body: joined } = await server.post(visitor);
  assert.equal(status, 200);
  await page.getByText(joined.participantId).waitFor();
  assert.equal(await page.getByText('Pat Example').count(), 0, 'names stay in the visit');
  await inspect('rooms');

  await button('End visit… (appointment-4711)').click();
  const question = page.getByRole('dialog', { name: 'End the visit in appointment-4711?' });
  await question.getByText('1 person is in this room').waitFor();
  await inspect('end');
  await question.getByRole('button', { name: 'Keep it open' }).click();
  await question.waitFor({ state: 'detached' });
  await page.getByText(joined.participantId).waitFor();

  await button('End visit… (appointment-4711)').click();
  await question.getByRole('button', { name: 'End visit', exact: true }).click();
  await page.getByText('No room is open').waitFor();
  assert.equal((await server.post(visitor)).status, 410);
});

test('the audit log tells the story, and every look at it is a record', async () => {
  await tab('Audit log').click();
  await records().first().waitFor();
  const seen = await types();
  for (const type of ['service.start', 'user.created', 'auth.login', 'room.created', 'room.join', 'room.ended']) {
    assert.ok(seen.includes(type), `${type} in ${seen}`);
  }
  assert.ok(!seen.includes('audit.viewed'));
  const text = await page.locator('main').textContent();
  assert.ok(!text.includes('Pat Example') && !text.includes('4711'), 'no names, no appointment');

  const ended = records().filter({ hasText: 'room.ended' });
  await ended.getByText('Staff anna').waitFor();
  await ended.getByRole('button', { name: /Details/ }).click();
  await page.getByText('The record exactly as stored').click();
  await inspect('audit');

  await page.getByText('This browser remembers the log’s seal from now on').waitFor();
  await showRecords();
  assert.equal((await types())[0], 'audit.viewed');
  await records().first().getByText('Staff anna').waitFor();
});

test('a browser that saw the log before tells whether it only grew', async () => {
  const visit = async () => {
    await page.reload();
    await page.getByRole('heading', { name: 'Audit log' }).waitFor();
  };
  const seal = page.getByRole('region', { name: 'Seal of the log' });
  const forge = (change) => page.evaluate((fields) => {
    const seen = JSON.parse(localStorage.getItem('bedside-audit-seal'));
    localStorage.setItem('bedside-audit-seal', JSON.stringify({ ...seen, ...fields }));
  }, change);
  await visit();
  await page.getByText(/The log only grew: all \d+ records .* are unchanged/).waitFor();
  await inspect('audit-seal');

  // What a rolled back and a changed log look like from here.
  await forge({ size: 100_000 });
  await visit();
  const alarm = page.getByRole('alert').filter({ hasText: 'not the one this browser saw' });
  await alarm.getByText('its end was cut off').waitFor();
  await forge({ size: 3, root: btoa('x'.repeat(32)) });
  await visit();
  await alarm.getByText('At least one of the records of then is not the same now').waitFor();
  await inspect('audit-seal-broken');
  await visit();
  await alarm.waitFor();  // looking at it does not make it go away

  await button('Remember this log instead…').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remember this log' }).click();
  await page.getByText(/remembers the log’s seal|The log only grew/).waitFor();
  await visit();
  await page.getByText(/The log only grew/).waitFor();
  assert.equal(await seal.getAttribute('role'), null);
});

test('records are downloaded with proofs that hold without this server', async () => {
  await page.getByText('Export records', { exact: true }).click();
  await page.getByLabel('Format').selectOption('csv');
  await page.getByLabel('Include full IP addresses').check();
  await inspect('audit-export');
  const [file] = await Promise.all([page.waitForEvent('download'), button('Download').click()]);
  assert.equal(file.suggestedFilename(), 'bedside-audit.tar');
  const verifier = new URL('../../store/offline/verify_audit_log.py', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)('python3', [verifier, await file.path()]);
  assert.match(stdout, /^PASS: \d+ exported records/);
  await showRecords();
  assert.ok((await types()).includes('audit.exported'));
  await page.getByText('Export records', { exact: true }).click();
});

test('filters narrow the audit log down', async () => {
  await page.getByLabel('Event', { exact: true }).selectOption('room.');
  await showRecords();
  const rooms = await types();
  assert.ok(rooms.length >= 3 && rooms.every((type) => type.startsWith('room.')), String(rooms));

  await page.getByLabel('Room', { exact: true }).fill('appointment-4711');
  await showRecords();
  const ofRoom = await types();
  assert.deepEqual([ofRoom.at(-1), ofRoom.filter((type) => type === 'room.ended').length], ['room.created', 1]);

  await page.getByLabel('Outcome').selectOption('aborted');
  await showRecords();
  await page.getByRole('heading', { name: 'No record matches' }).waitFor();
  await inspect('audit-empty');

  await page.getByLabel('Time', { exact: true }).selectOption('between');
  await page.getByLabel('From').fill('2026-01-02T10:00');
  await page.getByLabel('Until').fill('2026-01-01T10:00');
  await button('Show records').click();
  await page.getByText('This must be later').waitFor();
  await button('Clear').click();
  await records().first().waitFor();
});

test('pages of the audit log follow each other', async () => {
  for (let i = 0; i < 60; ++i) {
    assert.equal((await server.post({ action: 'create-room', appointmentId: `page-${i}` })).status, 200);
  }
  await page.getByLabel('Event', { exact: true }).selectOption('room.created');
  await showRecords();
  assert.equal(await records().count(), 50);
  const keys = () => page.getByRole('button', { name: /Details of record/ }).evaluateAll(
    (all) => all.map((each) => Number(each.textContent.match(/\d+/)[0])));
  const first = await keys();
  await button('Older →').click();
  await page.waitForFunction((seq) => !document.body.textContent.includes(`Details of record ${seq}`), first[0]);
  const second = await keys();
  assert.ok(second.length >= 11 && second[0] < first.at(-1));
  assert.equal(await button('Older →').isDisabled(), true);
  await button('← Newer').click();
  await page.waitForFunction((seq) => document.body.textContent.includes(`Details of record ${seq}`), first[0]);
  assert.deepEqual(await keys(), first);
});

test('a room leads to its own records', async () => {
  await tab('Rooms now').click();
  await page.getByRole('link', { name: 'Audit log of this room (appointment-page-7)' }).click();
  await page.waitForFunction(() => document.querySelectorAll('td.event').length === 1);
  assert.deepEqual(await types(), ['room.created']);
});

test('the relay screen shows live figures', async () => {
  await tab('Relay').click();
  await page.getByText('a second', { exact: true }).waitFor();
  await page.getByText('Since the server started').waitFor();
  await inspect('relay');
});

test('another person is invited, chooses a password alone, and can be disabled', async () => {
  await tab('People').click();
  await page.getByText('Everybody here can do everything').waitFor();
  await page.getByLabel('Account name').fill('not a name');
  await button('Invite').click();
  await page.getByText('Use 1 to 64 letters').waitFor();
  await page.getByLabel('Account name').fill('berta');
  await button('Invite').click();
  const link = await page.getByLabel('Link to hand on').inputValue();
  assert.match(link, /\/admin\/#code=[0-9A-Z-]+&name=berta$/);
  await page.getByText('Invited', { exact: true }).waitFor();
  await inspect('people');

  const other = await browser.newContext({ reducedMotion: 'reduce' });
  const theirs = await other.newPage();
  await theirs.goto(link);
  await theirs.getByRole('heading', { name: 'Your account' }).waitFor();
  assert.equal(theirs.url(), `${origin}/admin/`);
  assert.equal(await theirs.getByLabel('Your account name').inputValue(), 'berta');
  await theirs.getByRole('textbox', { name: 'Password', exact: true }).fill(kPassword);
  await theirs.getByRole('textbox', { name: 'Password again' }).fill(kPassword);
  await theirs.getByRole('button', { name: 'Create the account' }).click();
  await theirs.getByRole('heading', { name: 'Rooms now' }).waitFor();

  await tab('Relay').click();
  await tab('People').click();
  await button('Disable… (berta)').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Disable', exact: true }).click();
  await page.getByText(/^Disabled /).waitFor();
  await theirs.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: 'People' }).click();
  await theirs.getByRole('heading', { name: 'Please log in again' }).waitFor();
  await other.close();
});

test('a hold is set, and cleared with a reason', async () => {
  await tab('Retention').click();
  await page.getByText('Nothing is old enough to go').waitFor();
  await page.getByText('Set a hold', { exact: true }).click();
  await button('Set the hold').click();
  await page.getByText('Fill in a room, a person or a time.').waitFor();
  await page.getByLabel('Person').fill('anna');
  await page.getByLabel('Why').selectOption('complaint');
  await button('Set the hold').click();
  await page.getByText('Records of person anna').waitFor();
  await inspect('retention');
  await page.getByRole('button', { name: /^Clear…/ }).click();
  const question = page.getByRole('dialog');
  await question.getByLabel('Why').selectOption('mistake');
  await question.getByRole('button', { name: 'Clear the hold' }).click();
  await page.getByText('There are none: what is old enough can go.').waitFor();
});

// No server of a test is ten years old: what it would say is made up.
test('who approves a purge sees what goes, and sends what was seen', async () => {
  const plan = { from: 1, through: 512, records: 480, held: 31, oldestAt: Date.UTC(2012, 2, 1), newestAt: Date.UTC(2012, 8, 30) };
  const now = Date.now();
  const made = {
    success: true, session: { account: 'anna', secondsLeft: 900 }, keepYears: 10, noArchive: '', accounts: 2, plan, holds: [], purges: [],
    proposal: { through: 512, keepYears: 10, by: 'berta', at: now - 3_600_000, endsAt: now + 6 * 86_400_000, expired: false, plan },
  };
  let approved = null;
  await page.route('**/admin/api/retention', (route) => route.fulfill({ json: made }));
  await page.route('**/admin/api/retention/approve', (route) => {
    approved = route.request().postDataJSON();
    Object.assign(made, { proposal: null, plan: null, purges: [{ from: 1, through: 512, removed: 480, at: now, keepYears: 10, proposedBy: 'berta', approvedBy: 'anna', archive: 'ab'.repeat(32) }] });
    return route.fulfill({ json: { success: true, session: made.session, removed: 480, through: 512, archive: 'bedside-audit.archive', more: false } });
  });
  await tab('Relay').click();
  await tab('Retention').click();
  await page.getByText('berta proposed a purge on').waitFor();
  await page.getByText('480 records would go. 31 records stay because of holds.').waitFor();
  await inspect('retention-proposed');
  await button('Approve…').click();
  const question = page.getByRole('dialog', { name: 'Approve this purge?' });
  await question.getByText('deleted from this server for good').waitFor();
  await inspect('retention-approve');
  await question.getByRole('button', { name: 'Archive and delete' }).click();
  await page.getByText('480 records removed. The archive is bedside-audit.archive.').first().waitFor();
  assert.deepEqual(approved, { through: 512 });
  await page.getByText('Proposed by berta, approved by anna.').waitFor();
  await inspect('retention-done');
  await page.unroute('**/admin/api/retention');
  await page.unroute('**/admin/api/retention/approve');
});

test('when the session ends the screen is covered, and comes back after a login', async () => {
  await tab('Audit log').click();
  await records().first().waitFor();
  await context.clearCookies();
  // What the page asks by itself may be the first to hear of it: then the button is covered already.
  await button('Newest records').dispatchEvent('click');
  const question = page.getByRole('dialog', { name: 'Please log in again' });
  await question.waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  assert.equal(await question.isVisible(), true);
  await inspect('expired');
  await password().fill(kPassword);
  await page.keyboard.press('Enter');
  await question.waitFor({ state: 'detached' });
  await page.getByRole('heading', { name: 'Audit log' }).waitFor();
  await records().first().waitFor();
});

test('logging out works by keyboard, and guessing a password is slowed down', async () => {
  await button('Log out').focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  await inspect('login');
  await page.getByRole('textbox', { name: 'Name' }).fill('anna');
  // Five are free; then the pauses grow, and soon one is longer than a check of a password takes.
  let guesses = 0;
  const slowed = page.getByText('Too many attempts');
  while (!(await slowed.isVisible()) && guesses < 12) {
    await password().fill(`guess ${++guesses}`);
    const answered = page.waitForResponse((response) => response.url().endsWith('/admin/api/login'));
    await button('Log in').click();
    const { status, headers } = await answered.then((response) => ({ status: response.status(), headers: response.headers() }));
    if (status === 429) assert.ok(Number(headers['retry-after']) >= 1);
    await page.getByText(status === 429 ? 'Too many attempts' : 'The name or the password is not right').waitFor();
    if (status !== 429) await page.waitForFunction(() => document.querySelector('[type=submit]').textContent === 'Log in');
  }
  assert.ok(guesses > 5 && guesses < 12, `slowed down at guess ${guesses}`);
  await inspect('throttled');
  await password().fill(kPassword);
  await page.waitForFunction(() => document.querySelector('[type=submit]').textContent === 'Log in');
  await button('Log in').click();
  await page.getByRole('heading', { name: 'Audit log' }).waitFor();
  await page.getByLabel('Event', { exact: true }).selectOption('auth.login');
  await page.getByLabel('Outcome').selectOption('denied');
  await showRecords();
  const reasons = await page.locator('td[data-label=Outcome] .type').allTextContents();
  assert.deepEqual(reasons, ['locked', ...Array(guesses - 1).fill('wrong')]);
});

test('the page asked nobody else and broke no rule of its own', () => {
  assert.deepEqual(complaints, []);
});
