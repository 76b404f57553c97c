// Who is in the visit, as the server tells it, in the order of joining.

/**
 * @typedef {object} Person
 * @property {string} id
 * @property {string} name
 * @property {'host'|'guest'} role
 * @property {{audio: boolean, video: boolean, screen: boolean}} media
 */

// Pages that never send media-state (older products) do have both.
const kUnknownMedia = { audio: true, video: true, screen: false };

export class Roster {
  /** @type {Map<string, Person>} */ #people = new Map();

  get people() { return [...this.#people.values()]; }
  get size() { return this.#people.size; }

  get(id) { return this.#people.get(id); }

  add(id, name, role) {
    const known = this.#people.get(id);
    this.#people.set(id, {
      id,
      name: name || known?.name || 'Guest',
      role: role ?? known?.role ?? 'guest',
      media: known?.media ?? { ...kUnknownMedia },
    });
    return this.#people.get(id);
  }

  /** @returns {?Person} who that was */
  remove(id) {
    const person = this.#people.get(id) ?? null;
    this.#people.delete(id);
    return person;
  }

  setMedia(id, { audio, video, screen }) {
    const person = this.#people.get(id);
    if (person) person.media = { audio: audio !== false, video: video !== false, screen: screen === true };
  }

  /**
   * Takes a complete list (`existing-peers` or `resync`).
   * @returns {{joined: Person[], left: Person[]}}
   */
  replace({ peers = [], names = {}, roles = {} }) {
    const listed = new Set(peers);
    const left = this.people.filter((person) => !listed.has(person.id));
    for (const person of left) this.#people.delete(person.id);
    const joined = [];
    for (const id of peers) {
      const isNew = !this.#people.has(id);
      const person = this.add(id, names[id], roles[id]);
      if (isNew) joined.push(person);
    }
    return { joined, left };
  }
}
