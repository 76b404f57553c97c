// Rooms now: who is in a visit, and what to do about it.

import { get, post } from './api.js';
import { linkRow } from './copy.js';
import { announce, el, field } from './dom.js';
import { plural } from './format.js';
import { Refresh } from './refresh.js';
import { RoomCard } from './room-card.js';

const kRefreshSeconds = 5;

function createForm(onmade) {
  const appointment = field({
    label: 'Appointment id', name: 'appointmentId', autocomplete: 'off', maxlength: 240, required: true,
    hint: 'From your calendar or records system. The audit log keeps only a pseudonym.',
  });
  const name = field({
    label: 'Room name (optional)', name: 'roomName', autocomplete: 'off', maxlength: 255,
    hint: 'Letters, digits and - _ . Without one: “appointment-” and the id.',
  });
  const button = el('button', { type: 'submit' }, 'Create room');
  const problem = el('p', { class: 'note bad', role: 'alert', hidden: true });
  const made = el('div', { class: 'made', hidden: true });
  const form = el('form', { novalidate: true }, appointment.node, name.node, button);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    problem.hidden = true;
    const id = appointment.input.value.trim();
    const roomName = name.input.value.trim();
    if (!id) {
      appointment.complain('Type the appointment id.');
      return appointment.input.focus();
    }
    if (roomName && !/^[A-Za-z0-9._-]+$/.test(roomName)) {
      name.complain('Use letters, digits and - _ . only.');
      return name.input.focus();
    }
    button.disabled = true;
    try {
      const answer = await post('rooms/create', { appointmentId: id, ...(roomName && { roomName }) });
      showMade(made, answer);
      form.reset();
      onmade();
    } catch (error) {
      if (error.kind === undefined) throw error;
      problem.textContent = error.message;
      problem.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
  return el('section', { class: 'card create', 'aria-label': 'Create a room' }, el('h2', {}, 'Create a room'), problem, form, made);
}

function showMade(place, answer) {
  const full = (link) => new URL(link, location.origin).href;
  const heading = answer.existed ? `Room ${answer.roomId} was there already` : `Room ${answer.roomId} is ready`;
  const close = el('button', { type: 'button', class: 'text', onclick: () => { place.hidden = true; } }, 'Hide the link');
  const links = answer.hostLink
    ? [linkRow('Link for the clinician', full(answer.hostLink), 'Opens the visit as host. Keep it inside the practice.'),
       linkRow('Link for the patient', full(answer.link), 'Send it to the patient only. Both links are shown only now: the server keeps no copy of their secret.')]
    : [linkRow('Visit link', full(answer.link), 'Send it to everybody who takes part. Whoever has it can join.')];
  place.replaceChildren(el('div', { class: 'room-head' }, el('h2', { tabindex: '-1' }, heading), close), ...links);
  place.hidden = false;
  place.querySelector('h2').focus();
  announce(heading);
}

export function roomsScreen() {
  const figures = el('strong', {});
  const summary = el('p', { class: 'quiet', hidden: true }, figures,
    ' Direct: sound and picture go from browser to browser. Relayed: they go through this server, still encrypted.');
  const list = el('ul', { class: 'rooms' });
  const empty = el('div', { class: 'card empty', hidden: true }, el('h2', {}, 'No room is open'),
    el('p', { class: 'quiet' }, 'Rooms appear here as soon as you or your records system create one, and leave this list when the visit ends. What happened stays in the audit log.'));
  const open = el('p', { class: 'note warn', hidden: true }, 'Rooms are open: whoever reaches this server can make and enter rooms. '
    + 'Write access = "invite" under [signaling] in its configuration, or let only people you trust reach it.');
  const cards = new Map();
  let heard = null;

  const show = (answer) => {
    const people = answer.rooms.flatMap((room) => room.people);
    const relayed = people.filter((person) => person.path === 'relayed').length;
    const text = `${plural(answer.rooms.length, 'room')} open, ${plural(people.length, 'person', 'people')}, ${relayed} relayed`;
    figures.textContent = `${text}.`;
    summary.hidden = answer.rooms.length === 0;
    if (heard !== null && heard !== text) announce(text);
    heard = text;
    open.hidden = !answer.openToAll;
    empty.hidden = answer.rooms.length > 0;
    const names = new Set(answer.rooms.map((room) => room.roomId));
    for (const [name, card] of cards) {
      if (!names.has(name)) { card.node.remove(); cards.delete(name); }
    }
    // Cards are updated in place: the focus and a half-made decision survive a refresh.
    answer.rooms.forEach((room, i) => {
      if (!cards.has(room.roomId)) cards.set(room.roomId, new RoomCard(room, () => refresh.now(false)));
      const card = cards.get(room.roomId);
      card.update(room, answer.now);
      if (list.children[i] !== card.node) list.insertBefore(card.node, list.children[i] ?? null);
    });
  };

  const refresh = new Refresh({ seconds: kRefreshSeconds, ask: (automatic) => get('rooms', { automatic }), show });
  const head = el('div', { class: 'screen-head' }, el('h1', { tabindex: '-1' }, 'Rooms now'), refresh.label);
  const node = el('div', { class: 'screen-body' }, head, open, createForm(() => refresh.now(false)), summary, empty, list);
  return { node, enter: () => { refresh.stop(); refresh.start(); }, leave: () => refresh.stop() };
}
