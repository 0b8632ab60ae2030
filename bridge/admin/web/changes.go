//go:build !small

package web

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"lorawand/bridge/admin"
	"lorawand/bridge/admin/web/trial"
	"lorawand/bridge/session"
	"lorawand/bridge/v3/enddevice"
)

// doors are the operations that the page may ask for by their names.
var doors = []string{
	"device.put", "device.set", "device.delete", "device.export", "device.mac", "downlink.push", "why",
	"key.create", "key.revoke", "application.set", "application.delete", trial.Operation, SetPassword, "report",
}

// confirmed are the operations for which the secret of the login has to be shown once
// more, and the member of the arguments that has it.
var confirmed = map[string]string{SetPassword: "old", "key.create": "password", "device.export": "password"}

// operate carries out an operation, with the arguments in the body.
func (c *call) operate(op string) error {
	if !slices.Contains(doors, op) {
		return errNotFound
	}
	most := int64(maxBody)
	if op == "device.put" || op == trial.Operation {
		most = maxBigBody
	}
	body, release, err := c.body(most)
	defer release()
	if err != nil {
		return err
	}
	var args map[string]json.RawMessage
	if err := json.Unmarshal(body, &args); err != nil || args == nil {
		return refused(http.StatusBadRequest, "The request must be an object of JSON.")
	}
	if name, ok := confirmed[op]; ok {
		if err := c.confirm(secretOf(args, name)); err != nil {
			return err
		}
	}
	if op == trial.Operation {
		end, ok := c.site.trials.Begin(c.session)
		if !ok {
			return errTrials
		}
		defer end()
	}
	if need, ok := c.site.o.Admin.Needs(op); ok && need.Application && c.scope() != "" && args["application_id"] == nil {
		args["application_id"], _ = json.Marshal(c.scope())
	}
	if op == "device.export" {
		c.site.log.Info("a browser has asked for keys of devices", "address", c.address(), "key_id", c.session.Key.KeyID)
	}
	c.patience(longTimeout)
	parts := []json.RawMessage{}
	err = c.do(c.r.Context(), op, args, func(raw json.RawMessage) error {
		parts = append(parts, slices.Clone(raw))
		return nil
	})
	if err != nil {
		return c.refuseWith(err, parts)
	}
	return c.answer(map[string]any{"parts": parts})
}

// refuseWith refuses with the parts of the answer that came before the error.
func (c *call) refuseWith(err error, parts []json.RawMessage) error {
	status := http.StatusBadRequest
	if errors.Is(err, admin.ErrRights) || errors.Is(err, admin.ErrApplication) {
		status = http.StatusForbidden
	}
	c.w.WriteHeader(status)
	return c.answer(map[string]any{"error": err.Error(), "parts": parts})
}

// secretOf takes a secret out of the arguments; "" is none.
func secretOf(args map[string]json.RawMessage, name string) (text string) {
	_ = json.Unmarshal(args[name], &text) // what is no text does not match
	delete(args, name)
	return text
}

// maxPassword is of the header that has the password for a restore, in bytes.
const maxPassword = 1 << 10

// restore takes the file of a backup, as it comes: it is larger than all else, and must
// not be in memory several times. The password is in a header, escaped as in a URL.
func (c *call) restore(string) error {
	header := c.r.Header.Get("X-Lorawand-Password")
	text, err := url.PathUnescape(header)
	if err != nil || len(header) > maxPassword {
		return refused(http.StatusBadRequest, "The header X-Lorawand-Password cannot be read.")
	}
	if !c.session.May("restore") {
		return admin.ErrHost
	}
	if err := c.confirm(text); err != nil {
		return err
	}
	select {
	case c.site.big <- struct{}{}:
		defer func() { <-c.site.big }()
	default:
		return errBusy
	}
	c.patience(longTimeout)
	did, err := c.site.o.Admin.RestoreFrom(c.r.Context(), http.MaxBytesReader(c.w, c.r.Body, maxBigBody))
	if err != nil {
		return refused(http.StatusBadRequest, err.Error())
	}
	return c.answer(did)
}

// backup answers with the text of a backup.
func (c *call) backup(string) error {
	body, release, err := c.body(maxLoginBody)
	defer release()
	if err != nil {
		return err
	}
	var args map[string]json.RawMessage
	_ = json.Unmarshal(body, &args) // what is no object has no password
	if err := c.confirm(secretOf(args, "password")); err != nil {
		return err
	}
	c.patience(longTimeout)
	h := c.w.Header()
	begun := false
	err = c.do(c.r.Context(), "backup", struct{}{}, func(raw json.RawMessage) error {
		var p admin.BackupPart
		if err := json.Unmarshal(raw, &p); err != nil {
			return err
		}
		if !begun {
			h.Set("Content-Type", "text/plain; charset=utf-8")
			h.Set("Content-Disposition", `attachment; filename="lorawand.backup"`)
			begun = true
		}
		_, err := c.w.Write(p.Text)
		return err
	})
	if err != nil && begun {
		panic(http.ErrAbortHandler) // a cut backup must not look like a whole one
	}
	return err
}

// importArgs are those of an import.
type importArgs struct {
	Application string `json:"application_id"`
	Text        string `json:"text"`   // the file
	Base64      string `json:"base64"` // the same, where it is no UTF-8
	Plan        string `json:"plan"`
	Version     string `json:"version"`
	Update      bool   `json:"update"`  // replace those that exist
	DryRun      bool   `json:"dry_run"` // only say what would happen
}

// importRow is what happens to a device of the file.
type importRow struct {
	Application string `json:"app"`
	ID          string `json:"id"`
	DevEUI      string `json:"devEUI"`
	Line        int    `json:"line"`
	Result      string `json:"result"` // new, there, replaced or refused
	Tone        string `json:"tone"`
	Text        string `json:"text"`
}

