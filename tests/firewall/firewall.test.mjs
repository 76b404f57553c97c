// A visit gets through whatever the patient's network lets pass: real browsers, the real server, and a
// router whose counters say what really went by.   BEDSIDE_BINARY=… node tests/firewall/firewall.test.mjs
//
// Client a is the clinician, client b the patient.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { kChromium, launchBrowser, shoot, until } from '../browser/support.mjs';
import { VisitPage } from '../browser/visit-page.mjs';
import { kHost, LabServer, makeCertificate } from './lab-server.mjs';
import { kNatAddress, kProxyPort, kServerAddress, missing, Network } from './network.mjs';

const kHere = path.dirname(fileURLToPath(import.meta.url));
const kShots = path.join(kHere, 'shots');
const kReattach = 5_000;       // ms: what a restart may cost
const kNoticed = 10_000;       // ms until a page knows that nobody is there
const kRepair = 40_000;        // ms for a media path to come back
const kMedia = 20_000;         // bytes: what mediaFlows() waits for, both ways
const kDirect = 15_000;        // ms for a visit to become a direct one, before it is begun anew
const kVisits = 5;             // begun until one of them is direct

const skip = missing();
if (skip) process.once('exit', () => console.error(skippedNotice()));
const scenario = (name, body) => test(name, { skip: skip ?? false }, body);

/** For whoever reads the end of a long log. It is no failure: some containers let nobody make namespaces. */
function skippedNotice() {
  const line = '!'.repeat(80);
  return ['', line, `SKIPPED: the firewall lab: ${skip}`,
    'Nothing was tested about firewalls, NAT, proxies and lost connections. As root, on a machine with',
    'network namespaces: ./run firewall', line, ''].join('\n');
}

let folder;
let network;
let server;
let identity;
let interceptor;  // the proxy's certificate
const browsers = {};
const people = {};

/** A browser that lives in a client's namespace. */
function browserOf(client) {
  const wrapper = path.join(folder, `chromium-${client}`);
  fs.writeFileSync(wrapper, `#!/bin/sh\nexec ip netns exec ${network.namespace(client)} ${kChromium} "$@"\n`,
    { mode: 0o755 });
  const flags = [`--ignore-certificate-errors-spki-list=${identity.pin},${interceptor.pin}`];
  return launchBrowser(flags, {
    executablePath: wrapper, handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false,
  });
}

before(async () => {
  if (skip) return;
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bedside-lab-'));
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  network = Network.create({ [kHost]: kServerAddress });
  network.setFirewall({ a: 'open', b: 'open' });
  identity = makeCertificate(folder, 'server');
  interceptor = makeCertificate(folder, 'interceptor');
  server = new LabServer(network, folder, identity);
  [browsers.a, browsers.b] = await Promise.all([browserOf('a'), browserOf('b'), server.start()]);
});
after(async () => {
  await Promise.all(Object.values(browsers).map((browser) => browser.close()));
  await server?.stop();
  network?.remove();
});
async function everybodyLeaves() {
  for (const client of Object.keys(people)) {
    await people[client].page.context().close();
    delete people[client];
  }
}
afterEach(async () => {
  await everybodyLeaves();
  // The next scenario's rules and counters shall meet none of this one's packets.
  if (network) await until('the connections of this visit to end', () => !network.httpsClients(true).size);
});

/** A clinician at a and a patient at b in one visit; `switches` in the address of the patient's page. */
async function visit(switches = '') {
  const { link, hostLink } = server.invite();
  const viewport = { width: 640, height: 480 };
  const [a, b] = await Promise.all([
    VisitPage.open(browsers.a, server, { link: hostLink, viewport }),
    VisitPage.open(browsers.b, server, { link: link.replace('#', `${switches}#`), viewport }),
  ]);
  Object.assign(people, { a, b });
  await Promise.all([a.join('Dr. Amara Okafor'), b.knock('Margaret Hill')]);
  await a.page.click('text="Admit"');
  await b.shows('#visit');
  return { a, b };
}

