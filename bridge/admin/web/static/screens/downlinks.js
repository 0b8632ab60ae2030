// Sending to a device, what waits, and what became of what was sent.
import {html, nothing, icon, when, ask, fault, field, hex, select, state} from '../ui.js';
import {redraw, say} from '../state.js';
import {cleanHex, isHex, plural, safe, span, toBase64, utf8Hex} from '../text.js';
import {op, refresh} from '../api.js';

const PRIORITIES = ['LOWEST', 'LOW', 'BELOW_NORMAL', 'NORMAL', 'ABOVE_NORMAL', 'HIGH', 'HIGHEST'].map((p) => [p, p]);
const MODES = {
  hex: ['Bytes (hex)', 'Payload, hexadecimal', 'FF 1D 21 00 00'],
  json: ['Values (JSON)', "decoded_payload, for the formatter's encodeDownlink", '{"valve_1": "open"}'],
  text: ['Text', 'Text (UTF-8)', 'on'],
};

const forms = new Map();
const open = new Set();

function formOf(d) {
  if (!forms.has(d.key)) {
    forms.set(d.key, {mode: 'hex', text: '', port: d.last?.port || 1, confirmed: false, priority: 'NORMAL', error: ''});
  }
  return forms.get(d.key);
}

/** The payload of an item, or why it is none. */
function payloadOf(f) {
  if (f.mode === 'text') return {frm_payload: toBase64(utf8Hex(f.text))};
  if (f.mode === 'hex') {
    const bytes = cleanHex(f.text);
    return isHex(bytes) ? {frm_payload: toBase64(bytes)} : {error: 'Pairs of the digits 0 to 9 and A to F are needed.'};
  }
  try {
    return {decoded_payload: JSON.parse(f.text)};
  } catch (e) {
    return {error: `This is no JSON: ${e.message}`};
  }
}

async function send(e, d) {
  e.preventDefault();
  const f = formOf(d);
  const {error, ...payload} = payloadOf(f);
  f.error = error ?? (f.text ? '' : 'Nothing is written.');
  if (f.error) return redraw();
  const item = {f_port: f.port, confirmed: f.confirmed, priority: f.priority, ...payload};
  const {error: refused} = await op('downlink.push', {
    application_id: d.app,
    device_id: d.id,
    body: {downlinks: [item]},
  });
  f.error = refused ?? '';
  if (!refused) {
    f.text = '';
    say('Queued.');
  }
  refresh(d);
}

function whenItGoes(d) {
  if (d.cls === 'C') return 'Class C: it listens always, so this goes out at once.';
  if (!d.last) return 'It goes out after the first frame of the device.';
  if (!d.every) return 'Class A: it listens only after it has sent.';
  const next = d.last.at + d.every - Date.now();
  const time = next > 0 ? `That is in about ${span(next)}.` : `Its next frame is overdue by ${span(-next)}.`;
  return `Class A: it listens only after it has sent. ${time}`;
}

function modes(f) {
  const change = (mode) => () => {
    Object.assign(f, {mode, error: ''});
    redraw();
  };
  return html`<div class="seg" role="radiogroup" aria-label="Form">
    ${Object.entries(MODES).map(
      ([k, [word]]) =>
        html`<label
          ><input type="radio" name="mode" value=${k} .checked=${f.mode === k} @change=${change(k)} /><span
            >${word}</span
          ></label
        >`,
    )}
  </div>`;
}

function payloadField(f) {
  const [, label, placeholder] = MODES[f.mode];
  const typed = (e) => {
    f.text = e.target.value;
    f.error = f.mode === 'hex' ? (payloadOf(f).error ?? '') : '';
    redraw();
  };
  const n = Math.floor(cleanHex(f.text).length / 2);
  return field(
    label,
    html`<textarea
        rows="3"
        name="payload"
        class="mono"
        spellcheck="false"
        aria-invalid=${f.error ? 'true' : 'false'}
        placeholder=${placeholder}
        .value=${f.text}
        @input=${typed}
      ></textarea
      >${fault(f.error)}`,
    f.mode === 'hex' && n ? plural(n, 'byte') : nothing,
  );
}

function sendForm(d) {
  const f = formOf(d);
  const set = (k, v) => {
    f[k] = v;
    redraw();
  };
  const port = html`<input
    type="number"
    name="port"
    min="1"
    max="223"
    required
    .value=${String(f.port)}
    @change=${(e) => set('port', Number(e.target.value))}
  />`;
  return html`<form class="card form" @submit=${(e) => send(e, d)}>
    <h2>Send</h2>
    ${modes(f)} ${payloadField(f)}
    <div class="g2">
      ${field('Port', port, '1 to 223')}
      ${field(
        'Priority',
        select(PRIORITIES, f.priority, (e) => set('priority', e.target.value), {name: 'priority'}),
      )}
    </div>
    <label class="check">
      <input
        type="checkbox"
        name="confirmed"
        .checked=${f.confirmed}
        @change=${(e) => set('confirmed', e.target.checked)}
      />
      Ask the device to acknowledge it
    </label>
    <p class="small muted">${whenItGoes(d)}</p>
    <p class="acts"><button class="btn primary">Send</button></p>
  </form>`;
}

