// The admin page about the server's certificate: the row on the Relay screen, and on every screen the warning
// when somebody has to act.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { assertAccessible, launchBrowser, Server, shoot, until } from './support.mjs';

const kScreens = ['Rooms now', 'Audit log', 'Relay'];

let server;
let browser;
let page;

before(async () => {
  server = await Server.start({ certificateDays: 5 });
  const code = await until('the set-up code in the banner', () => server.log.match(/#code=([0-9A-Z-]+)/)?.[1]);
  browser = await launchBrowser();
  page = await (await browser.newContext({ reducedMotion: 'reduce' })).newPage();
  await page.goto(`${server.origin}/admin/#code=${code}`);
  await page.getByLabel('Your account name').fill('anna');
  await page.getByRole('textbox', { name: 'Password', exact: true }).fill('a sentence nobody guesses');
  await page.getByRole('textbox', { name: 'Password again' }).fill('a sentence nobody guesses');
  await page.getByRole('button', { name: 'Create the account' }).click();
  await page.getByRole('heading', { name: 'Rooms now' }).waitFor();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

const warning = () => page.getByRole('alert').filter({ hasText: 'certificate' });
const show = async (screen) => {
  await page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: screen }).click();
  await page.getByRole('heading', { name: screen, level: 1 }).waitFor();
};

// The same words on every screen.
async function expectEverywhere(words, name) {
  for (const screen of kScreens) {
    await show(screen);
    await warning().filter({ hasText: words }).waitFor();
    for (const width of [360, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      await shoot(page, `certificate-${name}-${screen.split(' ')[0].toLowerCase()}-${width}`);
    }
  }
  await assertAccessible(page, name);
}

test('a certificate that ends soon is a warning on every screen', async () => {
  await expectEverywhere('ends soon and was not renewed', 'soon');
  await page.getByText(/good until .* \(4 days\)/).first().waitFor();
});

test('a new certificate that cannot be used is told with its reason, also on the screen that shows already', async () => {
  await show('Relay');
  fs.writeFileSync(path.join(server.folder, 'chain.pem'), 'no certificate\n');
  await warning().filter({ hasText: 'cannot be used' }).waitFor();
  await expectEverywhere(/cannot be used, so visitors still get the old one.*chain\.pem/, 'problem');
});

test('a good new certificate ends the warning', async () => {
  await show('Rooms now');
  server.makeCertificate(90);
  await warning().waitFor({ state: 'hidden' });
  await show('Relay');
  await page.getByText(/good until .* \(89 days\)/).waitFor();
  assert.equal(await warning().count(), 0);
  await shoot(page, 'certificate-good-relay-1280');
});