/**
 * Waits until media flow both ways at both sides over pairs that `fits` accepts.
 * @returns the facts of both sides, and in `passed` what the router's counters grew by meanwhile
 */
async function mediaFlowBy({ a, b }, fits, deadline = kRepair) {
  const sides = Object.entries({ a, b });
  const chosen = ([side, person]) => until(`the connection of ${side} to be what the firewall allows`, async () => {
    const facts = await person.facts();
    if (facts.length !== 1 || !fits(facts[0], side)) throw new Error(JSON.stringify(facts));
    return true;
  }, deadline);
  const flowing = async ([side, person]) => {
    const [fact] = await person.mediaFlows(1, deadline);
    assert.ok(fits(fact, side), JSON.stringify(fact));
    return fact;
  };
  await Promise.all(sides.map(chosen));
  const before = network.counters();
  const [factA, factB] = await Promise.all(sides.map(flowing));
  const now = network.counters();
  const grown = (client) => Object.fromEntries(
    Object.entries(now[client]).map(([kind, bytes]) => [kind, bytes - before[client][kind]]));
  return { a: factA, b: factB, passed: { a: grown('a'), b: grown('b') } };
}

const isDirect = ({ candidateType, remoteCandidateType, protocol }) =>
  candidateType !== 'relay' && remoteCandidateType !== 'relay' && protocol === 'udp';
const isOverUdp = ({ relayProtocol = 'udp' }) => relayProtocol === 'udp';
const isRelayedBy = (...protocols) => ({ candidateType, relayProtocol }) =>
  candidateType === 'relay' && protocols.includes(relayProtocol);

/**
 * A visit whose media go directly, begun anew where a race kept them from it: a check that comes through the
 * relay before the candidate that names it makes a peer-reflexive candidate, which outranks a server-reflexive
 * one (RFC 8445 section 5.1.2.2), and Chromium then drops the direct pair for good. A line's delay decides that
 * race; the lab has none.
 * @returns as mediaFlowBy(), with both persons in `both`
 */
async function directVisit(t, switches = '') {
  for (let begun = 1; ; ++begun) {
    const both = await visit(switches);
    try {
      return { ...await mediaFlowBy(both, isDirect, kDirect), both };
    } catch (error) {
      if (begun === kVisits) throw error;
      t.diagnostic(`visit ${begun} was not direct: ${error.message}`);
    }
    await everybodyLeaves();
  }
}

/** Says what was seen, for the record of the run. */
function tell(t, facts) {
  for (const side of ['a', 'b']) {
    const { candidateType, remoteCandidateType, relayProtocol = '-', bytesReceived, framesDecoded } = facts[side];
    t.diagnostic(`${side}: ${candidateType} (${relayProtocol}) to ${remoteCandidateType}, `
      + `${bytesReceived} bytes received, ${framesDecoded} pictures`);
  }
  t.diagnostic(`router: ${JSON.stringify(network.counters())}`);
}

async function shootBoth({ a, b }, name) {
  await Promise.all([shoot(a.page, `${name}-clinician`, kShots), shoot(b.page, `${name}-patient`, kShots)]);
}

/** What the patient does reaches the clinician: the signaling is alive both ways. */
async function signalingWorks({ a, b }) {
  await b.page.click('#control-mic');
  await a.page.waitForSelector(`${a.tile('Margaret Hill')} .tile-muted:not(.hidden)`);
  await a.page.click('#control-mic');
  await b.page.waitForSelector(`${b.tile('Dr. Amara Okafor')} .tile-muted:not(.hidden)`);
}

scenario('an open network: media go directly, over UDP', async (t) => {
  network.setFirewall({ a: 'open', b: 'open' });
  const { both, ...facts } = await directVisit(t);
  tell(t, facts);
  for (const { udp } of [facts.passed.a, facts.passed.b]) assert.ok(udp > kMedia);
  await shootBoth(both, 'open');
});

