// The list of devices.
import {
  html,
  nothing,
  icon,
  table,
  when,
  deviceState,
  signal,
  name,
  devHref,
  emptyBox,
  chip,
  more,
  none,
  unit,
} from '../ui.js';
import {saveFile, secret, STATES} from '../ui.js';
import {S, redraw, say} from '../state.js';
import {num, plural, safe, span} from '../text.js';
import {valuesOf} from '../values.js';
import {op} from '../api.js';
import {byState, lastSeen, lastValues, noDevice, value} from './overview.js';

const ROWS = 100;
const view = {text: '', states: new Set(), sort: null, down: false, rows: ROWS};

function battery(d) {
  const v = valuesOf(d.last).find((x) => /^battery/.test(x.key));
  return v ? value(v) : none;
}

function loss(d) {
  if (d.loss == null) return none;
  const bad = d.loss > 0.1;
  return html`<span class=${bad ? 'st warn' : ''}>${bad ? icon('warn') : nothing}${unit(d.loss * 100, '%')}</span>`;
}

function usual(d) {
  if (!d.last) return d.join ? 'join-request' : nothing;
  return d.every ? `every ${span(d.every)}` : nothing;
}

const ORDERS = {
  id: (d) => d.key,
  when: (d) => -(lastSeen(d) ?? 0),
  signal: (d) => d.margin ?? -99,
  loss: (d) => -(d.loss ?? -1),
  state: (d) => d.state,
};

const COLS = [
  {label: 'State', cls: 'c-state', sort: 'state', cell: deviceState},
  {
    label: 'Device',
    cls: 'c-main',
    sort: 'id',
    cell: (d) =>
      html`<a class="strong" href=${devHref(d)}>${safe(d.id)}</a>
        ${d.cls === 'A' ? nothing : html`<span class="tag">Class ${d.cls}</span>`}
        <span class="sub" title=${safe(d.name)}>${safe(d.app)}${d.name ? html` · ${name(d.name)}` : nothing}</span>`,
  },
  {label: 'Last values', cls: 'c-vals', cell: (d) => lastValues(d)},
  {label: 'Signal', cls: 'c-sig', sort: 'signal', cell: (d) => signal(d.last, d.margin)},
  {label: 'Rate', num: true, cls: 'c-sf', cell: (d) => (d.last?.sf ? `SF${d.last.sf}` : none)},
  {label: 'Lost', num: true, cls: 'c-loss', sort: 'loss', cell: loss},
  {label: 'Battery', num: true, cls: 'c-bat', cell: battery},
  {
    label: 'Last heard',
    num: true,
    cls: 'c-when',
    sort: 'when',
    cell: (d) => html`${when(lastSeen(d))}<span class="sub">${usual(d)}</span>`,
  },
];

function fits(d) {
  if (view.states.size && !view.states.has(d.state)) return false;
  return [d.key, d.name, d.devEUI, d.devAddr].join(' ').toLowerCase().includes(view.text.toLowerCase());
}

function compare(a, b) {
  if (!view.sort) return byState(a, b);
  const of = ORDERS[view.sort];
  const [x, y] = [of(a), of(b)];
  return (x < y ? -1 : x > y ? 1 : 0) * (view.down ? -1 : 1);
}

function sortBy(key) {
  view.down = view.sort === key && !view.down;
  view.sort = key;
  redraw();
}

function flip(k) {
  view.states[view.states.has(k) ? 'delete' : 'add'](k);
  redraw();
}

function filters() {
  const typed = (e) => {
    view.text = e.target.value;
    redraw();
  };
  const label = (k, [tone, word, shape]) =>
    html`<span class="st ${tone}">${icon(shape)}</span>${word}
      <span class="u">${S.devices.filter((d) => d.state === k).length}</span>`;
  return html`<div class="filters">
    <label class="vh" for="device-filter">Filter</label>
    <input
      id="device-filter"
      type="search"
      placeholder="Filter: id, name, EUI, DevAddr"
      autocomplete="off"
      .value=${view.text}
      @input=${typed}
    />
    <div class="chips" role="group" aria-label="State">
      ${Object.entries(STATES).map(([k, s]) => chip(view.states.has(k), () => flip(k), label(k, s)))}
    </div>
  </div>`;
}

function list() {
  const rows = S.devices.filter(fits).sort(compare);
  if (!rows.length) {
    const clear = () => {
      view.text = '';
      view.states.clear();
      redraw();
    };
    return emptyBox(
      'No device fits',
      'Clear the filter to see all of them.',
      html`<button type="button" class="btn" @click=${clear}>Show all ${num(S.devices.length)}</button>`,
    );
  }
  const showAll = () => {
    view.rows = Infinity;
    redraw();
  };
  return html`<section class="card flush">
    ${table({
      label: 'Devices',
      rows: rows.slice(0, view.rows),
      key: (d) => d.key,
      cls: 'full',
      row: (d) => (d.last ? '' : 'nodata'),
      sorted: view.sort && {key: view.sort, down: view.down},
      onSort: sortBy,
      cols: COLS,
    })}
    ${more(rows.length, view.rows, showAll)}
  </section>`;
}

async function exportAll() {
  const password = await secret('The file has all keys of all devices: keep it as safe as a password.');
  if (!password) return;
  const {parts, error} = await op('device.export', {password});
  if (error) return say(error);
  saveFile('devices.json', parts.map((d) => `${JSON.stringify(d)}\n`).join(''));
  say(`${plural(parts.length, 'device')} exported.`);
}

export function devices() {
  const any = S.devices.length > 0;
  return html`<div class="head">
      <h1 tabindex="-1">Devices</h1>
      <div class="acts">
        <a class="btn" href="#/import">Import</a>
        ${any ? html`<button type="button" class="btn" @click=${exportAll}>Export</button>` : nothing}
        <a class="btn primary" href="#/add">${icon('plus')}Add device</a>
      </div>
    </div>
    ${any ? html`${filters()}${list()}` : noDevice()}`;
}
