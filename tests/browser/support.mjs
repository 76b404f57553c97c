// What every browser test needs: the real server on free ports with its own data, the real browser, and
// waiting that ends with the condition or with a clear failure.
//
// BEDSIDE_BINARY   the server to test (required)
// BEDSIDE_CHROMIUM the browser, default Debian's Chromium without windows; /usr/bin/chromium is the whole one

import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const kHere = path.dirname(fileURLToPath(import.meta.url));
const kShots = path.join(kHere, 'shots');
const kStartAttempts = 5;
const kStartDeadline = 20_000;  // ms; sanitized builds start slowly

const kFlags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
  // Few pictures: several people share one machine.
  '--use-fake-device-for-media-stream=fps=5,display-media-type=browser',
  '--use-fake-ui-for-media-stream',
];

/** Resolves with the first truthy value of `probe`; fails with `what` and the last value otherwise. */
export async function until(what, probe, deadline = 20_000) {
  const end = Date.now() + deadline;
  let last;
  for (;;) {
    try {
      last = await probe();
    } catch (error) {
      last = error;
    }
    if (last && !(last instanceof Error)) return last;
    if (Date.now() > end) {
      const seen = last instanceof Error ? last.message : JSON.stringify(last);
      assert.fail(`Waited ${deadline / 1000} s in vain for: ${what} (last seen: ${seen})`);
    }
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

/** A TCP port of 127.0.0.1 that nobody listens on now; below the ephemeral ports, which the kernel gives to clients. */
export async function freePort() {
  for (;;) {
    const port = crypto.randomInt(11000, 32768); // browsers refuse 10080
    const probe = net.createServer();
    probe.listen(port, '127.0.0.1');
    const free = await once(probe, 'listening').then(() => true, () => false); // false: it is taken
    if (!free) continue;
    probe.close();
    await once(probe, 'close');
    return port;
  }
}

export const kChromium = process.env.BEDSIDE_CHROMIUM ?? '/usr/bin/chromium-headless-shell';

/** Starts the browser; close it in `after`. Each context of it is a person of their own. */
export function launchBrowser(extraFlags = [], options = {}) {
  return chromium.launch({ executablePath: kChromium, args: [...kFlags, ...extraFlags], ...options });
}

/** Saves a picture to `folder`, for people. */
export async function shoot(page, name, folder = kShots) {
  fs.mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
}

/** Fails with everything serious that axe-core finds on the page as it is now. */
export async function assertAccessible(page, state) {
  const source = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  // evaluate() runs outside of the page's content security policy, which stays in force.
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' | ')}`);
  assert.deepEqual(serious, [], `Accessibility of ${state}`);
}

/**
 * A running server on loopback with its own folder; `access` as in its configuration. `certificateDays`: it
 * serves https too, with a certificate that is good for so long; `more`: at the end of its configuration;
 * `prepare` is given the folder before the first start; `listen`: another address for its pages.
 */
export class Server {
  #process = null;
  #log = [];

  /** @returns {Promise<Server>} */
  static async start({
    access = 'open', certificateDays = 0, listen = '127.0.0.1', more = '', prepare = () => {},
  } = {}) {
    const server = new Server();
    server.more = more;
    server.access = access;
    server.listen = listen;
    server.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bedside-browser-'));
    prepare(server.folder);
    server.https = certificateDays > 0;
    if (server.https) server.makeCertificate(certificateDays);
    // A free port may be taken before the server binds it: then others are tried.
    for (let attempt = 1; ; attempt += 1) {
      await server.#configure();
      try {
        await server.#run();
        return server;
      } catch (error) {
        if (attempt === kStartAttempts) throw error;
      }
    }
  }

  get log() { return this.#log.join(''); }

  url(pathAndQuery) { return `${this.origin}${pathAndQuery}`; }

  async post(fields, headers = {}) {
    const response = await fetch(this.url('/api/webrtc-signaling'), {
      method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(fields),
    });
    return { status: response.status, body: await response.json() };
  }

  /** @returns {Promise<string>} the room's id */
  async createRoom(name) {
    const { status, body } = await this.post({ action: 'create-room', appointmentId: 1, roomName: name });
    assert.equal(status, 200, JSON.stringify(body));
    return body.room.roomId;
  }

  /** Puts a new certificate and key where the server reads them. */
  makeCertificate(days) {
    const at = (name) => path.join(this.folder, name);
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
      '-days', String(days), '-subj', '/CN=localhost', '-keyout', at('key.pem'), '-out', at('chain.pem')],
    { stdio: 'ignore' });
    fs.chmodSync(at('key.pem'), 0o600);
  }

  /** Runs the binary's command line against this server. @returns {Promise<string>} its output */
  async command(...words) {
    const file = path.join(this.folder, 'bedside.toml');
    const { stdout } = await promisify(execFile)(process.env.BEDSIDE_BINARY, [...words, '--config', file]);
    return stdout.trim();
  }

  /** Invite mode: a room with its two links. @returns {Promise<{link: string, hostLink: string}>} */
  async invite(name) {
    this.token ??= await this.command('token', 'create', '--name', 'tests', '--scope', 'rooms.create');
    const { status, body } = await this.post({ action: 'create-room', appointmentId: 1, roomName: name },
      { Authorization: `Bearer ${this.token}` });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }

  async kill(signal) {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill(signal);
    await ended;
  }

  /** On the same ports, with the same data. */
  restart() { return this.#run(); }

  async stop() {
    await this.kill('SIGTERM');
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  async #configure() {
    const [http, turn, operator, https] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    const secure = this.https
      ? `listen = ["127.0.0.1:${https}"]\ncertificate = "chain.pem"\nprivate_key = "key.pem"` : 'listen = []';
    this.origin = `http://127.0.0.1:${http}`;
    this.operatorOrigin = `http://127.0.0.1:${operator}`;
    fs.writeFileSync(path.join(this.folder, 'bedside.toml'), `
data_dir = "data"
public_host = "localhost"
[http]
listen = ["${this.listen}:${http}"]
[https]
${secure}
[turn]
listen = ["127.0.0.1:${turn}"]
[signaling]
access = "${this.access}"
[operator]
listen = "127.0.0.1:${operator}"
${this.more}`);
  }

  async #run() {
    const binary = process.env.BEDSIDE_BINARY;
    assert.ok(binary, 'Set BEDSIDE_BINARY to the server to test, e.g. build/server/bedside');
    const child = spawn(binary, ['serve', '--config', path.join(this.folder, 'bedside.toml')],
      { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => this.#log.push(String(chunk)));
    }
    let failed = null;
    child.on('error', (error) => { failed = error.message; });
    child.on('exit', (code, signal) => { failed = `it ended with ${signal ?? code}`; });
    await until('the server to answer', async () => {
      if (failed) return { failed };
      return (await fetch(`${this.operatorOrigin}/healthz`)).ok;
    }, kStartDeadline);
    assert.equal(failed, null, `The server did not start: ${failed}\n${this.log}`);
  }
}
