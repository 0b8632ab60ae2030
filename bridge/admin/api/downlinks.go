//go:build !small

package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"lorawand/bridge/admin"
	"lorawand/bridge/session"
)

// do carries out an operation for the client.
func (c *call) do(op string, args any, each func(json.RawMessage) error) error {
	return c.api.o.Admin.CallAs(c.r.Context(), c.who, op, args, each)
}

func (c *call) device() admin.DeviceArgs {
	return admin.DeviceArgs{Application: c.params["a"], Device: c.params["d"]}
}

// answer sends a value as JSON.
func (c *call) answer(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	body := bytes.TrimRight(b.Bytes(), "\n")
	c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = c.w.Write(body)
	return nil
}

// answerList sends an object with a list of JSON values, which may be long, without a copy of them.
func (c *call) answerList(name string, values []json.RawMessage) {
	begin, end := `{"`+name+`":[`, "]}"
	n := len(begin) + len(end) + max(0, len(values)-1)
	for _, v := range values {
		n += len(v)
	}
	c.w.Header().Set("Content-Length", strconv.Itoa(n))
	_, _ = io.WriteString(c.w, begin)
	for i, v := range values {
		if i > 0 {
			_, _ = io.WriteString(c.w, ",")
		}
		if _, err := c.w.Write(v); err != nil {
			return // the client is gone
		}
	}
	_, _ = io.WriteString(c.w, end)
}

// nothing answers with an empty object.
func (c *call) nothing() error { return c.answer(struct{}{}) }

// body reads the body. Only one long body is held at a time: release, which is never
// nil, frees that place. An empty body is an empty object.
func (c *call) body() (body []byte, release func(), err error) {
	release = func() {}
	in := http.MaxBytesReader(c.w, c.r.Body, maxBigBody)
	body, err = io.ReadAll(io.LimitReader(in, maxBody+1))
	if err == nil && len(body) > maxBody {
		select {
		case c.api.big <- struct{}{}:
			release = func() { <-c.api.big }
		default:
			return nil, release, plain(codeResourceExhausted, "another large request is at work; try again")
		}
		var rest []byte
		rest, err = io.ReadAll(in)
		body = append(body, rest...)
	}
	c.share(len(body))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, release, plain(codeResourceExhausted, "the body is longer than "+strconv.Itoa(maxBigBody)+" bytes")
	case err != nil:
		return nil, release, plain(codeInvalidArgument, "the body did not come")
	case len(bytes.TrimSpace(body)) == 0:
		return []byte("{}"), release, nil
	case !json.Valid(body):
		return nil, release, plain(codeInvalidArgument, fault(body))
	}
	return body, release, nil
}

// fault says what is wrong with a text that is not JSON, as The Things Stack does.
func fault(body []byte) string {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err.Error()
	}
	return ""
}

func (c *call) push() error    { return c.downlink(false) }
func (c *call) replace() error { return c.downlink(true) }

func (c *call) downlink(replace bool) error {
	body, release, err := c.body()
	defer release()
	if err != nil {
		return err
	}
	if id := c.device(); session.CheckID(id.Device) != nil {
		return c.noDevice()
	}
	args := admin.PushArgs{DeviceArgs: c.device(), Replace: replace, Body: body}
	if err := c.do("downlink.push", args, func(json.RawMessage) error { return nil }); err != nil {
		return err
	}
	return c.nothing()
}

// downlinks answers with the queue: what is on its way out, and what waits.
func (c *call) downlinks() error {
	var queue []json.RawMessage
	err := c.do("downlink.list", c.device(), func(raw json.RawMessage) error {
		var d admin.Downlink
		if err := json.Unmarshal(raw, &d); err != nil {
			return err
		}
		if d.State != "awaiting_ack" {
			queue = append(queue, d.Downlink)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(queue) == 0 {
		return c.nothing()
	}
	c.answerList("downlinks", queue)
	return nil
}

// simulate publishes a message that the client has made up.
func (c *call) simulate() error {
	body, release, err := c.body()
	defer release()
	if err != nil {
		return err
	}
	args := admin.SimulateArgs{DeviceArgs: c.device(), Body: body}
	if err := c.do("uplink.simulate", args, func(json.RawMessage) error { return nil }); err != nil {
		return err
	}
	return c.nothing()
}
