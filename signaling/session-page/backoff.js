// Growing pauses between attempts, with jitter so that a restarted server does not meet all its
// clients in the same instant.

export class Backoff {
  #first;
  #longest;
  #next;

  /** @param {number} first  @param {number} longest  both in milliseconds */
  constructor(first, longest) {
    this.#first = first;
    this.#longest = longest;
    this.#next = first;
  }

  /** The pause before the coming attempt, in milliseconds. */
  next() {
    const pause = this.#next;
    this.#next = Math.min(this.#next * 2, this.#longest);
    return pause * (0.75 + Math.random() * 0.5);
  }

  reset() {
    this.#next = this.#first;
  }
}
