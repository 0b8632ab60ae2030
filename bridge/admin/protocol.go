package admin

import (
	"bytes"
	"encoding/json"
	"fmt"

	"lorawand/bridge/admin/strict"
)

// The control socket's protocol. A connection carries one request, which is one
// line of JSON:
//
//	{"version":1,"op":"events","args":{"follow":true}}
//
// and its answer, lines of JSON: one for each part, and one at the end that
// says how it went.
//
//	{"data":…}
//	{"end":true}  or  {"error":"…"}
//
// The text of an error has a line for each fault. If the connection closes before
// the last line comes, the client does not know whether the operation succeeded.

// protocolVersion is checked, so that a command of another release does not
// misunderstand the daemon that still runs.
const protocolVersion = 1

type request struct {
	Version int             `json:"version"`
	Op      string          `json:"op"`
	Args    json.RawMessage `json:"args,omitempty"`
}

type response struct {
	Data  json.RawMessage `json:"data,omitempty"`
	Error string          `json:"error,omitempty"`
	End   bool            `json:"end,omitempty"`
}

func parseRequest(line []byte) (request, error) {
	var r request
	if err := strict.Unmarshal(line, &r); err != nil {
		return request{}, fmt.Errorf("not a request: %w", err)
	}
	if r.Version != protocolVersion {
		return request{}, fmt.Errorf("the command speaks version %d of the control protocol, the daemon %d: "+
			"restart the daemon after an update", r.Version, protocolVersion)
	}
	return r, nil
}

// encode returns v as one line of JSON, without the escapes that only HTML
// needs.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
