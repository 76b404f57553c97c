// A small internet out of network namespaces, with a firewall in its middle:
//
//   client a  198.51.100.2 ── a ┐
//                               ├ router ── s ── server  192.0.2.2
//   client b  203.0.113.2  ── b ┘
//
// Namespaces carry this process's id, so that two runs do not meet, and a later run removes what a killed
// one left behind. Needs root, iproute2 and nftables.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';

const kPrefix = 'bedside-lab-';
const kNames = /^bedside-lab-(\d+)-[a-z]+/;
const kRoles = ['router', 'server', 'a', 'b'];
// role: the router's interface and address towards it, its own address
const kLinks = {
  server: { port: 's', gateway: '192.0.2.1', address: '192.0.2.2' },
  a: { port: 'a', gateway: '198.51.100.1', address: '198.51.100.2' },
  b: { port: 'b', gateway: '203.0.113.1', address: '203.0.113.2' },
};
const kServer = kLinks.server.address;

/** Where the server sees a client behind NAT. */
export const kNatAddress = { a: '192.0.2.11', b: '192.0.2.12' };
/** The networks of the lab, which no relay would serve unasked: they are kept for documentation. */
export const kSubnets = ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24'];
export const kServerAddress = kServer;
/** Where an intercepting proxy listens on the router. */
export const kProxyPort = 8443;

/**
 * What the firewall lets pass between a client and everybody else.
 * @typedef {'open'|'no-udp'|'https-only'} Policy
 */

const run = (command, args, input) => execFileSync(command, args, { input, encoding: 'utf8', stdio: 'pipe' });

/** @returns {?string} why there can be no lab here */
export function missing() {
  if (process.getuid() !== 0) return 'network namespaces need root';
  for (const [command, pack] of [['ip', 'iproute2'], ['nft', 'nftables'], ['openssl', 'openssl']]) {
    try {
      run('sh', ['-c', `command -v ${command}`]);
    } catch {
      return `${command} is not installed (package ${pack})`;
    }
  }
  const probe = `${kPrefix}${process.pid}-probe`;
  try {
    run('ip', ['netns', 'add', probe]);
    // In some containers a namespace can be made, but not entered, wired or filtered.
    run('ip', ['-n', probe, 'link', 'add', 'probe-0', 'type', 'veth', 'peer', 'name', 'probe-1']);
    run('ip', ['netns', 'exec', probe, 'nft', 'add', 'table', 'inet', 'probe']);
  } catch (error) {
    return `this machine has no network namespaces that could be used: ${String(error.stderr ?? error).trim()}`;
  } finally {
    removeNamespace(probe);
  }
  return null;
}

function removeNamespace(name) {
  const attempt = (action) => {
    try {
      return action();
    } catch {
      return '';  // it is gone already, or was never made
    }
  };
  for (const pid of attempt(() => run('ip', ['netns', 'pids', name])).split('\n')) {
    if (pid) attempt(() => process.kill(Number(pid), 'SIGKILL'));
  }
  attempt(() => run('ip', ['netns', 'del', name]));
  fs.rmSync(`/etc/netns/${name}`, { recursive: true, force: true });
  attempt(() => fs.rmdirSync('/etc/netns'));  // only when nobody else needs it
}

function removeLeftovers() {
  for (const line of run('ip', ['netns', 'list']).split('\n')) {
    const [name, pid] = kNames.exec(line) ?? [];
    if (name && !fs.existsSync(`/proc/${pid}`)) removeNamespace(name);
  }
}

/** The chain through which everything of one client goes, in both directions. */
function clientChain(client, policy, silent) {
  const verdict = (passes) => (passes ? 'return' : 'drop');
  const counted = (kind, passes) => `counter name ${client}_${kind}${passes ? '' : '_refused'} ${verdict(passes)}`;
  const tcp = policy !== 'https-only';
  const udp = policy === 'open';
  return `
  chain ${client}_side {
    ip daddr ${kServer} tcp dport 443 ${counted('https', !silent)}
    ip saddr ${kServer} tcp sport 443 ${counted('https', !silent)}
    meta l4proto tcp ${counted('tcp', tcp)}
    meta l4proto udp ${counted('udp', udp)}
    ${verdict(udp)}
  }`;
}

const kCounted = ['https', 'https_refused', 'tcp', 'tcp_refused', 'udp', 'udp_refused'];

function ruleset({ a, b, nat, intercept, silent }) {
  const counters = ['a', 'b'].flatMap((client) => kCounted.map((kind) => `  counter ${client}_${kind} { }`));
  const translate = ({ address }, client) =>
    `    ip saddr ${address} oifname "s" snat to ${kNatAddress[client]}\n`;
  return `
flush ruleset
table inet firewall {
${counters.join('\n')}
${clientChain('a', a, silent)}
${clientChain('b', b, silent)}
  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname "a" jump a_side
    oifname "a" jump a_side
    iifname "b" jump b_side
    oifname "b" jump b_side
    accept
  }
}
table ip addresses {
  chain departing {
    type nat hook postrouting priority srcnat;
${nat ? translate(kLinks.a, 'a') + translate(kLinks.b, 'b') : ''}  }
  chain arriving {
    type nat hook prerouting priority dstnat;
${intercept ? `    iifname "${intercept}" ip daddr ${kServer} tcp dport 443 redirect to :${kProxyPort}\n` : ''}  }
}
`;
}

