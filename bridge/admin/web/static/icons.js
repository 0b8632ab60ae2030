// Icons: 16 px, drawn with the text's colour. Always beside words, so hidden from screen readers.
import {svg, html} from './lib/lit-html.js';
const line = (d) => svg`<path d=${d} class="drawn" />`;
const fill = (d) => svg`<path d=${d} fill="currentColor"/>`;
const paths = {
  logo: svg`<rect width="16" height="16" rx="3" class="logo"/><circle cx="8" cy="10.5" r="1.8" fill="#fff"/>
    <path d="M4.6 8.2a4.6 4.6 0 0 1 6.8 0M2.7 6a7.4 7.4 0 0 1 10.6 0" fill="none" stroke="#fff" stroke-width="1.5" stroke-linecap="round"/>`,
  // States have different shapes, not only colours.
  ok: fill('M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 0 1 0-11z'),
  warn: svg`<path d="M8 1.8 15 14H1z" fill="currentColor"/><path d="M8 6.3v3.4M8 11.7v.2" stroke="var(--surface)" stroke-width="1.6" stroke-linecap="round"/>`,
  bad: svg`<rect x="2" y="2" width="12" height="12" rx="2" fill="currentColor"/>
    <path d="m5.3 5.3 5.4 5.4m0-5.4-5.4 5.4" stroke="var(--surface)" stroke-width="1.7" stroke-linecap="round"/>`,
  idle: svg`<circle cx="8" cy="8" r="4.8" fill="none" stroke="currentColor" stroke-width="1.8"
    stroke-dasharray="2.4 2.1"/>`,
  silent: svg`<circle cx="8" cy="8" r="4.9" fill="none" stroke="currentColor" stroke-width="1.8"/>
    <path d="M8 5.2V8l2 1.4" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round"/>`,
  info: fill('M8 3.2 12.8 8 8 12.8 3.2 8z'),
  overview: line('M2.5 2.5h4.5v4.5h-4.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5h-4.5zM9 9h4.5v4.5H9z'),
  live: line('M1.5 8.5h3l2-5 3 9 2-4h3'),
  devices: line(
    'M5 2.5h6a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1v-9a1 1 0 0 1 1-1zM8 8.2a1 1 0 1 0 0 .1M6 6a3 3 0 0 1 4 0',
  ),
  gateways: line('M2 10.5h12v3H2zM4.5 12h.1M8 10.5V7M5.6 5a3.4 3.4 0 0 1 4.8 0M3.8 3.2a6 6 0 0 1 8.4 0'),
  formatters: line(
    'M6 2.5c-2 0-1.8 1-1.8 2.6C4.2 7 3.5 8 2.5 8c1 0 1.7 1 1.7 2.9 0 1.6-.2 2.6 1.8 2.6M10 2.5c2 0 1.8 1 1.8 2.6 0 1.9.7 2.9 1.7 2.9-1 0-1.7 1-1.7 2.9 0 1.6.2 2.6-1.8 2.6',
  ),
  integrations: line('M5.5 2v3.5M10.5 2v3.5M3.5 5.5h9V8a4.5 4.5 0 0 1-9 0zM8 12.5V15'),
  system: line(
    'M8 5.7a2.3 2.3 0 1 0 0 4.6a2.3 2.3 0 0 0 0-4.6zM8 1.8v1.9M8 12.3v1.9M14.2 8h-1.9M3.7 8H1.8M12.4 3.6 11 5M5 11l-1.4 1.4M12.4 12.4 11 11M5 5 3.6 3.6',
  ),
  more: line('M3 8h.1M8 8h.1M13 8h.1'),
  copy: line('M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3'),
  check: line('m3 8.5 3.2 3.2L13 4.8'),
  cross: line('m4 4 8 8m0-8-8 8'),
  plus: line('M8 3v10M3 8h10'),
  up: line('M8 13V3.5M4 7l4-4 4 4'),
  down: line('M8 3v9.5M4 9l4 4 4-4'),
  clock: line('M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 4.8V8l2.2 1.5'),
  pause: fill('M4 3h3v10H4zM9 3h3v10H9z'),
  play: fill('M4.5 2.5v11l9-5.5z'),
  chevron: line('m6 3.5 4.5 4.5L6 12.5'),
  eye: line(
    'M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6.2a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 0 0 0-3.6z',
  ),
};
export const icon = (name, cls = '') =>
  html`<svg class="i ${cls}" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
    ${paths[name]}
  </svg>`;
