// One audit record in the list, and everything that is stored about it.

import { el, freshId, unseen } from './dom.js';
import { actorText, eventName, fieldName, kOutcomes } from './events.js';
import { timestamp, utcText } from './format.js';

const kShortPseudonym = 8;

function outcomeBadge(outcome) {
  const known = kOutcomes[outcome] ?? { text: outcome, sign: '?', tone: 'warn', meaning: '' };
  return el('span', { class: `badge ${known.tone}`, title: known.meaning },
    el('span', { 'aria-hidden': 'true' }, known.sign), known.text);
}

// Records keep their fields by alphabet; people want who, what and where first. Nothing is left out.
const kOrder = ['actor.', 'detail.', 'reason', 'object', 'room', 'purpose', 'where.', 'session', 'request_id', 'seq', 'type', 'outcome'];
function rank(path) {
  const place = kOrder.findIndex((start) => path.startsWith(start));
  return place < 0 ? kOrder.length : place;
}

// {a:{b:1}} → [["a.b", 1]]
function flat(object, prefix = '') {
  return Object.entries(object).flatMap(([key, value]) =>
    (value !== null && typeof value === 'object' && !Array.isArray(value)
      ? flat(value, `${prefix}${key}.`) : [[`${prefix}${key}`, value]]));
}

function detail(row) {
  let fields;
  try {
    fields = flat(JSON.parse(row.body)).sort(([a], [b]) => rank(a) - rank(b));
  } catch {
    fields = [];  // shown as stored, below
  }
  const ms = row.at / 1000;
  const list = el('dl', {},
    el('dt', {}, 'Time (UTC)'), el('dd', {}, utcText(ms)),
    fields.map(([path, value]) => [el('dt', { title: path }, fieldName(path)), el('dd', { class: 'mono' }, String(value))]));
  const stored = el('details', {}, el('summary', {}, 'The record exactly as stored'), el('pre', { tabindex: '0' }, row.body));
  return [list, stored];
}

// A short pseudonym is enough to tell rooms apart; a press on it asks for this room only.
function roomCell(row, onroom) {
  if (!row.room) return el('td', { class: 'where none', role: 'cell', 'data-label': 'Room' }, el('span', { class: 'quiet' }, '–'));
  const button = el('button', {
    type: 'button', class: 'text mono', title: `${row.room}: show this room only`, onclick: () => onroom(row.room),
  }, row.room.slice(0, kShortPseudonym), unseen(': show this room only'));
  return el('td', { class: 'where', role: 'cell', 'data-label': 'Room' }, button);
}

// Two table rows: the record, and its details behind a button.
export function auditRow(row, onroom) {
  const ms = row.at / 1000;
  const id = freshId('record');
  const actor = actorText(row.actor);
  const more = el('tr', { class: 'detail', id, role: 'row', hidden: true }, el('td', { colspan: 6, role: 'cell' }));
  const word = document.createTextNode('Details');
  const button = el('button', { type: 'button', class: 'text', 'aria-expanded': 'false', 'aria-controls': id }, word, unseen(` of record ${row.seq}`));
  const line = el('tr', { role: 'row' },
    el('td', { role: 'cell', 'data-label': 'Time' }, el('time', { datetime: new Date(ms).toISOString(), title: utcText(ms) }, timestamp(ms))),
    el('td', { class: 'event', role: 'cell', 'data-label': 'Event' }, el('div', {}, el('strong', {}, eventName(row.type)), el('span', { class: 'type mono' }, row.type))),
    el('td', { role: 'cell', 'data-label': 'Outcome' }, el('div', {}, outcomeBadge(row.outcome), row.reason && el('span', { class: 'type mono' }, row.reason))),
    el('td', { class: 'actor', role: 'cell', 'data-label': 'Who' }, el('span', {}, actor.text, actor.id && el('span', { class: 'mono' }, actor.id))),
    roomCell(row, onroom),
    el('td', { class: 'more', role: 'cell' }, button));
  button.addEventListener('click', () => {
    const open = more.hidden;
    if (open && !more.firstChild.hasChildNodes()) more.firstChild.append(...detail(row));
    more.hidden = !open;
    line.classList.toggle('open', open);
    button.setAttribute('aria-expanded', String(open));
    word.data = open ? 'Hide details' : 'Details';
  });
  return [line, more];
}
