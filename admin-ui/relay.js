// Relay: what the TURN relay carries right now. Rates come from counters, so a missed refresh loses nothing.

import { get } from './api.js';
import { goodUntil } from './certificate.js';
import { el } from './dom.js';
import { bits, bytes, count, plural } from './format.js';
import { Refresh } from './refresh.js';
import { Sparkline } from './sparkline.js';

const kRefreshSeconds = 2;
const kPoints = 60;  // two minutes

class Figure {
  constructor(title, explanation) {
    this.value = el('p', { class: 'value' }, '–');
    this.split = el('p', { class: 'split' }, explanation);
    this.spark = new Sparkline(`${title}, last two minutes`, kPoints);
    this.node = el('section', { class: 'card figure' }, el('h2', {}, title), this.value, this.split, this.spark.node);
  }
  set(number, { value, unit }, spoken, split) {
    this.value.replaceChildren(value, ' ', el('span', { class: 'unit' }, unit));
    if (split) this.split.textContent = split;
    this.spark.add(number, spoken);
  }
}

const wordedBits = (rate) => { const { value, unit } = bits(rate); return `${value} ${unit}`; };

function rates(before, now) {
  const seconds = (now.now - before.now) / 1000;
  // A restarted server counts from zero again; a rate over that step means nothing.
  if (seconds <= 0 || now.packetsToPeers < before.packetsToPeers || now.bytesToClients < before.bytesToClients) return null;
  const rate = (key) => (now[key] - before[key]) / seconds;
  return {
    packetsToPeers: rate('packetsToPeers'), packetsToClients: rate('packetsToClients'),
    bytesToPeers: rate('bytesToPeers'), bytesToClients: rate('bytesToClients'),
  };
}

export function relayScreen() {
  const open = new Figure('Connections through the relay', 'One for each browser that cannot reach the others directly.');
  const traffic = new Figure('Traffic', 'Sound and picture, still encrypted.');
  const packets = new Figure('Packets', 'Both directions together.');
  const totals = el('dl', {});
  let before = null;

  const show = (figures) => {
    open.set(figures.allocations, { value: count(figures.allocations), unit: 'open' }, (n) => plural(n, 'connection'));
    const rate = before && rates(before, figures);
    if (rate) {
      const carried = rate.bytesToPeers + rate.bytesToClients;
      traffic.set(carried, bits(carried), wordedBits, `out of the browsers ${wordedBits(rate.bytesToPeers)} · into them ${wordedBits(rate.bytesToClients)}`);
      const both = rate.packetsToPeers + rate.packetsToClients;
      packets.set(both, { value: count(both), unit: 'a second' }, (n) => `${count(n)} a second`, `out ${count(rate.packetsToPeers)} · in ${count(rate.packetsToClients)} a second`);
    }
    before = figures;
    const rows = [
      ['Connections opened', count(figures.allocationsOpened)],
      ['Carried out of browsers', `${bytes(figures.bytesToPeers)} in ${plural(figures.packetsToPeers, 'packet')}`],
      ['Carried into browsers', `${bytes(figures.bytesToClients)} in ${plural(figures.packetsToClients, 'packet')}`],
      ['Dropped', plural(figures.packetsDropped, 'packet')],
    ];
    if (figures.certificate) rows.push(['Certificate', goodUntil(figures.certificate)]);
    totals.replaceChildren(...rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
  };

  const refresh = new Refresh({ seconds: kRefreshSeconds, ask: (automatic) => get('relay', { automatic }), show });
  const node = el('div', { class: 'screen-body' },
    el('div', { class: 'screen-head' }, el('h1', { tabindex: '-1' }, 'Relay'), refresh.label),
    el('p', { class: 'quiet' }, 'When two browsers cannot reach each other, the relay carries their call. Zero during a visit is good news: that visit goes directly from browser to browser.'),
    el('div', { class: 'figures' }, open.node, traffic.node, packets.node),
    el('section', { class: 'card totals' }, el('h2', {}, 'Since the server started'), totals));
  return { node, enter: () => { refresh.stop(); refresh.start(); }, leave: () => refresh.stop() };
}
