// A line of the last minutes, without axes: it says whether something moves, the number above it how much.

import { svg } from './dom.js';

const kWidth = 240;
const kHeight = 56;
const kTop = 4;

export class Sparkline {
  constructor(label, capacity) {
    this.label = label;
    this.capacity = capacity;
    this.values = [];
    this.area = svg('path', { class: 'area' });
    this.curve = svg('path', { class: 'curve' });
    this.node = svg('svg', {
      class: 'spark', viewBox: `0 0 ${kWidth} ${kHeight}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label,
    }, svg('path', { class: 'base', d: `M0 ${kHeight - 1}H${kWidth}` }), this.area, this.curve);
  }

  // `spoken` words one value for the label.
  add(value, spoken) {
    this.values.push(value);
    if (this.values.length > this.capacity) this.values.shift();
    const top = Math.max(...this.values);
    this.node.setAttribute('aria-label', `${this.label}: now ${spoken(value)}, at most ${spoken(top)}`);
    this.draw(top);
  }

  // New values come in from the right; an unfinished line starts in the middle of the picture.
  draw(top) {
    const n = this.values.length;
    const x = (i) => (kWidth * (this.capacity - n + i)) / (this.capacity - 1);
    const y = (v) => kHeight - 1 - (top > 0 ? (v / top) * (kHeight - 1 - kTop) : 0);
    const points = this.values.map((v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`);
    this.curve.setAttribute('d', n > 1 ? `M${points.join('L')}` : '');
    this.area.setAttribute('d', n > 1 ? `M${points.join('L')}V${kHeight - 1}H${x(0).toFixed(1)}Z` : '');
  }
}
