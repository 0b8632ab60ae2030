//go:build !small

package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/registry"
	"lorawand/bridge/admin/sharing"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
)

// Codes of gRPC (google.golang.org/grpc/codes).
const (
	codeUnknown            = 2
	codeInvalidArgument    = 3
	codeDeadlineExceeded   = 4
	codeNotFound           = 5
	codeAlreadyExists      = 6
	codePermissionDenied   = 7
	codeResourceExhausted  = 8
	codeFailedPrecondition = 9
	codeAborted            = 10
	codeUnimplemented      = 12
	codeUnavailable        = 14
	codeUnauthenticated    = 16
)

// statuses are those of HTTP for the codes, as the gateway of gRPC has them
// (grpc-gateway/runtime/errors.go); 500 is for all others.
var statuses = map[int]int{
	codeInvalidArgument: 400, codeFailedPrecondition: 400, codeUnauthenticated: 401, codePermissionDenied: 403,
	codeNotFound: 404, codeAlreadyExists: 409, codeAborted: 409, codeResourceExhausted: 429, codeUnimplemented: 501,
	codeUnavailable: 503, codeDeadlineExceeded: 504,
}

// plainError is an error without details.
type plainError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error implements error.
func (e *plainError) Error() string { return e.Message }

func plain(code int, message string) error { return &plainError{code, message} }

// refuse answers with an error.
func (c *call) refuse(err error) {
	var body []byte
	code := codeUnknown
	switch e := c.explain(err).(type) {
	case *v3.Error:
		own := *e
		if own.CorrelationID == "" {
			var entropy [16]byte
			_, _ = rand.Read(entropy[:])
			own.CorrelationID = v3.ErrorCorrelationID(entropy)
		}
		code, body = own.Code, own.AppendStatus(nil)
		if code == codeUnauthenticated {
			c.w.Header().Set("WWW-Authenticate", "Bearer")
		}
	case *plainError:
		code = e.Code
		body, _ = json.Marshal(e)
	}
	status, ok := statuses[code]
	if !ok {
		status = http.StatusInternalServerError
	}
	c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body)
}

