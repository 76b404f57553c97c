// The logged-in person's session as this page knows it: keeps it alive while somebody works, warns before it
// lapses, and asks for the password again without losing the screen.

import { get, post, watchSession } from './api.js';
import { announce, el } from './dom.js';
import { openDialog } from './dialog.js';
import { loginForm } from './doors.js';

const kPulseMs = 60_000;
const kWarnSeconds = 60;

export class Session {
  constructor(account) {
    this.account = account;
    this.active = false;
    this.endsAt = Infinity;
    this.dialog = null;
    this.banner = el('div', { class: 'note warn banner', role: 'alert', hidden: true });
    watchSession((seconds) => this.heard(seconds));
    for (const kind of ['pointerdown', 'keydown', 'wheel']) {
      document.addEventListener(kind, () => { this.active = true; }, { passive: true });
    }
    setInterval(() => this.pulse(), kPulseMs);
    setInterval(() => this.check(), 1000);
  }

  heard(secondsLeft) {
    if (secondsLeft === null) return this.expire();
    this.endsAt = Date.now() + secondsLeft * 1000;
    if (secondsLeft > kWarnSeconds) this.banner.hidden = true;
  }

  // Scrolling and reading are work too, though they send no request.
  async pulse() {
    if (this.dialog) return;
    const automatic = !this.active;
    this.active = false;
    try {
      const answer = await get('state', { automatic });
      if (!answer.session) this.expire();
    } catch {
      // The screens say when the server is away; the next pulse tries again.
    }
  }

  check() {
    const left = Math.ceil((this.endsAt - Date.now()) / 1000);
    if (left <= 0) return this.expire();
    if (left > kWarnSeconds || !this.banner.hidden || this.dialog) return;
    const stay = el('button', { type: 'button', class: 'secondary', onclick: () => { this.active = true; this.pulse(); } }, 'Stay logged in');
    this.banner.replaceChildren(el('p', {}, 'You will be logged out in about a minute, because nothing was done here for a while.'), stay);
    this.banner.hidden = false;
  }

  expire() {
    if (this.dialog) return;
    this.endsAt = Infinity;
    this.banner.hidden = true;
    const form = loginForm({ name: this.account, onlogin: (account) => this.renewed(account) });
    const text = el('p', {}, 'Your session has ended to protect what is on this screen. Log in and you are back where you were.');
    this.dialog = openDialog({ title: 'Please log in again', content: [text, form], covering: true, dismissable: false });
    announce('Your session has ended. Please log in again.');
  }

  renewed(account) {
    // Somebody else must not find the first person's screen.
    if (account !== this.account) return location.reload();
    this.dialog.close();
    this.dialog = null;
    document.dispatchEvent(new CustomEvent('session-renewed'));
  }

  async logout() {
    try {
      await post('logout');
    } finally {
      location.reload();
    }
  }
}
