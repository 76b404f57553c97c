// Holds: records that stay although they are old enough to go, because somebody may ask for them.

import { post } from './api.js';
import { openDialog } from './dialog.js';
import { announce, el, field, unseen } from './dom.js';
import { timestamp } from './format.js';

const kReasons = [
  { value: 'litigation', text: 'A legal dispute' },
  { value: 'investigation', text: 'An investigation' },
  { value: 'complaint', text: 'A complaint' },
  { value: 'other', text: 'Something else' },
];
const kEndings = [
  { value: 'closed', text: 'The matter is closed' },
  { value: 'mistake', text: 'It was set by mistake' },
  { value: 'other', text: 'Something else' },
];

function what(hold) {
  const parts = [];
  if (hold.room) parts.push(`room ${hold.room}`);
  if (hold.person) parts.push(`person ${hold.person}`);
  if (hold.from) parts.push(`from ${timestamp(hold.from)}`);
  if (hold.to) parts.push(`until ${timestamp(hold.to)}`);
  return `Records of ${parts.join(', ')}`;
}

const referenceField = () => field({
  label: 'Reference (optional)', name: 'reference', autocomplete: 'off', spellcheck: 'false', maxlength: 64,
  hint: 'A case or ticket number. It is encrypted; exports can show it.',
});

export class Holds {
  // onchange() runs after a hold was set or cleared.
  constructor(onchange) {
    this.onchange = onchange;
    this.problem = el('p', { class: 'note bad', role: 'alert', hidden: true });
    this.list = el('ul', { class: 'rows' });
    this.none = el('p', { class: 'quiet' }, 'There are none: what is old enough can go.');
    this.node = el('section', { class: 'card stack', 'aria-label': 'Holds' }, el('h2', {}, 'Holds'),
      el('p', { class: 'quiet' }, 'Records under a hold stay, however old they are. Set one when a complaint, an investigation or a dispute may need them.'),
      this.problem, this.none, this.list, el('details', {}, el('summary', {}, 'Set a hold'), this.form()));
  }

  show(holds) {
    this.none.hidden = holds.length > 0;
    this.list.replaceChildren(...holds.map((hold) => el('li', {},
      el('div', {}, el('strong', { class: 'mono' }, hold.id), el('p', {}, what(hold))),
      el('button', { type: 'button', class: 'secondary', onclick: () => this.clear(hold) }, 'Clear…', unseen(` (${hold.id})`)))));
  }

  form() {
    const room = field({ label: 'Room', name: 'holdRoom', autocomplete: 'off', spellcheck: 'false', maxlength: 255, hint: 'Room name or pseudonym.' });
    const person = field({ label: 'Person', name: 'holdPerson', autocomplete: 'off', spellcheck: 'false', maxlength: 128, hint: 'Account or participant id.' });
    const from = field({ label: 'From', name: 'holdFrom', type: 'datetime-local', hint: 'Your local time.' });
    const to = field({ label: 'Until', name: 'holdTo', type: 'datetime-local' });
    const reason = field({ label: 'Why', name: 'reason', options: kReasons });
    const reference = referenceField();
    const button = el('button', { type: 'submit' }, 'Set the hold');
    const form = el('form', { class: 'filters', novalidate: true },
      el('p', { class: 'quiet' }, 'Fill in what the records have in common; all of it must match.'),
      el('div', { class: 'grid' }, room.node, person.node, from.node, to.node, reason.node, reference.node),
      el('div', { class: 'actions' }, button));
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      const instant = (each) => (each.input.value ? new Date(each.input.value).getTime() : null);
      const wish = {
        room: room.input.value.trim(), person: person.input.value.trim(), from: instant(from), to: instant(to),
        reason: reason.input.value, reference: reference.input.value.trim(),
      };
      if (!wish.room && !wish.person && wish.from === null && wish.to === null) {
        room.complain('Fill in a room, a person or a time.');
        return room.input.focus();
      }
      room.complain(null);
      button.disabled = true;
      if (await this.ask('retention/hold', wish, 'The hold is set')) form.reset();
      button.disabled = false;
    });
    return form;
  }

  clear(hold) {
    const reason = field({ label: 'Why', name: 'ending', options: kEndings });
    const reference = referenceField();
    const keep = el('button', { type: 'button', class: 'secondary', autofocus: true, onclick: () => dialog.close() }, 'Keep the hold');
    const clear = el('button', { type: 'button', class: 'danger', onclick: () => {
      dialog.close();
      this.ask('retention/clear', { id: hold.id, reason: reason.input.value, reference: reference.input.value.trim() }, 'The hold is cleared');
    } }, 'Clear the hold');
    const dialog = openDialog({
      title: `Clear ${hold.id}?`,
      content: [el('p', {}, `${what(hold)} will go with the next purge when they are old enough.`), reason.node, reference.node],
      buttons: [keep, clear],
    });
  }

  async ask(path, wish, said) {
    this.problem.hidden = true;
    try {
      await post(path, wish);
      announce(said);
      await this.onchange();
      return true;
    } catch (error) {
      if (error.kind === undefined) throw error;
      this.problem.textContent = error.message;
      this.problem.hidden = error.kind === 'expired';
      return false;
    }
  }
}
