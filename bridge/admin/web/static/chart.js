// <lw-chart>: lines over time as SVG, so that it follows the theme and holds the CSP. At most 50 points a line.
import {html, svg, render, nothing} from './lib/lit-html.js';
import {agoText, exactText, num, tickText} from './text.js';

const HEIGHT = 168;
const LEFT = 46;
const TOP = 10;
const BOTTOM = 22;
const DAY = 864e5;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400].map((m) => m * 60e3);

/** A step of 1, 2 or 5 times a power of ten, so that about n of them are in a range. */
function roundStep(range, n) {
  const raw = range / n;
  const p = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].find((m) => m * p >= raw) * p;
}

function axisOf(values) {
  if (!values.length) return null;
  let lo = Math.min(...values);
  let hi = Math.max(...values);
  if (hi - lo < 1e-9) [lo, hi] = [lo - 1, hi + 1];
  const step = roundStep(hi - lo, 4);
  lo = Math.floor(lo / step) * step;
  hi = Math.ceil(hi / step) * step;
  const y = (v) => TOP + ((hi - v) / (hi - lo)) * (HEIGHT - TOP - BOTTOM);
  const marks = Array.from({length: Math.round((hi - lo) / step) + 1}, (_, i) => lo + i * step);
  return {y, marks, digits: Math.max(0, -Math.floor(Math.log10(step)))};
}

/** Round times of the browser's zone between two times. */
function ticksOf(t0, t1, width) {
  const step = STEPS.find((s) => (t1 - t0) / s <= Math.max(2, width / 76)) ?? STEPS.at(-1);
  const zone = new Date(t1).getTimezoneOffset() * 60e3;
  const out = [];
  for (let t = Math.ceil((t0 - zone) / step) * step + zone; t <= t1 && out.length < 50; t += step) out.push(t);
  return {at: out, days: step >= DAY};
}

class Chart extends HTMLElement {
  /** {label, series: [{name, unit, digits, axis: 0|1, points: [[at, value]]}]}; all series have the same times. */
  set data(d) {
    this.d = d;
    this.draw();
  }

  connectedCallback() {
    this.tabIndex = 0;
    this.setAttribute('role', 'group');
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this);
    this.addEventListener('pointermove', (e) =>
      this.choose(this.nearest(e.clientX - this.getBoundingClientRect().left)),
    );
    this.addEventListener('pointerleave', () => this.choose(null));
    this.addEventListener('keydown', (e) => this.key(e));
  }

  disconnectedCallback() {
    this.resized.disconnect();
  }

  get points() {
    return this.d?.series[0]?.points ?? [];
  }

  choose(i) {
    if (i === this.at) return;
    this.at = i;
    this.draw();
  }

  nearest(x) {
    if (!this.x || !this.points.length) return null;
    const away = (p) => Math.abs(this.x(p[0]) - x);
    return this.points.reduce((best, p, i, all) => (away(p) < away(all[best]) ? i : best), 0);
  }

  key(e) {
    const last = this.points.length - 1;
    const at = this.at ?? last + 1;
    const to = {ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last, Escape: null}[e.key];
    if (to === undefined || last < 0) return;
    e.preventDefault();
    this.choose(to === null ? null : Math.max(0, Math.min(last, to)));
  }

  draw() {
    const width = Math.floor(this.clientWidth);
    if (!this.d || !width || !this.points.length) return;
    const axes = [0, 1].map((a) =>
      axisOf(this.d.series.filter((s) => (s.axis ?? 0) === a).flatMap((s) => s.points.map((p) => p[1]))),
    );
    const t0 = this.points[0][0];
    const t1 = Math.max(t0 + 1, this.points.at(-1)[0]);
    const right = width - (axes[1] ? 38 : 10);
    this.x = (t) => LEFT + ((t - t0) / (t1 - t0)) * (right - LEFT);
    this.setAttribute('aria-label', this.label(t0, t1));
    render(
      html`<div class="legend">${this.d.series.map((s, k) => this.legend(s, k))}${this.readAt()}</div>
        <svg viewBox="0 0 ${width} ${HEIGHT}" width=${width} height=${HEIGHT} aria-hidden="true">
          ${this.grid(axes, right, ticksOf(t0, t1, width))} ${this.d.series.map((s, k) => this.line(s, k, axes))}
        </svg>`,
      this,
    );
  }

  label(t0, t1) {
    const last = this.d.series.map((s) => `${s.name} ${num(s.points.at(-1)[1], s.digits)} ${s.unit}`).join(', ');
    return (
      `${this.d.label}: ${this.points.length} points from ${agoText(t0)} to ${agoText(t1)}. ` +
      `Last: ${last}. Arrow keys move.`
    );
  }

  legend(s, k) {
    const chosen = s.points[this.at];
    return html`<span class="key s${k}">
      <svg viewBox="0 0 18 8" width="18" height="8" aria-hidden="true"><line x1="0" x2="18" y1="4" y2="4" /></svg
      >${s.name} ${chosen ? html`<b>${num(chosen[1], s.digits)}</b>` : nothing} <span class="u">${s.unit}</span>
    </span>`;
  }

  readAt() {
    const chosen = this.points[this.at];
    return html`<span class="at" aria-live="polite">${chosen ? exactText(chosen[0]) : ''}</span>`;
  }

  grid([left, second], right, ticks) {
    const foot = HEIGHT - BOTTOM;
    const inside = (x) => Math.min(Math.max(x, LEFT + 14), right - 14);
    const row = (v) => svg`<line class="grid" x1=${LEFT} x2=${right} y1=${left.y(v)} y2=${left.y(v)} />
      <text class="ax" x=${LEFT - 6} y=${left.y(v) + 4} text-anchor="end">${num(v, left.digits)}</text>`;
    const mark = (v) => svg`<text class="ax s1" x=${right + 6} y=${second.y(v) + 4}>${num(v, second.digits)}</text>`;
    const tick = (t) => svg`<line class="grid" x1=${this.x(t)} x2=${this.x(t)} y1=${foot} y2=${foot + 4} />
      <text class="ax" x=${inside(this.x(t))} y=${HEIGHT - 5} text-anchor="middle">${tickText(t, ticks.days)}</text>`;
    return [left.marks.map(row), second ? second.marks.map(mark) : nothing, ticks.at.map(tick)];
  }

  line(s, k, axes) {
    const {y} = axes[s.axis ?? 0];
    const points = s.points.map(([t, v]) => `${this.x(t).toFixed(1)},${y(v).toFixed(1)}`).join(' ');
    const chosen = s.points[this.at];
    return svg`<g class="line s${k}"><polyline points=${points} />
      ${chosen ? svg`<circle cx=${this.x(chosen[0])} cy=${y(chosen[1])} r="3.5" />` : nothing}</g>`;
  }
}

customElements.define('lw-chart', Chart);
