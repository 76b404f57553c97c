// The real server in its namespace, with the default access of a practice: invitations and a waiting room.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { until } from '../browser/support.mjs';
import { kServerAddress, kSubnets } from './network.mjs';

export const kHost = 'visit.test';

/**
 * A certificate for kHost.
 * @returns {{certificate: string, key: string, pin: string}} files; the pin by which a browser trusts it
 */
export function makeCertificate(folder, name) {
  const certificate = path.join(folder, `${name}.pem`);
  const key = path.join(folder, `${name}.key`);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-days', '3', '-subj', `/CN=bedside lab: ${name}`, '-addext', `subjectAltName=DNS:${kHost}`,
    '-keyout', key, '-out', certificate], { stdio: 'ignore' });
  const spki = new crypto.X509Certificate(fs.readFileSync(certificate)).publicKey
    .export({ type: 'spki', format: 'der' });
  return { certificate, key, pin: crypto.createHash('sha256').update(spki).digest('base64') };
}

export class LabServer {
  #network;
  #config;
  #process = null;
  #log = [];
  #rooms = 0;

  /**
   * @param {import('./network.mjs').Network} network
   * @param {string} folder  its own
   * @param {{certificate: string, key: string}} identity
   */
  constructor(network, folder, identity) {
    this.#network = network;
    this.#config = path.join(folder, 'bedside.toml');
    const allowed = kSubnets.map((subnet) => `"${subnet}"`).join(', ');
    fs.writeFileSync(this.#config, `
data_dir = "data"
public_host = "${kHost}"
[https]
listen = ["${kServerAddress}:443"]
certificate = "${identity.certificate}"
private_key = "${identity.key}"
[http]
listen = []
[turn]
listen = ["${kServerAddress}:3478", "${kServerAddress}:443"]
allowed_peers = [${allowed}]
[operator]
listen = "127.0.0.1:9641"
`, { mode: 0o600 });
  }

  get log() { return this.#log.join(''); }

  /** Links are whole URLs here. */
  url(link) { return link; }

  /** @returns {Promise<void>} when it serves */
  async start() {
    const child = this.#network.spawn('server', process.env.BEDSIDE_BINARY, 'serve', '--config', this.#config);
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => this.#log.push(String(chunk)));
    await until('the server to serve', () => {
      if ((child.exitCode ?? child.signalCode) !== null) return { ended: this.log };
      this.#command('room', 'list');
      return true;
    });
    assert.equal(child.exitCode ?? child.signalCode, null, this.log);
  }

  /** As the kernel or a power cut would. */
  async kill() {
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }

  async stop() {
    if (!this.#process || (this.#process.exitCode ?? this.#process.signalCode) !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await ended;
  }

  /** A new room. @returns {{link: string, hostLink: string}} */
  invite() {
    this.#rooms += 1;
    const said = this.#command('room', 'create', String(this.#rooms));
    const [, link] = /^Patient +(\S+)$/m.exec(said) ?? [];
    const [, hostLink] = /^Clinician +(\S+)$/m.exec(said) ?? [];
    assert.ok(link && hostLink, said);
    return { link, hostLink };
  }

  /** Runs the binary's command line against this server. */
  #command(...words) {
    return this.#network.run('server', process.env.BEDSIDE_BINARY, ...words, '--config', this.#config);
  }
}
