// Audit log: what happened, newest first. Asking is an act of its own and is recorded, so nothing here
// refreshes by itself.

import { get } from './api.js';
import { AuditExport } from './audit-export.js';
import { AuditFilters } from './audit-filters.js';
import { auditRow } from './audit-row.js';
import { announce, el } from './dom.js';
import { count, timestamp, zoneName } from './format.js';
import { SealNote } from './seal.js';

const kPageRows = 50;

export function auditScreen() {
  let query = {};
  // The keys of the pages in front of this one: "newer" goes back along them.
  let keys = [];
  let key = 0;
  let asked = 0;
  let shown = false;  // the table answers the question that was asked last

  const filters = new AuditFilters((wanted) => { query = wanted; keys = []; key = 0; load(); });
  const exporting = new AuditExport(() => filters.query());
  const body = el('tbody', { role: 'rowgroup' });
  const headings = ['Event', 'Outcome', 'Who', 'Room'].map((name) => el('th', { scope: 'col', role: 'columnheader' }, name));
  const table = el('table', { role: 'table', 'aria-label': 'Audit records, newest first' },
    el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' },
      el('th', { scope: 'col', role: 'columnheader', title: `Local time, ${zoneName}. UTC stands in the details.` }, 'Time'), headings,
      el('th', { scope: 'col', role: 'columnheader' }, el('span', { class: 'visually-hidden' }, 'Details')))), body);
  const card = el('div', { class: 'card table-card', hidden: true }, table);
  const empty = el('div', { class: 'card empty', hidden: true });
  const problem = el('p', { class: 'note bad', role: 'alert', hidden: true });
  const status = el('p', { class: 'quiet' });
  const newer = el('button', { type: 'button', class: 'secondary', disabled: true }, '← Newer');
  const older = el('button', { type: 'button', class: 'secondary', disabled: true }, 'Older →');
  const pager = el('nav', { class: 'pager', 'aria-label': 'Pages of records', hidden: true }, status, el('div', { class: 'buttons' }, newer, older));
  const again = el('button', { type: 'button', class: 'secondary', onclick: () => { keys = []; key = 0; load(); } }, 'Newest records');
  const heading = el('h1', { tabindex: '-1' }, 'Audit log');

  function showEmpty() {
    const filtered = Object.keys(query).length > 0;
    empty.replaceChildren(
      el('h2', {}, filtered ? 'No record matches' : 'No records'),
      el('p', { class: 'quiet' }, filtered ? 'Nothing in the log fits these filters. Widen the time or clear a filter.' : 'Nothing has been recorded yet.'));
    empty.hidden = false;
  }

  function show(answer) {
    shown = true;
    filters.learnTypes(answer.types ?? []);
    body.replaceChildren(...answer.rows.flatMap((row) => auditRow(row, onlyRoom)));
    card.hidden = answer.rows.length === 0;
    empty.hidden = true;
    if (answer.rows.length === 0) showEmpty();
    older.disabled = !answer.next;
    older.onclick = () => { keys.push(key); key = answer.next; load(heading); };
    newer.disabled = keys.length === 0;
    newer.onclick = () => { key = keys.pop() ?? 0; load(heading); };
    pager.hidden = answer.rows.length === 0 && keys.length === 0;
    const [first, last] = [answer.rows[0], answer.rows.at(-1)];
    status.textContent = first
      ? `Records ${count(first.seq)} to ${count(last.seq)}, as of ${timestamp(Date.now())}. Times: ${zoneName}.` : '';
    announce(first ? `${answer.rows.length} records shown` : 'No record matches');
  }

  async function load(focus) {
    const turn = ++asked;
    shown = false;
    problem.hidden = true;
    table.setAttribute('aria-busy', 'true');
    const parameters = new URLSearchParams({ ...query, limit: kPageRows, ...(key && { before: key }) });
    try {
      const answer = await get(`audit?${parameters}`);
      if (turn !== asked) return;
      show(answer);
      focus?.focus();
    } catch (error) {
      if (error.kind === undefined) throw error;
      if (turn !== asked || error.kind === 'expired') return;
      problem.textContent = `The records could not be shown. ${error.message}`;
      problem.hidden = false;
    } finally {
      table.removeAttribute('aria-busy');
    }
  }

  function onlyRoom(room) {
    filters.setRoom(room);
    query = { room };
    keys = [];
    key = 0;
    load(heading);
  }

  const seal = new SealNote();
  const head = el('div', { class: 'screen-head' }, heading, again);
  const node = el('div', { class: 'screen-body' }, head,
    el('p', { class: 'quiet' }, 'Every look at this list is recorded too: who looked, with which filters, and how many records were shown.'),
    seal.node, filters.node, exporting.node, problem, empty, card, pager);
  const enter = (room) => {
    seal.load();
    if (!room) return shown || load();
    history.replaceState(null, '', '#audit');
    onlyRoom(room);
  };
  return { node, enter, leave: () => {} };
}
