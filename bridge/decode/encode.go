package decode

import (
	"context"
	"errors"

	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// NeedsEncoding reports whether an item of a push has decoded_payload only.
func NeedsEncoding(it *session.Item) bool { return it.Decoded != nil && len(it.FRMPayload) == 0 }

// errNone is the reason for refusing a decoded_payload: an empty frame, which The
// Things Stack sends then, can be a command to a device.
func errNone(warning string) *v3.Error {
	if warning != "" {
		return v3.NoFormatter(warning)
	}
	return v3.FormatterNotConfigured("FORMATTER_NONE")
}

// Encode gives the items of a push that have decoded_payload only their frm_payload
// and f_port. It returns why the push is to be refused, or nil. It waits for the
// formatter until ctx ends.
func (d *Decoder) Encode(ctx context.Context, id session.ID, items []session.Item, f formatter.Formatter,
	warning string,
) *v3.Error {
	for i := range items {
		it := &items[i]
		if !NeedsEncoding(it) {
			continue
		}
		if f.Kind() == formatter.None {
			return errNone(warning)
		}
		res := d.o.Pool.Do(ctx, formatter.Request{
			Formatter: f, Task: formatter.EncodeDownlink, FPort: it.FPort, Data: it.Decoded,
		})
		d.report(event.FormatterLog, id, said(res.Log))
		if res.Fail != nil {
			return refusal(res.Fail)
		}
		if err := v3.SetEncoded(it, i, res.FPort, res.Bytes, res.Warnings); err != nil {
			return err
		}
	}
	return nil
}

// refusal is an error of a formatter in the form of a message.
func refusal(e *formatter.Error) *v3.Error {
	if e == nil {
		return nil
	}
	out := &v3.Error{
		Namespace: e.Namespace, Name: e.Name, MessageFormat: e.MessageFormat, Code: e.Code, Cause: refusal(e.Cause),
	}
	for _, a := range e.Attributes {
		out.Attributes = append(out.Attributes, v3.Attribute{Name: a.Name, Text: a.Text})
	}
	return out
}

// said is what a script has written with console.log; nil: nothing.
func said(lines []string) error {
	var text string
	for i, line := range lines {
		if len(text) > maxSaid {
			text += " …"
			break
		}
		if i > 0 {
			text += " | "
		}
		text += line[:min(len(line), maxSaid)]
	}
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// maxSaid is how much of it, in bytes, becomes one event.
const maxSaid = 500
