// Relay: what the TURN relay carries right now. Rates come from counters, so a missed refresh loses nothing.

import { get } from './api.js';
import { el } from './dom.js';
import { bits, bytes, count, plural, timestamp } from './format.js';
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

const kDay = 86_400_000;
const kRenewalIsLate = 14 * kDay;  // certbot renews 30 days before the end

// What the practice must know of its certificate, and the warning when somebody has to act.
function certificateRow({ expires, problem }, now) {
  const left = expires - now;
  const when = left <= 0 ? `expired on ${timestamp(expires)}` : `good until ${timestamp(expires)} (${plural(Math.floor(left / kDay), 'day')})`;
  if (problem) return { when, warning: `The new certificate cannot be used, so the old one is still shown to visitors. Please tell whoever looks after this server: ${problem}` };
  if (left <= 0) return { when, warning: 'The certificate has expired: browsers warn every visitor. Please tell whoever looks after this server.' };
  if (left < kRenewalIsLate) return { when, warning: 'The certificate expires soon and was not renewed. Please tell whoever looks after this server.' };
  return { when, warning: '' };
}

export function relayScreen() {
  const open = new Figure('Connections through the relay', 'One for each browser that cannot reach the others directly.');
  const traffic = new Figure('Traffic', 'Sound and picture, still encrypted.');
  const packets = new Figure('Packets', 'Both directions together.');
  const totals = el('dl', {});
  const alarm = el('div', { class: 'note warn', role: 'alert', hidden: true });
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
    if (figures.certificate) {
      const { when, warning } = certificateRow(figures.certificate, figures.now);
      rows.push(['Certificate', when]);
      alarm.hidden = !warning;
      if (alarm.textContent !== warning) alarm.textContent = warning;  // said once by screen readers
    }
    totals.replaceChildren(...rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
  };

  const refresh = new Refresh({ seconds: kRefreshSeconds, ask: (automatic) => get('relay', { automatic }), show });
  const node = el('div', { class: 'screen-body' },
    el('div', { class: 'screen-head' }, el('h1', { tabindex: '-1' }, 'Relay'), refresh.label),
    alarm,
    el('p', { class: 'quiet' }, 'When two browsers cannot reach each other, the relay carries their call. Zero during a visit is good news: that visit goes directly from browser to browser.'),
    el('div', { class: 'figures' }, open.node, traffic.node, packets.node),
    el('section', { class: 'card totals' }, el('h2', {}, 'Since the server started'), totals));
  return { node, enter: () => { refresh.stop(); refresh.start(); }, leave: () => refresh.stop() };
}
