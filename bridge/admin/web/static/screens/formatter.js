// Payload formatters: write, try on the last frames, save. Scripts run in the daemon's guarded child, never here.
import {html, nothing, icon, block, emptyBox, field, hex, select, state, when} from '../ui.js';
import {S, redraw, say} from '../state.js';
import {cleanHex, isHex, num, plural, safe, toBase64} from '../text.js';
import {detail, extra, forgetExtra, op, post} from '../api.js';

const SCRIPT = 'FORMATTER_JAVASCRIPT';
const KINDS = [
  ['FORMATTER_NONE', 'none'],
  [SCRIPT, 'JavaScript'],
  ['FORMATTER_CAYENNELPP', 'Cayenne LPP'],
  ['FORMATTER_REPOSITORY', 'Device repository'],
];
const FRAMES = 20;
const EXAMPLE = `function decodeUplink(input) {
  // Bytes 0 and 1: temperature in 0.01 °C
  const raw = (input.bytes[0] << 8) | input.bytes[1];
  return {
    data: {temperature: ((raw << 16) >> 16) / 100},
    warnings: [],
  };
}
`;

const edit = {
  key: null,
  kind: '',
  script: '',
  saved: null,
  pick: 0,
  own: '',
  port: 1,
  results: null,
  error: '',
  busy: false,
};

const kindName = (kind) => KINDS.find(([k]) => k === kind)?.[1] ?? kind ?? 'none';
const href = (app, id) => `#/formatters/${encodeURIComponent(app)}${id ? `/${encodeURIComponent(id)}` : '/'}`;

function deviceRow(f) {
  const what = [kindName(f.kind), f.codec, f.default && "the application's", f.bytes && `${num(f.bytes)} bytes`];
  return html`<li>
    <span class="grow">
      <a class="strong" href=${href(f.app, f.id)}>${safe(f.app)}/${safe(f.id)}</a><br />
      <span class="small muted">${what.filter(Boolean).map(safe).join(', ')}</span>
    </span>
    ${f.warning ? state('warn', safe(f.warning)) : f.kind === 'FORMATTER_NONE' ? state('idle', 'Not decoded') : nothing}
    <a class="btn" href=${href(f.app, f.id)}>Edit</a>
  </li>`;
}

function applicationRow(app) {
  return html`<li>
    <span class="grow">
      <a class="strong" href=${href(app)}>${safe(app)}</a> <span class="tag">application</span><br />
      <span class="small muted">for devices that have none of their own</span>
    </span>
    <a class="btn" href=${href(app)}>Edit</a>
  </li>`;
}

function list() {
  const rows = extra('formatters')?.formatters ?? [];
  return html`<div class="head"><h1 tabindex="-1">Payload formatters</h1></div>
    <p class="lead">
      A formatter turns the bytes of a device into values such as <i>temperature 8.4 °C</i>. An application has one for
      all its devices; a device can have its own.
    </p>
    ${
      S.apps.length
        ? html`<section class="card">
            <ul class="rows">
              ${S.apps.map(applicationRow)}${rows.map(deviceRow)}
            </ul>
          </section>`
        : emptyBox(
            'Nothing to decode yet',
            'Add a device first.',
            html`<a class="btn primary" href="#/add">${icon('plus')}Add a device</a>`,
          )
    }`;
}

const path = (app, id) => {
  const device = id ? `&device_id=${encodeURIComponent(id)}` : '';
  return `formatter?application_id=${encodeURIComponent(app)}${device}`;
};

/** Takes over what the daemon has; false while it is still asked. */
function begin(app, id) {
  const key = `${app}/${id ?? ''}`;
  if (edit.key === key) return true;
  const up = extra(path(app, id))?.up;
  if (!up) return false;
  const kind = up.formatter || 'FORMATTER_NONE';
  const script = (kind === SCRIPT && up.formatter_parameter) || '';
  Object.assign(edit, {
    key,
    kind,
    script,
    saved: {kind, script},
    pick: 0,
    results: null,
    error: '',
    warning: up.warning,
  });
  return true;
}

