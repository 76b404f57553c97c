// Whether the server is still there. A connection whose other end lost its power, or which a router on the
// way has forgotten, tells nobody so: it is silent for ever.

// Nothing is sent while the server speaks. A silence is questioned after 4 s, and the answer has 4 s, in which
// TCP repeats a lost packet four times: a loss is noticed within 8 s. A server that is back earlier knows nothing
// of the old connection and resets it as soon as it is asked, so that a short outage is over within these 4 s.
// Over a WebSocket this costs less than 100 bytes a second, a thousandth of a visit's media. It keeps a phone's
// radio awake in the waiting room too, but so little beside camera and screen that we need no slower pace there.
const kQuiet = 4_000;   // ms
const kAnswer = 4_000;  // ms

export class Liveness {
  #ask;
  #lost;
  #timer = 0;
  #over = false;

  /**
   * @param {() => void} ask   sends something that the server answers at once
   * @param {() => void} lost  it did not
   */
  constructor(ask, lost) {
    this.#ask = ask;
    this.#lost = lost;
  }

  /** The server has said something: it is there now. The first call starts the watch. */
  heard() {
    this.#wait(kQuiet, () => {
      this.#wait(kAnswer, this.#lost);
      this.#ask();
    });
  }

  stop() {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  #wait(milliseconds, then) {
    clearTimeout(this.#timer);
    if (!this.#over) this.#timer = setTimeout(then, milliseconds);
  }
}