scenario('no UDP: the relay is reached over TCP', async (t) => {
  network.setFirewall({ a: 'no-udp', b: 'no-udp' });
  const both = await visit();
  const facts = await mediaFlowBy(both, isRelayedBy('tcp', 'tls'));
  tell(t, facts);
  for (const client of Object.values(network.counters())) {
    assert.equal(client.udp, 0, 'no UDP passes');
    assert.ok(client.udp_refused > 0, 'UDP is tried');
  }
  for (const { tcp, https } of [facts.passed.a, facts.passed.b]) assert.ok(tcp + https > kMedia);
  await shootBoth(both, 'no-udp');
});

/** Nothing but 443/tcp has passed, and the media did. */
function onlyHttps(client, { passed }) {
  const { udp, tcp, udp_refused: refused } = network.counters()[client];
  assert.deepEqual({ udp, tcp }, { udp: 0, tcp: 0 }, 'nothing else passes');
  assert.ok(refused > 0, 'UDP is tried');
  assert.ok(passed[client].https > kMedia);
}

scenario('443/tcp only: the relay is reached over TLS', async (t) => {
  network.setFirewall({ a: 'https-only', b: 'https-only' });
  const both = await visit();
  const facts = await mediaFlowBy(both, isRelayedBy('tls'));
  tell(t, facts);
  assert.equal(facts.a.relayUrl, `turns:${kHost}:443?transport=tcp`);
  onlyHttps('a', facts);
  onlyHttps('b', facts);
  assert.deepEqual([...network.httpsClients()].sort(), ['198.51.100.2', '203.0.113.2']);
  await both.b.reads('#visit-status', 'Connected through the relay');
  await shootBoth(both, 'https-only');
});

scenario('443/tcp only and NAT on both sides', async (t) => {
  network.setFirewall({ a: 'https-only', b: 'https-only', nat: true });
  const both = await visit();
  const facts = await mediaFlowBy(both, isRelayedBy('tls'));
  tell(t, facts);
  onlyHttps('a', facts);
  onlyHttps('b', facts);
  assert.deepEqual([...network.httpsClients()].sort(), Object.values(kNatAddress), 'the server sees the router only');
  await shootBoth(both, 'nat');
});

scenario('443/tcp only on one side, the other side is open', async (t) => {
  network.setFirewall({ a: 'open', b: 'https-only' });
  const both = await visit();
  const facts = await mediaFlowBy(both, (fact, side) =>
    (side === 'b' ? isRelayedBy('tls')(fact) : fact.protocol === 'udp'));
  tell(t, facts);
  onlyHttps('b', facts);
  assert.ok(facts.passed.a.udp > kMedia);
  await shootBoth(both, 'one-side');
});

scenario('UDP is cut in mid-call: media come back over TCP by themselves', async (t) => {
  network.setFirewall({ a: 'open', b: 'open' });
  const { both } = await directVisit(t);
  network.setFirewall({ a: 'no-udp', b: 'no-udp' });
  const cut = Date.now();
  const facts = await mediaFlowBy(both, isRelayedBy('tcp', 'tls'));
  t.diagnostic(`media again ${((Date.now() - cut) / 1000).toFixed(1)} s after the cut`);
  tell(t, facts);
  for (const client of Object.values(network.counters())) assert.equal(client.udp, 0, 'no UDP passes after the cut');
  for (const { tcp, https } of [facts.passed.a, facts.passed.b]) assert.ok(tcp + https > kMedia);
  await shootBoth(both, 'udp-cut');
});