const clearQueue = (d, n) =>
  ask({
    title: 'Clear the queue?',
    text: html`<p>${plural(n, 'downlink')} of ${safe(d.id)} are taken out and not sent.</p>`,
    yes: 'Clear the queue',
    danger: true,
    done: async () => {
      const {error} = await op('downlink.push', {
        application_id: d.app,
        device_id: d.id,
        replace: true,
        body: {downlinks: []},
      });
      say(error ?? 'Queue cleared.');
      refresh(d);
    },
  });

function queued(q, i) {
  return html`<li>
    <span class="n">${i + 1}</span>
    <span class="grow">
      <span class="q1">
        ${hex(q.payload)} <span class="muted">port ${q.port}</span>
        ${q.confirmed ? html`<span class="tag">confirmed</span>` : nothing}
        ${q.priority && q.priority !== 'NORMAL' ? html`<span class="tag">${safe(q.priority)}</span>` : nothing}
      </span>
      <span class="small">
        ${q.text ? html`${safe(q.text)}. ` : nothing}<span class="muted">${safe(q.why)}</span>
      </span>
    </span>
  </li>`;
}

function queueCard(d, queue) {
  return html`<section class="card">
    <div class="ch">
      <h2>Queue</h2>
      ${
        queue.length
          ? html`<button type="button" class="btn quiet" @click=${() => clearQueue(d, queue.length)}>Clear</button>`
          : nothing
      }
    </div>
    ${
      queue.length
        ? html`<ol class="queue">
            ${queue.map(queued)}
          </ol>`
        : html`<p class="muted">
            Nothing waits. What you send, or what a client pushes over MQTT, stands here until it goes out.
          </p>`
    }
  </section>`;
}

const STEPS = {pushed: 'Pushed', sent: 'Sent', ack: 'Acknowledged', nack: 'Not acknowledged', failed: 'Failed'};

/** A step of what happened: [kind, what, more, chosen]. */
function step([kind, what, rest, chosen]) {
  const good = kind === 'window' ? chosen : kind !== 'nack' && kind !== 'failed';
  const word = kind === 'window' ? (chosen ? 'Chosen' : 'Not taken') : STEPS[kind];
  return html`<li class=${good ? 'yes' : 'no'}>
    ${icon(good ? 'check' : 'cross')}
    <span><b>${word}</b> ${safe(what)}${rest ? html`<span class="muted">: ${safe(rest)}</span>` : nothing}</span>
  </li>`;
}

function outcome(o) {
  const isOpen = open.has(o.id);
  const toggle = () => {
    open[isOpen ? 'delete' : 'add'](o.id);
    redraw();
  };
  return html`<li>
    <div class="oh">
      <button type="button" class="exp" aria-expanded=${isOpen ? 'true' : 'false'} aria-label="Why" @click=${toggle}>
        ${icon('chevron')}
      </button>
      <span class="grow"
        >${state(o.tone, safe(o.said))}<span class="small sub">
          ${hex(o.payload)} port ${o.port}${o.text ? `, ${safe(o.text)}` : nothing}
        </span></span
      >
      <span class="small">${when(o.at)}</span>
    </div>
    ${
      isOpen
        ? html`<ol class="why">
            ${o.steps.map(step)}
          </ol>`
        : nothing
    }
    ${isOpen && o.todo ? html`<p class="todo small"><b>What to do:</b> ${safe(o.todo)}</p>` : nothing}
  </li>`;
}

function outcomeCard(outcomes) {
  return html`<section class="card">
    <h2>What became of them</h2>
    ${
      outcomes.length
        ? html`<ul class="outcomes">
            ${outcomes.map(outcome)}
          </ul>`
        : html`<p class="muted">Nothing was sent since the start.</p>`
    }
  </section>`;
}

/** On a phone what waits comes before the form: it is asked for more often. */
export function downlinks(d, {queue, outcomes}) {
  const phone = matchMedia('(max-width: 900px)').matches;
  const form = sendForm(d);
  const first = phone && queue.length > 0;
  return html`<div class="two side-form">
    ${first ? nothing : form}
    <div class="col">${queueCard(d, queue)}${first ? form : nothing}${outcomeCard(outcomes)}</div>
  </div>`;
}
