// The settings of a device, and what is done with it as a whole.
import {html, nothing, icon, ask, fault, field, formatterHref, saveFile, secret, select} from '../ui.js';
import {redraw, say} from '../state.js';
import {cleanHex, isHex, plural, safe} from '../text.js';
import {op, refresh} from '../api.js';
import {planOptions} from './plans.js';

const forms = new Map();

function formOf(d) {
  if (!forms.has(d.key)) forms.set(d.key, {fields: {}, err: {}, mend: new Set(), key: '', shown: ''});
  return forms.get(d.key);
}

const DIGITS = {dev_eui: 16, join_eui: 16, app_key: 32};

function check(fields) {
  const err = {};
  for (const [k, n] of Object.entries(DIGITS)) {
    if (k in fields && !isHex(fields[k], n)) err[k] = `${n} hexadecimal digits; this has ${fields[k].length}.`;
  }
  return err;
}

/** Texts that a daemon of before took, and that are too long for this one, are named: they get a field. */
const TEXTS = /^(name|description|(brand|model|band)_id|(hard|firm)ware_version)$/;

function refused(f, error) {
  const [, k] = /: (?:version_ids\.)?(\S+): too long/.exec(error) ?? [];
  if (TEXTS.test(k)) {
    f.err = {[k]: error};
    if (k !== 'name') f.mend.add(k);
  } else f.err = {all: k ? `${error}. Export the device, shorten it there, and import it with "Replace".` : error};
}

async function save(e, d) {
  e.preventDefault();
  const f = formOf(d);
  f.err = check(f.fields);
  if (!Object.keys(f.err).length && Object.keys(f.fields).length) {
    const {parts, error} = await op('device.set', {application_id: d.app, device_id: d.id, fields: f.fields});
    if (error) refused(f, error);
    else {
      forms.delete(d.key);
      say(['Saved.', ...(parts ?? []).map((p) => p.note)].join(' '));
      refresh(d);
    }
  }
  redraw();
}

function set(d, k) {
  return (e) => {
    const f = formOf(d);
    f.fields[k] = k in DIGITS ? cleanHex(e.target.value) : e.target.value;
    if (k === 'app_key' && !f.fields[k]) delete f.fields[k];
    if (Object.keys(f.err).length) f.err = check(f.fields);
    redraw();
  };
}

function input(d, k, was, placeholder = '') {
  const f = formOf(d);
  return html`<input
      name=${k}
      class=${k in DIGITS ? 'mono' : ''}
      .value=${f.fields[k] ?? was ?? ''}
      placeholder=${placeholder}
      autocomplete="off"
      autocapitalize="none"
      spellcheck="false"
      aria-invalid=${f.err[k] ? 'true' : 'false'}
      @change=${set(d, k)}
    />${fault(f.err[k])}`;
}

/** Exports a device with its keys, which takes the password. */
async function withKeys(d) {
  const password = await secret('The device\u2019s keys come with it.');
  return password ? op('device.export', {application_id: d.app, devices: [d.id], password}) : {error: 'Not exported.'};
}

async function showKey(d) {
  const {parts, error} = await withKeys(d);
  const f = formOf(d);
  f.shown = error ?? parts[0]?.root_keys?.app_key?.key ?? 'none';
  redraw();
  setTimeout(() => {
    f.shown = '';
    redraw();
  }, 60e3);
}

function appKey(d) {
  const f = formOf(d);
  const hint =
    d.state === 'refused' ? 'The device signs with another key than this one.' : 'Write a new one to replace it.';
  return html`<div class="field">
    <label class="fl" for="app-key">AppKey</label>
    <span class="withbtn">
      <input
        id="app-key"
        name="app_key"
        class="mono"
        .value=${f.fields.app_key ?? f.shown}
        placeholder="•••• •••• •••• •••• (kept)"
        spellcheck="false"
        autocomplete="off"
        aria-invalid=${f.err.app_key ? 'true' : 'false'}
        @change=${set(d, 'app_key')}
      />
      <button type="button" class="btn" @click=${() => showKey(d)}>${icon('eye')}Show</button>
    </span>
    ${fault(f.err.app_key)}<span class="hint">${hint}</span>
  </div>`;
}

const strange = (d) =>
  safe(d.name) === d.name
    ? 'Yours to choose; not in MQTT topics.'
    : html`<span class="err">
        ${icon('warn')}It has characters that hide or turn text round; elsewhere they are shown as �. Write it anew to
        be rid of them.
      </span>`;

function settingsForm(d) {
  const f = formOf(d);
  return html`<form class="card form" @submit=${(e) => save(e, d)} novalidate>
    <h2>Settings</h2>
    ${field('Name', input(d, 'name', d.name), strange(d))}
    <div class="g2">
      ${field('DevEUI', input(d, 'dev_eui', d.devEUI))} ${field('JoinEUI', input(d, 'join_eui', d.joinEUI))}
    </div>
    ${d.activation === 'OTAA' ? appKey(d) : nothing}
    ${field('Frequency plan', select(planOptions(), f.fields.frequency_plan_id ?? d.plan, set(d, 'frequency_plan_id')))}
    <p class="small muted">
      LoRaWAN ${safe(d.version)}, Class ${safe(d.cls)}, ${safe(d.activation)}.
      <a href=${formatterHref(d)}>Payload formatter</a>
    </p>
    ${[...f.mend].map((k) => field(k, input(d, k), 'Empty takes it away.'))} ${fault(f.err.all)}
    <p class="acts"><button class="btn primary" ?disabled=${!Object.keys(f.fields).length}>Save</button></p>
  </form>`;
}

async function exportDevice(d) {
  const {parts, error} = await withKeys(d);
  if (error) return say(error);
  saveFile(`${d.id}.json`, `${JSON.stringify(parts[0])}\n`);
  say(`${d.id} exported, with its keys.`);
}

async function forgetNonces(d) {
  const {error} = await op('device.set', {application_id: d.app, device_id: d.id, reset_join_nonces: true});
  say(error ?? 'DevNonces forgotten: the device may join again.');
}

const remove = (d) =>
  ask({
    title: `Delete ${safe(d.key)}?`,
    text: html`<p>
      Its keys, its session and ${d.queued ? plural(d.queued, 'queued downlink') : 'its queue'} go. Without a backup the
      device has to be added again.
    </p>`,
    yes: 'Delete',
    danger: true,
    done: async () => {
      const {error} = await op('device.delete', {application_id: d.app, devices: [d.id]});
      say(error ?? `${d.id} deleted.`);
      if (!error) location.hash = '#/devices';
    },
  });

function row(title, text, label, click, danger) {
  return html`<li>
    <span class="grow"><b>${title}</b><br /><span class="small muted">${text}</span></span>
    <button type="button" class="btn ${danger ? 'danger' : ''}" @click=${click}>${label}</button>
  </li>`;
}

export function settings(d) {
  return html`<div class="two even">
    ${settingsForm(d)}
    <section class="card">
      <h2>More</h2>
      <ul class="rows">
        ${row('Export', "As The Things Stack's JSON, with keys.", 'Export', () => exportDevice(d))}
        ${
          d.activation === 'OTAA'
            ? row(
                'Forget DevNonces',
                'If the device was reset to factory settings and is refused for a used DevNonce.',
                'Forget',
                () => forgetNonces(d),
              )
            : nothing
        }
        ${row('Delete', 'Device, keys, session and queue. Cannot be undone.', 'Delete', () => remove(d), true)}
      </ul>
    </section>
  </div>`;
}