export class Network {
  #removed = false;

  /** @param {Record<string, string>} hosts  name → address, for the clients */
  static create(hosts) {
    removeLeftovers();
    const network = new Network();
    process.once('exit', () => network.remove());
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.once(signal, () => process.exit(1));
    }
    network.#build(hosts);
    return network;
  }

  namespace(role) { return `${kPrefix}${process.pid}-${role}`; }

  /** Runs a command to its end. @returns {string} its output */
  run(role, command, ...args) {
    return run('ip', ['netns', 'exec', this.namespace(role), command, ...args]);
  }

  /** @returns {import('node:child_process').ChildProcess} */
  spawn(role, command, ...args) {
    return spawn('ip', ['netns', 'exec', this.namespace(role), command, ...args],
      { stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /**
   * Replaces all rules in one transaction; the counters start at zero.
   * @param {object} rules
   * @param {Policy} rules.a
   * @param {Policy} rules.b
   * @param {boolean} [rules.nat]        both clients appear to the server under the router's addresses
   * @param {'a'|'b'} [rules.intercept]  this client's connections with 443 end at the router's proxy
   * @param {boolean} [rules.silent]     443 of the server is lost in both directions, and nobody is told
   */
  setFirewall(rules) {
    run('ip', ['netns', 'exec', this.namespace('router'), 'nft', '-f', '-'], ruleset(rules));
  }

  /**
   * Bytes since the rules were set: https (443/tcp with the server), tcp (other), udp, and what was refused.
   * @returns {Record<'a'|'b', {https: number, tcp: number, tcp_refused: number, udp: number, udp_refused: number}>}
   */
  counters() {
    const { nftables } = JSON.parse(this.run('router', 'nft', '-j', 'list', 'counters'));
    const bytes = { a: {}, b: {} };
    for (const { counter } of nftables) {
      if (counter) bytes[counter.name[0]][counter.name.slice(2)] = counter.bytes;
    }
    return bytes;
  }

  /**
   * Addresses of those who have a connection with the server's port 443, or `ending` one that is not over yet.
   * @returns {Set<string>}
   */
  httpsClients(ending = false) {
    const states = ending ? ['state', 'connected', 'exclude', 'time-wait'] : ['state', 'established'];
    const lines = this.run('server', 'ss', '-HOtn', ...states, 'sport', '=', ':443').trim().split('\n');
    const port = ':443';  // the peer's address is what follows ours
    const peers = lines.filter(Boolean).map((line) => line.trim().split(/\s+/));
    return new Set(peers.map((words) => words[words.findIndex((word) => word.endsWith(port)) + 1].replace(/:\d+$/, '')));
  }

  /** Ends every process inside and removes everything. Idempotent; also called when this process ends. */
  remove() {
    if (this.#removed) return;
    this.#removed = true;
    for (const role of kRoles) removeNamespace(this.namespace(role));
  }

  #build(hosts) {
    for (const role of kRoles) {
      const name = this.namespace(role);
      fs.mkdirSync(`/etc/netns/${name}`, { recursive: true });
      // `ip netns exec` shows these as /etc/hosts and /etc/resolv.conf: nobody is asked for names.
      const lines = Object.entries(hosts).map(([host, address]) => `${address} ${host}\n`);
      fs.writeFileSync(`/etc/netns/${name}/hosts`, `127.0.0.1 localhost\n${lines.join('')}`);
      fs.writeFileSync(`/etc/netns/${name}/resolv.conf`, '');
      run('ip', ['netns', 'add', name]);
      // The lab is IPv4's. An IPv6 address that settles a second later would be a changed network to
      // Chromium, which then drops what it is loading.
      run('ip', ['netns', 'exec', name, 'sh', '-c',
        'for family in all default; do echo 1 > /proc/sys/net/ipv6/conf/$family/disable_ipv6 || true; done']);
      run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    }
    const router = this.namespace('router');
    for (const [role, { port, gateway, address }] of Object.entries(kLinks)) {
      const name = this.namespace(role);
      run('ip', ['link', 'add', 'name', port, 'netns', router, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
      run('ip', ['-n', router, 'address', 'add', `${gateway}/24`, 'dev', port]);
      run('ip', ['-n', router, 'link', 'set', 'dev', port, 'up']);
      run('ip', ['-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0']);
      run('ip', ['-n', name, 'link', 'set', 'eth0', 'up']);
      run('ip', ['-n', name, 'route', 'add', 'default', 'via', gateway]);
    }
    for (const address of Object.values(kNatAddress)) {
      run('ip', ['-n', router, 'address', 'add', `${address}/24`, 'dev', 's']);
    }
    this.run('router', 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
  }
}