const changed = () => edit.kind !== edit.saved.kind || (edit.kind === SCRIPT && edit.script !== edit.saved.script);

const formatterOf = () => ({
  formatter: edit.kind,
  ...(edit.kind === SCRIPT && {formatter_parameter: edit.script}),
});

async function save(app, id) {
  const args = {application_id: app, up_formatter: formatterOf()};
  const {error} = await op(id ? 'device.set' : 'application.set', id ? {...args, device_id: id} : args);
  if (!error) edit.saved = {kind: edit.kind, script: edit.script};
  forgetExtra('formatters');
  forgetExtra(path(app, id));
  say(error ?? 'Saved. The next frame is decoded with it.');
}

/** Tries what is written on the frames at hand and on bytes of one's own. */
async function run(d, frames) {
  const own = picked(frames) === 'own';
  const inputs = own ? [{port: edit.port, payload: cleanHex(edit.own)}] : frames;
  if (own && !isHex(inputs[0].payload)) {
    edit.error = 'Pairs of the digits 0 to 9 and A to F are needed.';
    return redraw();
  }
  edit.busy = true;
  redraw();
  const {parts, error} = await post('op/formatter.try', {
    application_id: d.app,
    device_id: d.id,
    formatter: formatterOf(),
    frames: inputs.map((u) => ({f_port: u.port ?? 0, frm_payload: toBase64(u.payload)})),
  });
  Object.assign(edit, {busy: false, error: error ?? '', results: error ? null : parts});
  redraw();
}

function editor() {
  const lines = edit.script.split('\n').length;
  const bad = shownResult()?.line;
  const scrolled = (e) => {
    e.target.parentElement.querySelector('.gutter').scrollTop = e.target.scrollTop;
  };
  const typed = (e) => {
    edit.script = e.target.value;
    redraw();
  };
  const number = (_, i) => html`<span class=${bad === i + 1 ? 'badline' : ''}>${i + 1}</span>`;
  return html`<div class="ed-wrap">
    <div class="gutter mono" aria-hidden="true">${Array.from({length: lines}, number)}</div>
    <textarea
      class="mono src"
      name="script"
      aria-label="Script"
      spellcheck="false"
      autocapitalize="none"
      autocomplete="off"
      wrap="off"
      .value=${edit.script}
      @scroll=${scrolled}
      @input=${typed}
    ></textarea>
  </div>`;
}

function editCard(d, frames) {
  const kind = (e) => {
    edit.kind = e.target.value;
    if (edit.kind === SCRIPT && !edit.script) edit.script = EXAMPLE;
    redraw();
  };
  return html`<section class="card form">
    ${field('Kind', select(KINDS, edit.kind, kind, {name: 'kind'}))}
    ${edit.warning ? state('warn', safe(edit.warning)) : nothing} ${edit.kind === SCRIPT ? editor() : nothing}
    <p class="acts">
      <button type="button" class="btn" ?disabled=${!d || edit.busy} @click=${() => run(d, frames)}>
        ${icon('play')}Test
      </button>
      <span class="small muted"
        >Runs on the gateway with little time and memory; it cannot reach files or the network.</span
      >
    </p>
  </section>`;
}

/** Which frame is tried: without one there are only bytes of one's own. */
const picked = (frames) => (frames.length ? edit.pick : 'own');

const shownResult = () => edit.results?.[edit.pick === 'own' ? 0 : edit.pick];

function good(r) {
  return html`<p>
      ${state('ok', 'Decoded')}
      <span class="small muted">in ${num(r.ms, 1)} ms${r.kB ? `, ${num(r.kB)} kB` : nothing}</span>
    </p>
    ${block(JSON.stringify(r.data, null, 2), 'decoded_payload')}
    ${(r.warnings ?? []).map((w) => html`<p>${state('warn', `Warning: ${safe(w)}`)}</p>`)}
    ${r.log?.length ? block(r.log.join('\n'), 'What the script wrote to the console') : nothing}`;
}

