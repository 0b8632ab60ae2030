package backfill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge/httpclient"
	"lorawand/bridge/upstream/record"
	"lorawand/bridge/v3"
)

const (
	requestTimeout = 30 * time.Second
	maxAnswer      = 64 << 10 // bytes of a body
	maxDevices     = 256      // whose being there is remembered
	remembered     = 10 * time.Minute
	longestRetry   = 10 * time.Minute // that a server may ask for
)

var (
	// errElsewhere says that the server does not have the device.
	errElsewhere = errors.New("the device is not there")
	// errRefused says that the server will never take the message.
	errRefused = errors.New("refused")
	// errServer says that the server has a fault of its own, and says so in its own words.
	errServer = errors.New("fault of the server")
	// errUnanswered says that a message was posted, and no answer has come: the server may have
	// taken it.
	errUnanswered = errors.New("no answer")
)

// pauseError says when the server wants to be asked again.
type pauseError struct {
	error
	pause time.Duration
}

// api is a connection to the server.
type api struct {
	o    *Options
	conn *httpclient.Conn
	key  string
	pace func(context.Context) error // waits until the next request may be made
}

// connect opens a connection.
func connect(ctx context.Context, o *Options, pace func(context.Context) error) (*api, error) {
	key, err := o.Key()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	nc, err := o.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return &api{o, httpclient.New(nc), key, pace}, nil
}

func (a *api) close() { a.conn.Close() }

// do makes a request for a device. sent is that of httpclient.Conn.Do.
func (a *api) do(ctx context.Context, method, path string, body []byte) (
	answer httpclient.Answer, sent bool, err error,
) {
	to := *a.o.URL
	to.Path = path
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return answer, false, err
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	req.Header.Set("User-Agent", a.o.Agent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := a.pace(ctx); err != nil {
		return answer, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return a.conn.Do(ctx, req, maxAnswer)
}

// pathOf returns the path of a device. Applications and devices have ids without characters
// that mean something in a path.
func pathOf(m *v3.Message) string {
	return "/api/v3/as/applications/" + url.PathEscape(m.Application) + "/devices/" + url.PathEscape(m.Device)
}

// device asks for the device of a message. The server answers a post for a device that it
// does not have with 200, as of 3.32.1, so that would be lost without a word. eui is "" where
// the device has none.
func (a *api) device(ctx context.Context, m *v3.Message) (eui string, err error) {
	answer, _, err := a.do(ctx, http.MethodGet, pathOf(m), nil)
	switch {
	case err != nil:
		return "", err
	case answer.Code == http.StatusNotFound && isNotFound(answer.Body):
		return "", errElsewhere
	case answer.Code != http.StatusOK:
		return "", faultOf(&answer)
	}
	var d struct {
		IDs struct {
			DeviceID string `json:"device_id"`
			DevEUI   string `json:"dev_eui"`
		} `json:"ids"`
	}
	if err := json.Unmarshal(answer.Body, &d); err != nil || d.IDs.DeviceID != m.Device {
		return "", errors.New("the server answers, but not as The Things Stack does: look at the url")
	}
	return d.IDs.DevEUI, nil
}

// simulate posts a message. Without an error the server has taken it.
func (a *api) simulate(ctx context.Context, m *v3.Message) error {
	ids, _ := record.IDs(m, record.Backfill)
	answer, sent, err := a.do(ctx, http.MethodPost, pathOf(m)+"/up/simulate", record.Marked(m.Payload, ids))
	switch {
	case err != nil && sent:
		return fmt.Errorf("%w: %w", errUnanswered, err)
	case err != nil:
		return err
	}
	switch answer.Code {
	case http.StatusOK:
		if !bytes.HasPrefix(bytes.TrimSpace(answer.Body), []byte("{")) {
			return errors.New("the server answers 200, but not as The Things Stack does: look at the url")
		}
		return nil
	case http.StatusNotFound:
		if isNotFound(answer.Body) {
			return errElsewhere
		}
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: %w", errRefused, faultOf(&answer))
	case http.StatusInternalServerError:
		var f failure
		if json.Unmarshal(answer.Body, &f) == nil && strings.HasPrefix(f.Message, "error:") {
			return fmt.Errorf("%w: %w", errServer, faultOf(&answer))
		}
	}
	return faultOf(&answer)
}

// failure is the body of an answer that is an error.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// codeNotFound is that of gRPC.
const codeNotFound = 5

// isNotFound reports whether an answer says that a device is not there. "Not Found" alone is
// said of a path that the server does not have.
func isNotFound(body []byte) bool {
	var f failure
	return json.Unmarshal(body, &f) == nil && f.Code == codeNotFound && strings.HasPrefix(f.Message, "error:")
}

// faultOf makes an error of an answer that is none of those that are expected.
func faultOf(a *httpclient.Answer) error {
	const longest = 200
	err := fmt.Errorf("the server answers %.40s", a.Status)
	var f failure
	if json.Unmarshal(a.Body, &f) == nil && f.Message != "" {
		err = fmt.Errorf("%w: %.*q", err, longest, f.Message)
	}
	// x-rate-limit-retry is of The Things Stack.
	for _, name := range []string{"Retry-After", "X-Rate-Limit-Retry"} {
		if s, e := strconv.ParseUint(a.Header.Get(name), 10, 31); e == nil && s > 0 {
			return pauseError{err, min(time.Duration(s)*time.Second, longestRetry)}
		}
	}
	return err
}

// devices remembers which devices the server has. It belongs to the sender.
type devices struct{ of map[device]known }

type device struct{ application, device string }

type known struct {
	is    bool
	until time.Time
}

// has reports whether the server has the device of a message: one with the same ids, and the
// same DevEUI where both have one.
func (d *devices) has(ctx context.Context, a *api, m *v3.Message) (bool, error) {
	id := device{m.Application, m.Device}
	if k, ok := d.of[id]; ok && time.Now().Before(k.until) {
		return k.is, nil
	}
	eui, err := a.device(ctx, m)
	if err != nil && !errors.Is(err, errElsewhere) {
		return false, err
	}
	ours := record.DevEUI(m)
	is := err == nil && (eui == "" || ours == "" || strings.EqualFold(eui, ours))
	if len(d.of) >= maxDevices {
		clear(d.of)
	}
	d.of[id] = known{is, time.Now().Add(remembered)}
	return is, nil
}

func (d *devices) forget(m *v3.Message) { delete(d.of, device{m.Application, m.Device}) }