scenario('the server is killed and started again in mid-call: a direct visit never stops', async (t) => {
  network.setFirewall({ a: 'open', b: 'open' });
  const { both } = await directVisit(t);
  await server.kill();
  await Promise.all([both.a, both.b].map((person) => person.reads('#banner-text', 'The line to our server is interrupted')));
  await shootBoth(both, 'killed');
  const alone = await mediaFlowBy(both, isDirect);  // while there is no server
  tell(t, alone);
  await server.start();
  const served = Date.now();
  await Promise.all([both.a, both.b].map((person) =>
    person.page.waitForSelector('#banner', { state: 'hidden', timeout: kReattach })));
  t.diagnostic(`attached again ${((Date.now() - served) / 1000).toFixed(1)} s after the start`);
  await Promise.all([both.a, both.b].map((person) => person.reads('#people-count', '2 people')));
  await signalingWorks(both);
  const attached = await mediaFlowBy(both, isDirect);
  tell(t, attached);
  for (const { passed } of [alone, attached]) {
    for (const { udp } of [passed.a, passed.b]) assert.ok(udp > kMedia);
  }
  for (const person of [both.a, both.b]) {
    assert.equal(await person.page.evaluate(() => window.testConnections.length), 1, 'one connection all along');
  }
  await both.a.page.click('#people-button');
  await both.a.shows('#host-tools');
  await shootBoth(both, 'restarted');
});

scenario('443/tcp falls silent and the server restarts behind it: a direct visit never stops', async (t) => {
  network.setFirewall({ a: 'open', b: 'open' });
  const { both } = await directVisit(t, '&signaling=poll');
  const persons = [both.a, both.b];
  network.setFirewall({ a: 'open', b: 'open', silent: true });
  const cut = Date.now();
  await Promise.all(persons.map((person) =>
    person.reads('#banner-text', 'The line to our server is interrupted', kNoticed)));
  t.diagnostic(`noticed ${((Date.now() - cut) / 1000).toFixed(1)} s after the cut`);
  await server.kill();
  await server.start();
  tell(t, await mediaFlowBy(both, isDirect));
  const { a, b } = network.counters();
  for (const client of [a, b]) {
    assert.equal(client.https, 0, 'nothing passes');
    assert.ok(client.https_refused > 0, 'it is tried');
  }
  network.setFirewall({ a: 'open', b: 'open' });
  const mended = Date.now();
  await Promise.all(persons.map((person) =>
    person.page.waitForSelector('#banner', { state: 'hidden', timeout: kReattach })));
  t.diagnostic(`attached again ${((Date.now() - mended) / 1000).toFixed(1)} s after the way was free`);
  await Promise.all(persons.map((person) => person.reads('#people-count', '2 people')));
  await signalingWorks(both);
  for (const person of persons) {
    assert.equal(await person.page.evaluate(() => window.testConnections.length), 1, 'one connection all along');
  }
});

scenario('a proxy strips the WebSocket upgrade: long polls carry the signaling', async (t) => {
  network.setFirewall({ a: 'open', b: 'open', intercept: 'b' });
  const proxy = network.spawn('router', process.execPath, path.join(kHere, 'intercepting-proxy.mjs'),
    kProxyPort, interceptor.certificate, interceptor.key, kServerAddress);
  try {
    let seen = '';
    for (const stream of [proxy.stdout, proxy.stderr]) stream.on('data', (chunk) => { seen += chunk; });
    await until('the proxy to listen', () => seen.includes('ready'));
    const both = await visit();
    tell(t, await mediaFlowBy(both, isOverUdp));
    await signalingWorks(both);
    const count = (line) => seen.split('\n').filter((one) => one === line).length;
    const stripped = count('GET /api/webrtc-ws upgrade-stripped');
    const posts = count('POST /api/webrtc-signaling');
    t.diagnostic(`proxy: ${stripped} upgrades stripped, ${posts} POSTs passed on`);
    assert.ok(stripped > 0, 'the WebSocket is tried');
    assert.ok(posts > 3, 'long polls and messages go through the proxy');
    const { b } = network.counters();
    assert.equal(b.https, 0, 'nothing of the patient reaches 443 of the server around the proxy');
    await shootBoth(both, 'proxy');
  } finally {
    proxy.kill('SIGKILL');
  }
});