function failed(r) {
  return html`<div class="problem bad inlinep">
    <div class="ph">${icon('bad')}<b>${safe(r.error)}</b></div>
    <p>
      <b>What to do:</b>
      ${r.line ? `look at line ${r.line}, which is marked.` : 'see what the script returns, and that every loop ends.'}
      Frames still go out, without decoded_payload.
    </p>
  </div>`;
}

function summary() {
  const all = edit.results;
  if (!all || edit.pick === 'own' || all.length < 2) return nothing;
  const bad = all.filter((r) => !r.ok).length;
  const warned = all.filter((r) => r.ok && r.warnings?.length).length;
  return html`<h3>The last ${all.length} frames</h3>
    <p class="acts">
      ${state('ok', `${all.length - bad - warned} decoded`)}
      ${warned ? state('warn', `${warned} with a warning`) : nothing} ${bad ? state('bad', `${bad} failed`) : nothing}
    </p>`;
}

function picker(d, frames) {
  const options = frames.map((u, i) => [i, `${d.id}, f_cnt ${u.fcnt}, port ${u.port}: ${u.payload}`]);
  const choose = (e) => {
    edit.pick = e.target.value === 'own' ? 'own' : Number(e.target.value);
    if (edit.pick === 'own') edit.results = null;
    redraw();
  };
  return field('With', select([...options, ['own', 'bytes of my own']], picked(frames), choose, {name: 'frame'}));
}

function ownBytes() {
  const set = (k) => (e) => {
    edit[k] = k === 'port' ? Number(e.target.value) : e.target.value;
  };
  const port = html`<input
    type="number"
    name="own-port"
    min="1"
    max="223"
    .value=${String(edit.port)}
    @change=${set('port')}
  />`;
  return html`<div class="g2 wide1">
    ${field('Bytes, hexadecimal', html`<input class="mono" name="own" .value=${edit.own} @change=${set('own')} />`)}
    ${field('Port', port)}
  </div>`;
}

const heard = (u) =>
  html`<p class="small muted">Heard ${when(u.at)}, ${plural(u.payload.length / 2, 'byte')}: ${hex(u.payload)}</p>`;

function testCard(d, frames) {
  if (!d)
    return html`<section class="card">
      <h2>Test</h2>
      <p class="muted">It can be tried when the application has a device.</p>
    </section>`;
  const u = frames[picked(frames)];
  const r = shownResult();
  return html`<section class="card">
    <h2>Test</h2>
    ${picker(d, frames)} ${u ? heard(u) : ownBytes()}
    ${edit.error ? html`<p class="err box">${safe(edit.error)}</p>` : nothing}
    ${r ? (r.ok ? good(r) : failed(r)) : html`<p class="muted">Press Test to see what comes of it.</p>`} ${summary()}
  </section>`;
}

export function formatters({args: [app, id]}) {
  if (!app) return list();
  const d = S.devices.find((x) => x.app === app && (id ? x.id === id : x.last)) ?? S.devices.find((x) => x.app === app);
  const title = html`<p class="crumb"><a href="#/formatters">Payload formatters</a> / ${safe(app)}</p>
    <h1 tabindex="-1">${id ? safe(id) : `All devices of ${safe(app)}`}</h1>`;
  if (!begin(app, id)) {
    const error = extra(path(app, id))?.error;
    return html`${title}
      <p class="muted">${error ? safe(error) : 'Asking the gateway…'}</p>`;
  }
  const frames = d ? detail(d).frames.slice(0, FRAMES) : [];
  return html`<div class="head">
      <div>${title}</div>
      <div class="acts">
        ${changed() ? html`<span class="small muted">Not saved</span>` : nothing}
        <button type="button" class="btn primary" ?disabled=${!changed()} @click=${() => save(app, id)}>Save</button>
      </div>
    </div>
    <div class="two editor">${editCard(d, frames)}${testCard(d, frames)}</div>`;
}
