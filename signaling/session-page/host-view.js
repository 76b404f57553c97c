// What only hosts see: who waits, and the controls over the visit. Rows are kept while their person is, so
// that a refresh never takes the keyboard's place away.

import { askTwice, byId, make, setText } from './dom.js';
import { emergencyWords, kDeclineReason } from './words.js';

export class HostView {
  /** @type {?import('./visit.js').Visit} */ #visit = null;
  #knocks = new Map();
  #people = new Map();

  constructor() {
    byId('host-lock').addEventListener('click', () => this.#visit?.lock(!this.#visit.locked));
    askTwice(byId('host-end'), 'End the visit for everybody', 'End it for everybody?',
      () => this.#visit?.endForAll());
    askTwice(byId('host-emergency'), 'Go on as an emergency', 'Really an emergency?',
      () => this.#visit?.declareEmergency());
  }

  /** @param {?import('./visit.js').Visit} visit  null: the visit is over */
  render(visit) {
    this.#visit = visit;
    const host = visit?.role === 'host';
    byId('host-tools').hidden = !host;
    this.#keep(this.#knocks, host ? visit.knocks : new Map(), byId('knock-list'),
      (id, name) => this.#knockRow(id, name));
    byId('knocks').hidden = this.#knocks.size === 0;
    const people = new Map(host ? visit.roster.people.map(({ id, name }) => [id, name]) : []);
    this.#keep(this.#people, people, byId('host-people'), (id, name) => this.#personRow(id, name));
    const words = host ? emergencyWords(visit.recording) : '';
    byId('emergency-tools').hidden = !words;
    setText(byId('emergency-note'), words);
    byId('host-emergency').hidden = visit?.recording !== 'refused';
    byId('locked-note').hidden = !visit?.locked;
    setText(byId('host-lock'), visit?.locked ? 'Unlock the visit' : 'Lock the visit');
  }

  #keep(rows, wanted, list, make) {
    for (const [id, row] of rows) {
      if (wanted.has(id)) continue;
      const hadFocus = row.contains(document.activeElement);
      row.remove();
      rows.delete(id);
      if (hadFocus) (list.querySelector('button') ?? byId('visit-title')).focus();
    }
    for (const [id, name] of wanted) {
      if (rows.has(id)) continue;
      rows.set(id, make(id, name));
      list.append(rows.get(id));
    }
  }

  #knockRow(id, name) {
    const row = make('li', 'knock');
    const who = make('p', 'knock-name', `${name} is waiting`);
    const admit = make('button', 'primary', 'Admit');
    const decline = make('button', 'secondary', 'Decline');
    for (const [button, verb] of [[admit, 'Admit'], [decline, 'Decline']]) {
      button.type = 'button';
      button.setAttribute('aria-label', `${verb} ${name}`);
    }
    admit.addEventListener('click', () => this.#visit.admit(id));
    decline.addEventListener('click', () => {
      row.replaceChildren(...this.#declineForm(id, name, () => {
        row.replaceChildren(who, admit, decline);
        decline.focus();
      }));
      row.querySelector('input').select();
    });
    row.append(who, admit, decline);
    return row;
  }

  #declineForm(id, name, back) {
    const form = make('form', 'decline-form');
    const label = make('label', '', `What ${name} is told`);
    const reason = make('input');
    reason.type = 'text';
    reason.maxLength = 200;
    reason.id = `decline-${id}`;
    reason.value = kDeclineReason;
    label.htmlFor = reason.id;
    const send = make('button', 'primary', 'Decline');
    const cancel = make('button', 'secondary', 'Back');
    cancel.type = 'button';
    cancel.addEventListener('click', back);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#visit.decline(id, reason.value.trim());
    });
    form.append(label, reason, send, cancel);
    return [form];
  }

  #personRow(id, name) {
    const row = make('li');
    const remove = make('button', 'secondary small');
    remove.type = 'button';
    askTwice(remove, `Remove ${name}`, `Remove ${name}?`, () => this.#visit.kick(id));
    row.append(remove);
    return row;
  }
}