// importAnswer is the answer of an import.
type importAnswer struct {
	Rows     []*importRow `json:"rows"`
	Warnings []string     `json:"warnings"` // on the file as a whole
	New      int          `json:"new"`
	Replaced int          `json:"replaced"`
	There    int          `json:"there"`
	Refused  int          `json:"refused"`
	Done     bool         `json:"done"` // something was imported
}

// importDevices registers the devices of a file, or says what would happen. What is there
// stays unless update is set; if anything is refused, nothing is imported.
func (c *call) importDevices(string) error {
	body, release, err := c.body(maxBigBody)
	defer release()
	if err != nil {
		return err
	}
	var args importArgs
	if err := json.Unmarshal(body, &args); err != nil {
		return refused(http.StatusBadRequest, err.Error())
	}
	if args.Application == "" {
		args.Application = c.scope()
	}
	text := []byte(args.Text)
	if args.Base64 != "" {
		if text, err = base64.StdEncoding.DecodeString(args.Base64); err != nil {
			return refused(http.StatusBadRequest, err.Error())
		}
	}
	if err := session.CheckID(args.Application); err != nil {
		return refused(http.StatusBadRequest, "application: "+err.Error())
	}
	if s := c.scope(); s != "" && s != args.Application {
		return admin.ErrApplication
	}
	c.patience(longTimeout)
	if args.Plan == "" {
		args.Plan = c.site.o.About.Plan
	}
	options := enddevice.Options{
		Application: args.Application, Plan: args.Plan, Version: args.Version, RX1Delay: c.site.o.About.RX1Delay,
	}
	file, err := enddevice.Read(text, options)
	out := importAnswer{Rows: []*importRow{}, Warnings: append([]string{}, file.Warnings...)}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			out.Rows = append(out.Rows, &importRow{Application: args.Application, Result: "refused", Tone: "bad", Text: line})
		}
		out.Refused = len(out.Rows)
		return c.answer(out)
	}
	if err := c.importEntries(&args, file.Entries, &out); err != nil {
		return err
	}
	return c.answer(out)
}

// importEntries fills in what happens to each device: first by a dry run, and then, if
// it is wanted and nothing is refused, in earnest.
func (c *call) importEntries(args *importArgs, entries []enddevice.Entry, out *importAnswer) error {
	put := admin.PutArgs{Application: args.Application, Update: args.Update, DryRun: true}
	rows := []*importRow{} // of put.Devices
	for i := range entries {
		row := c.rowOf(&entries[i], args)
		out.Rows = append(out.Rows, row)
		if row.Result == "there" {
			continue
		}
		form := enddevice.Form{Keys: true, Session: true, RX1Delay: c.site.o.About.RX1Delay}
		raw, err := enddevice.Append(nil, entries[i].Device, form)
		if err != nil {
			return err
		}
		put.Devices, rows = append(put.Devices, raw), append(rows, row)
	}
	if err := c.put(put, rows); err != nil {
		return err
	}
	if out.count(); !args.DryRun && out.Refused == 0 && len(rows) > 0 {
		put.DryRun = false
		err := c.put(put, rows) // another client may have changed something meanwhile
		out.count()
		out.Done = err == nil && out.Refused == 0
		return err
	}
	return nil
}

// count counts the rows by their results.
func (a *importAnswer) count() {
	n := map[string]int{}
	for _, r := range a.Rows {
		n[r.Result]++
	}
	a.New, a.Replaced, a.There, a.Refused = n["new"], n["replaced"], n["there"], n["refused"]
}

// rowOf says what is known of a device of the file before it is tried.
func (c *call) rowOf(e *enddevice.Entry, args *importArgs) *importRow {
	d := e.Device
	row := &importRow{
		Application: args.Application, ID: d.ID.Device, Line: e.Line, Result: "new", Tone: "ok",
		Text: "joins when it is switched on",
	}
	if !d.DevEUI.IsZero() {
		row.DevEUI = d.DevEUI.String()
	}
	if d.Session != nil {
		row.Text = fmt.Sprintf("its session goes on at f_cnt %d", d.Session.FCntUp)
	}
	if len(e.Warnings) > 0 {
		row.Tone, row.Text = "warn", strings.Join(e.Warnings, "; ")
	}
	if _, err := c.site.o.Bridge.Device(c.r.Context(), d.ID); err == nil {
		row.Result = "replaced"
		if !args.Update {
			row.Result, row.Tone, row.Text = "there", "warn", "is left as it is; tick \"replace\" to take the file's"
		}
	}
	return row
}

// maxFaults are told by device.put, and then how many more there are.
const maxFaults = 50

// put puts devices and notes in their rows what was said of them.
func (c *call) put(args admin.PutArgs, rows []*importRow) error {
	if len(rows) == 0 {
		return nil
	}
	faults := 0
	err := c.do(c.r.Context(), "device.put", args, func(raw json.RawMessage) error {
		var p admin.PutPart
		if err := json.Unmarshal(raw, &p); err != nil {
			return err
		}
		if p.NewApplication || p.Index < 0 || p.Index >= len(rows) {
			return nil
		}
		if p.Warning != "" {
			rows[p.Index].Tone, rows[p.Index].Text = "warn", p.Warning
			return nil
		}
		last := p.Index
		if faults++; faults > maxFaults {
			last = len(rows) - 1
		}
		for _, row := range rows[p.Index : last+1] {
			row.Result, row.Tone, row.Text = "refused", "bad", p.Error
		}
		return nil
	})
	if faults > 0 && errors.Is(err, admin.ErrNothingChanged) {
		return nil // the rows say why
	}
	return err
}
