// One open room: its people and what can be done with it.

import { post } from './api.js';
import { copyButton } from './copy.js';
import { confirmation } from './dialog.js';
import { announce, el, unseen } from './dom.js';
import { lasting, plural, since, utcText } from './format.js';

const kPaths = {
  direct: { text: 'Direct', title: 'Sound and picture go from browser to browser.' },
  relayed: { text: 'Relayed', title: 'Sound and picture go through this server, still encrypted.' },
  unknown: { text: 'Connecting', title: 'No sound or picture yet.' },
};
const kRoles = { host: 'Host', guest: 'Guest', family: 'Family', interpreter: 'Interpreter', captioner: 'Captioner' };

function personRow(person) {
  const path = person.connected ? kPaths[person.path] ?? kPaths.unknown : { text: 'Away', title: 'Joined, but not connected right now.' };
  const tone = !person.connected ? 'warn' : person.path === 'unknown' ? '' : 'ok';
  return el('li', {},
    el('span', {}, kRoles[person.role] ?? 'Participant'),
    el('span', { class: 'id mono' }, person.id),
    el('span', { class: 'quiet small', title: utcText(person.since) }, person.since > 0 ? `since ${since(person.since)}` : ''),
    el('span', { class: `badge ${tone}`, title: path.title }, path.text));
}

export class RoomCard {
  constructor(room, onended) {
    this.room = room;
    this.onended = onended;
    this.facts = el('p', { class: 'facts' });
    this.people = el('ul', { class: 'people', 'aria-label': `People in ${room.roomId}` });
    this.nobody = el('p', { class: 'quiet' }, 'Nobody is in the room yet.');
    this.problem = el('p', { class: 'note bad', role: 'alert', hidden: true });
    this.end = el('button', { type: 'button', class: 'danger-quiet', onclick: () => this.ask() }, 'End visit…', unseen(` (${room.roomId})`));
    const copy = room.link && copyButton(new URL(room.link, location.origin).href, room.roomId);
    const trail = el('a', { href: `#audit=${encodeURIComponent(room.roomId)}` }, 'Audit log of this room', unseen(` (${room.roomId})`));
    this.node = el('li', { class: 'card room' },
      el('div', { class: 'room-head' }, el('h2', {}, room.roomId), this.facts),
      this.problem, this.people, this.nobody,
      el('div', { class: 'room-foot' }, el('div', { class: 'room-actions' }, copy, this.end), trail));
  }

  update(room, now) {
    this.room = room;
    this.facts.textContent = `Appointment ${room.appointmentId} · open since ${since(room.createdAt)} (${lasting(now - room.createdAt)})`;
    this.facts.title = utcText(room.createdAt);
    this.people.replaceChildren(...room.people.map(personRow));
    this.people.hidden = room.people.length === 0;
    this.nobody.hidden = room.people.length > 0;
  }

  async ask() {
    const inside = this.room.people.length;
    const effect = inside
      ? `${plural(inside, 'person is', 'people are')} in this room. Their call stops at once and they are told that the visit has ended.`
      : 'Nobody is in this room now.';
    const sure = await confirmation({
      title: `End the visit in ${this.room.roomId}?`,
      paragraphs: [effect, 'The link stops working and the room cannot be opened again. The audit log records that you ended it.'],
      confirm: 'End visit', keep: 'Keep it open',
    });
    if (!sure) return;
    this.problem.hidden = true;
    this.end.disabled = true;
    try {
      await post('rooms/end', { roomId: this.room.roomId });
      announce(`The visit in ${this.room.roomId} has ended.`);
      document.querySelector('h1')?.focus();
      this.onended();
    } catch (error) {
      if (error.kind === undefined) throw error;
      this.problem.textContent = `The visit was not ended. ${error.message}`;
      this.problem.hidden = false;
    } finally {
      this.end.disabled = false;
    }
  }
}
