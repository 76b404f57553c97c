// The download of records with their proofs: for whoever asks the practice for its log.

import { download } from './api.js';
import { announce, el, field, freshId } from './dom.js';

const kFormats = [
  { value: 'ndjson', text: 'Records as JSON lines' },
  { value: 'csv', text: 'Also as a table (CSV)' },
  { value: 'fhir', text: 'Also for health records (FHIR R4)' },
];

export class AuditExport {
  // timesAndRoom() gives the filters of the list, or null when they make no sense.
  constructor(timesAndRoom) {
    const format = field({ label: 'Format', name: 'format', options: kFormats });
    const person = field({
      label: 'Person', name: 'person', autocomplete: 'off', spellcheck: 'false', maxlength: 128,
      hint: 'Account or participant id. Empty: everybody.',
    });
    const choice = (text) => {
      const id = freshId('disclose');
      const input = el('input', { id, type: 'checkbox' });
      return { input, node: el('div', { class: 'field check' }, input, el('label', { for: id }, text)) };
    };
    const addresses = choice('Include full IP addresses');
    const typed = choice('Include names, appointments and references that people typed');
    const problem = el('p', { class: 'note bad', role: 'alert', hidden: true });
    const button = el('button', { type: 'submit' }, 'Download');
    const form = el('form', { class: 'filters', novalidate: true },
      el('p', { class: 'quiet' }, 'An archive with the records of the time and room above, a proof for each, and a program that checks them without this server. Downloading is recorded.'),
      el('div', { class: 'grid' }, format.node, person.node),
      addresses.node, typed.node,
      problem,
      el('div', { class: 'actions' }, button));
    this.node = el('details', { class: 'card' }, el('summary', {}, 'Export records'), form);
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      const filters = timesAndRoom();
      if (!filters) return;
      const { from, to, room } = filters;
      const disclose = [addresses.input.checked && 'ip', typed.input.checked && 'display,patient_ref,reference'].filter(Boolean).join(',');
      const wanted = { from, to, room, person: person.input.value.trim(), format: format.input.value, disclose };
      const parameters = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
      problem.hidden = true;
      button.disabled = true;
      try {
        await download(`audit/export?${parameters}`, 'bedside-audit.tar');
        announce('The export was downloaded');
      } catch (error) {
        if (error.kind === undefined) throw error;
        problem.textContent = error.message;
        problem.hidden = error.kind === 'expired';
      } finally {
        button.disabled = false;
      }
    });
  }
}