// explain returns a *v3.Error or a *plainError for what went wrong.
func (c *call) explain(err error) error {
	var (
		e     *v3.Error
		p     *plainError
		taken *registry.TakenError
	)
	switch {
	case errors.As(err, &e):
		if e.Name == "decode_downlinks" {
			return plain(e.Code, e.Error())
		}
		return e
	case errors.As(err, &p):
		return p
	case errors.As(err, &taken):
		return eUIsTaken(taken)
	case errors.Is(err, state.ErrNoDevice):
		return c.noDevice()
	case errors.Is(err, admin.ErrApplication):
		return noRights(c.scope())
	case errors.Is(err, admin.ErrRights):
		return insufficient("application", c.params["a"], access.All)
	case errors.Is(err, registry.ErrTaken), errors.Is(err, state.ErrRegistered):
		return &v3.Error{
			Namespace: "pkg/util/store", Name: "id_taken", Code: codeAlreadyExists,
			MessageFormat: "ID already taken, choose a different one and try again",
			Cause: &v3.Error{
				Namespace: "pkg/util/store", Name: "already_exists", MessageFormat: "already exists",
				Code: codeAlreadyExists,
			},
		}
	case errors.Is(err, session.ErrExists), errors.Is(err, session.ErrTwin):
		return plain(codeAlreadyExists, err.Error())
	case errors.Is(err, registry.ErrTooMany), errors.Is(err, session.ErrFull), errors.Is(err, sharing.ErrBusy):
		return plain(codeResourceExhausted, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return plain(codeDeadlineExceeded, err.Error())
	case errors.Is(err, context.Canceled):
		return plain(codeUnavailable, err.Error())
	case c.r.Method == http.MethodGet:
		return plain(codeUnknown, err.Error())
	}
	return plain(codeInvalidArgument, err.Error())
}

func attribute(name, text string) v3.Attribute { return v3.Attribute{Name: name, Text: text} }

// noRights says that a client has no key of the application or gateway.
func noRights(kind, id string) error {
	return &v3.Error{
		Namespace: "pkg/auth/rights", Name: "no_" + kind + "_rights", Code: codePermissionDenied,
		MessageFormat: "no rights for " + kind + " `{uid}`", Attributes: []v3.Attribute{attribute("uid", id)},
	}
}

// insufficient says which rights the key lacks.
func insufficient(kind, id string, missing access.Rights) error {
	names := missingNames(missing)
	if missing == access.All {
		names = []string{"RIGHT_APPLICATION_DEVICES_READ_KEYS"}
	}
	return &v3.Error{
		Namespace: "pkg/auth/rights", Name: "insufficient_" + kind + "_rights", Code: codePermissionDenied,
		MessageFormat: "insufficient rights for " + kind + " `{uid}`",
		Attributes:    []v3.Attribute{{Name: "missing", List: names}, attribute("uid", id)},
	}
}

func invalidToken() error {
	return &v3.Error{Namespace: "pkg/auth", Name: "token", MessageFormat: "invalid token", Code: codeInvalidArgument}
}

func unsupportedAuthorization() error {
	return &v3.Error{
		Namespace: "pkg/identityserver", Name: "unsupported_authorization", Code: codeUnauthenticated,
		MessageFormat: "unsupported authorization method",
	}
}

func invalidAuthorization() error {
	return &v3.Error{
		Namespace: "pkg/identityserver", Name: "invalid_authorization", Code: codeUnauthenticated,
		MessageFormat: "invalid authorization",
	}
}

func keyExpired() error {
	return &v3.Error{
		Namespace: "pkg/identityserver", Name: "token_expired", MessageFormat: "token expired", Code: codeUnauthenticated,
	}
}

func keyNotFound(id string) error {
	return &v3.Error{
		Namespace: "pkg/identityserver", Name: "api_key_not_found", MessageFormat: "API key not found",
		Code: codeUnauthenticated,
		Cause: &v3.Error{
			Namespace: "pkg/identityserver/store", Name: "api_key_not_found", Code: codeNotFound,
			MessageFormat: "api key with id `{api_key_id}` not found", Attributes: []v3.Attribute{attribute("api_key_id", id)},
		},
	}
}

// noDevice says in the words of the registry that was asked that there is no device.
func (c *call) noDevice() error {
	e := &v3.Error{Name: "device_not_found", MessageFormat: "device not found", Code: codeNotFound}
	switch in := c.registry(); in {
	case "ns", "as":
		if c.r.Method == http.MethodGet {
			e.Namespace, e.Name, e.MessageFormat = "pkg/redis", "not_found", "entity not found"
			return e
		}
		if in == "ns" {
			e.Namespace = "pkg/networkserver"
			return e
		}
		return v3.DeviceNotFound(session.ID{Application: c.params["a"], Device: c.params["d"]})
	case "js":
		e.Namespace = "pkg/joinserver"
	default:
		e.Namespace, e.Name = "pkg/identityserver/store", "end_device_not_found"
		e.MessageFormat = "end device with id `{device_id}` not found in application with id `{application_id}`"
		e.Attributes = []v3.Attribute{attribute("application_id", c.params["a"]), attribute("device_id", c.params["d"])}
	}
	return e
}

// eUIsTaken names the other device where it is one of the same application.
func eUIsTaken(taken *registry.TakenError) error {
	e := &v3.Error{
		Namespace: "pkg/identityserver", Name: "end_device_euis_taken", Code: codeAlreadyExists,
		MessageFormat: "an end device with JoinEUI `{join_eui}` and DevEUI `{dev_eui}` is already registered",
		Attributes:    []v3.Attribute{attribute("dev_eui", taken.DevEUI), attribute("join_eui", taken.JoinEUI)},
	}
	if taken.Device != (session.ID{}) {
		e.MessageFormat += " as `{device_id}` in application `{application_id}`"
		e.Attributes = []v3.Attribute{
			attribute("application_id", taken.Device.Application), e.Attributes[0],
			attribute("device_id", taken.Device.Device), e.Attributes[1],
		}
	}
	return e
}

// forbiddenPaths says that a field mask has paths that do not exist.
func forbiddenPaths(paths []string) error {
	return &v3.Error{
		Namespace: "pkg/rpcmiddleware/validator", Name: "field_mask_paths", Code: codeInvalidArgument,
		MessageFormat: "forbidden path(s) in field mask", Attributes: []v3.Attribute{{Name: "forbidden_paths", List: paths}},
	}
}
