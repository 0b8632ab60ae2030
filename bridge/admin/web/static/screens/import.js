// Importing devices: a preview by a dry run, then all or none.
import {html, nothing, table, field, state, hex} from '../ui.js';
import {S, firstApp, owner, redraw, say} from '../state.js';
import {plural, safe} from '../text.js';
import {post, soon} from '../api.js';

const view = {file: '', text: '', app: '', update: false, answer: null, error: '', busy: false};

/** What an import of the file does; preview changes nothing. */
async function send(preview) {
  view.busy = true;
  redraw();
  const args = {application_id: view.app, text: view.text, update: view.update, dry_run: preview};
  const answer = await post('import', args);
  Object.assign(view, {busy: false, error: answer.rows ? '' : (answer.error ?? ''), answer});
  redraw();
  return answer;
}

async function chosen(e) {
  const [file] = e.target.files;
  if (!file) return;
  view.file = file.name;
  view.text = await file.text();
  send(true);
}

async function take() {
  const {done, new: added, replaced} = await send(false);
  if (!done) return;
  Object.assign(view, {file: '', text: '', answer: null});
  say(`${plural(added + replaced, 'device')} imported.`);
  soon();
  location.hash = '#/devices';
}

const WORDS = {new: 'new', there: 'there already', replaced: 'replaced', refused: 'refused'};
const COLS = [
  {label: 'Result', cls: 'c-state', cell: (r) => state(r.tone, WORDS[r.result])},
  {label: 'Device', cls: 'c-main', cell: (r) => html`<span class="app">${safe(r.app)}/</span>${safe(r.id)}`},
  {label: 'DevEUI', cell: (r) => hex(r.devEUI)},
  {label: 'What happens', cell: (r) => safe(r.text)},
];

function preview({rows, new: added, replaced, there, refused}) {
  const good = added + replaced;
  const replace = (e) => {
    view.update = e.target.checked;
    send(true);
  };
  const counts = [
    `${added} new`,
    replaced && `${replaced} replaced`,
    there && `${there} there already`,
    refused && `${refused} refused`,
  ];
  return html`<section class="card flush">
    <div class="ch pad">
      <h2>Preview of ${safe(view.file)}</h2>
      <span class="small muted">${counts.filter(Boolean).join(', ')}</span>
    </div>
    ${table({label: 'Preview', rows, key: (r) => r.line, cls: 'import', cols: COLS})}
    <p class="acts pad">
      <label class="check"
        ><input type="checkbox" .checked=${view.update} @change=${replace} /> Replace devices that are there</label
      >
      <button type="button" class="btn primary" ?disabled=${view.busy || !good || refused} @click=${take}>
        Import ${plural(good, 'device')}
      </button>
      ${
        refused
          ? html`<span class="small muted">All or none: take what is refused out of the file first.</span>`
          : nothing
      }
    </p>
  </section>`;
}

export function importDevices() {
  view.app = S.scope || view.app || firstApp();
  const app = (e) => {
    view.app = e.target.value.trim();
    if (view.text) send(true);
  };
  return html`<div class="head"><h1 tabindex="-1">Import devices</h1></div>
    <section class="card form">
      <p>
        Takes the JSON of <code>ttn-lw-cli end-devices get … --all</code>, the CSV export of The Things Stack, and plain
        CSV. Nothing is changed before you have seen what would happen.
      </p>
      <div class="g2">
        ${field('File', html`<input type="file" name="file" accept=".json,.csv,.txt" @change=${chosen} />`)}
        ${field(
          'Application',
          html`<input name="app" .value=${view.app} ?readonly=${!owner()} autocomplete="off" @change=${app} />`,
          'For devices whose file names none.',
        )}
      </div>
      ${view.error ? html`<p class="err box">${safe(view.error)}</p>` : nothing}
    </section>
    ${view.answer?.rows?.length ? preview(view.answer) : nothing}`;
}
