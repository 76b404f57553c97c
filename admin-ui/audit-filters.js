// The question put to the audit log: time, event, outcome, room.

import { el, field } from './dom.js';
import { typeOptions, kOutcomes } from './events.js';

const kHour = 3_600_000;
const kTimes = [
  { value: '', text: 'Any time' },
  { value: 'hour', text: 'The last hour' },
  { value: 'today', text: 'Today' },
  { value: 'week', text: 'The last 7 days' },
  { value: 'between', text: 'Between two times…' },
];

function startOf(range) {
  if (range === 'hour') return Date.now() - kHour;
  if (range === 'week') return Date.now() - 7 * 24 * kHour;
  return new Date().setHours(0, 0, 0, 0);
}

export class AuditFilters {
  // onask(query) runs when the person asks; a query is a plain object of parameters.
  constructor(onask) {
    this.time = field({ label: 'Time', name: 'time', options: kTimes });
    this.from = field({ label: 'From', name: 'from', type: 'datetime-local', hint: 'Your local time.' });
    this.to = field({ label: 'Until', name: 'to', type: 'datetime-local', hint: 'Empty: until now.' });
    this.type = field({ label: 'Event', name: 'type', options: typeOptions([]) });
    this.outcome = field({
      label: 'Outcome', name: 'outcome',
      options: [{ value: '', text: 'Any outcome' }, ...Object.entries(kOutcomes).map(([value, { text }]) => ({ value, text }))],
    });
    this.room = field({
      label: 'Room', name: 'room', autocomplete: 'off', spellcheck: 'false', maxlength: 255,
      hint: 'Room name or pseudonym.',
    });
    const reset = el('button', { type: 'reset', class: 'secondary' }, 'Clear');
    const form = el('form', { class: 'filters', novalidate: true },
      el('div', { class: 'grid' }, this.time.node, this.from.node, this.to.node, this.type.node, this.outcome.node, this.room.node),
      el('div', { class: 'actions' }, reset, el('button', { type: 'submit' }, 'Show records')));
    this.node = el('section', { class: 'card', 'aria-label': 'Filters' }, form);
    this.form = form;
    this.showTimes();
    this.time.input.addEventListener('change', () => this.showTimes());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const query = this.query();
      if (query) onask(query);
    });
    // The browser empties the fields after this event.
    form.addEventListener('reset', () => setTimeout(() => { this.showTimes(); onask({}); }));
  }

  showTimes() {
    const between = this.time.input.value === 'between';
    this.from.node.hidden = !between;
    this.to.node.hidden = !between;
    if (!between) [this.from, this.to].forEach((each) => each.complain(null));
  }

  setRoom(room) {
    this.form.querySelectorAll('select').forEach((select) => { select.value = ''; });
    this.showTimes();
    this.room.input.value = room;
  }

  // Types that occur in the log but are not known to this page.
  learnTypes(types) {
    const value = this.type.input.value;
    const fresh = field({ label: 'Event', name: 'type', options: typeOptions(types) });
    this.type.input.replaceChildren(...fresh.input.childNodes);
    this.type.input.value = value;
  }

  // Nothing when the times make no sense; the field says why.
  query() {
    const query = {};
    const range = this.time.input.value;
    if (range === 'between') {
      const [from, to] = [this.from, this.to].map((each) => (each.input.value ? new Date(each.input.value).getTime() : null));
      if (from !== null && to !== null && to <= from) {
        this.to.complain('This must be later than “From”.');
        this.to.input.focus();
        return null;
      }
      if (from !== null) query.from = from;
      if (to !== null) query.to = to;
    } else if (range) {
      query.from = startOf(range);
    }
    for (const name of ['type', 'outcome', 'room']) {
      const value = this[name].input.value.trim();
      if (value) query[name] = value;
    }
    return query;
  }
}
