// Repeats a request while its screen is shown and the tab is visible; says when the data is old.

import { el } from './dom.js';
import { clock } from './format.js';

export class Refresh {
  // ask(automatic) → promise; show(answer) on success.
  constructor({ seconds, ask, show }) {
    Object.assign(this, { seconds, ask, show });
    this.label = el('p', { class: 'fresh' }, 'Loading…');
    this.timer = 0;
    this.running = false;
    this.onVisible = () => { if (!document.hidden && this.running) this.now(true); };
  }

  start() {
    this.running = true;
    document.addEventListener('visibilitychange', this.onVisible);
    this.now(false);
  }

  stop() {
    this.running = false;
    clearTimeout(this.timer);
    document.removeEventListener('visibilitychange', this.onVisible);
  }

  async now(automatic) {
    clearTimeout(this.timer);
    const turn = (this.turn = (this.turn ?? 0) + 1);
    try {
      const answer = await this.ask(automatic);
      if (!this.running || turn !== this.turn) return;
      this.last = Date.now();
      this.label.className = 'fresh';
      this.label.textContent = `Live, refreshed every ${this.seconds} seconds`;
      this.show(answer);
    } catch (error) {
      if (!this.running || turn !== this.turn) return;
      if (error.kind === undefined) throw error;
      this.complain(error);
    } finally {
      if (this.running && turn === this.turn && !document.hidden) {
        this.timer = setTimeout(() => this.now(true), this.seconds * 1000);
      }
    }
  }

  complain(error) {
    this.label.className = 'fresh stale';
    const from = this.last ? ` Shown is the state of ${clock(this.last)}.` : '';
    this.label.textContent = `${error.message} Trying again.${from}`;
  }
}
