// The admin page of a server whose rooms are open to everybody who reaches it: warned about after every start.
// It is the only one of these tests whose server listens beyond loopback.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { assertAccessible, launchBrowser, Server, shoot, until } from './support.mjs';

const kWarning = 'Rooms are open: whoever reaches this server can make and enter rooms.';
const kPassword = 'a sentence nobody guesses';

let server;
let browser;
before(async () => {
  server = await Server.start({ listen: '0.0.0.0' });
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test('rooms open to all are warned about on the admin page, after every start', async () => {
  const page = await (await browser.newContext({ reducedMotion: 'reduce' })).newPage();
  const code = await until('the set-up code in the banner', () => server.log.match(/#code=([0-9A-Z-]+)/)?.[1]);
  await page.goto(`${server.origin}/admin/#code=${code}`);
  await page.getByLabel('Your account name').fill('anna');
  await page.getByRole('textbox', { name: 'Password', exact: true }).fill(kPassword);
  await page.getByRole('textbox', { name: 'Password again' }).fill(kPassword);
  await page.getByRole('button', { name: 'Create the account' }).click();
  await page.getByText(kWarning).waitFor();
  await assertAccessible(page, 'the warning of open rooms');
  await shoot(page, 'admin-open-rooms');

  await server.kill('SIGTERM');
  await server.restart();
  const later = await (await browser.newContext()).newPage();
  await later.goto(`${server.origin}/admin/`);
  await later.getByRole('textbox', { name: 'Name' }).fill('anna');
  await later.getByRole('textbox', { name: 'Password', exact: true }).fill(kPassword);
  await later.getByRole('button', { name: 'Log in' }).click();
  await later.getByText(kWarning).waitFor();
  assert.equal(server.log.match(/rooms are open: whoever reaches this server/g)?.length, 2, 'and in the log');
});
