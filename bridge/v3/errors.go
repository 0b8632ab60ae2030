package v3

import (
	"strconv"
	"strings"
	"time"

	"lorawand/bridge/jsontext"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// Error is the reason for refusing a downlink or for its failure, in the form of
// The Things Stack. Where The Things Stack has such an error, package, name and
// text are its own; the other errors have the namespace "lorawand".
//
// Source: ErrorDetails, api/ttn/lorawan/v3/error.proto of v3.32.
type Error struct {
	Namespace     string
	Name          string
	MessageFormat string      // {name} in it stands for an attribute
	Attributes    []Attribute // sorted by name
	CorrelationID string      // see ErrorCorrelationID; empty: none
	Cause         *Error      // nil: none
	Code          int         // of gRPC
}

// Attribute is a value that belongs to an Error.
type Attribute struct {
	Name   string
	Text   string
	Number int64
	// Numeric says that the value is Number and not Text. The Things Stack writes
	// some numbers as text.
	Numeric bool
	List    []string // is the value, if there is one
}

// Namespaces of errors: the packages of The Things Stack, and the one of lorawand.
const (
	applicationServer = "pkg/applicationserver"
	networkServer     = "pkg/networkserver"
	messageProcessors = "pkg/messageprocessors"
	stackErrors       = "pkg/errors"
	ours              = "lorawand"
)

// Codes of gRPC (google.golang.org/grpc/codes).
const (
	codeUnknown            = 2
	codeInvalidArgument    = 3
	codeNotFound           = 5
	codeResourceExhausted  = 8
	codeFailedPrecondition = 9
	codeAborted            = 10
	codeUnimplemented      = 12
	codeUnavailable        = 14
)

// message returns the text with its attributes.
func (e *Error) message() string {
	msg := e.MessageFormat
	for _, a := range e.Attributes {
		msg = strings.ReplaceAll(msg, "{"+a.Name+"}", a.String())
	}
	return msg
}

// Error returns the text in one line, with its attributes and the name.
func (e *Error) Error() string {
	msg := e.message()
	if e.Cause != nil {
		msg += ": " + e.Cause.Error()
	}
	return strings.Map(printable, msg) + " (" + e.Name + ")"
}

func printable(r rune) rune {
	if strconv.IsPrint(r) {
		return r
	}
	return ' '
}

// Is reports whether two errors have the same name. It ignores the attributes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && e.Namespace == t.Namespace && e.Name == t.Name
}

// String returns the value as text.
func (a Attribute) String() string {
	switch {
	case a.Numeric:
		return strconv.FormatInt(a.Number, 10)
	case a.List != nil:
		return strings.Join(a.List, ", ")
	}
	return a.Text
}

func attribute(name, v string) Attribute { return Attribute{Name: name, Text: v} }

func numeric(name string, v int) Attribute {
	return Attribute{Name: name, Number: int64(v), Numeric: true}
}

func newError(namespace, name string, code int, format string, attributes ...Attribute) *Error {
	return &Error{Namespace: namespace, Name: name, MessageFormat: format, Attributes: attributes, Code: code}
}

// NoDeviceSession says that the device has not joined.
func NoDeviceSession() *Error {
	return newError(applicationServer, "no_device_session", codeFailedPrecondition,
		"no device session; check device activation")
}

// DeviceNotFound says that the application has no such device.
func DeviceNotFound(id session.ID) *Error {
	return newError(applicationServer, "device_not_found", codeNotFound, "device `{device_uid}` not found",
		attribute("device_uid", id.Application+"."+id.Device))
}

// NoFPort says that the FPort is missing or 0.
func NoFPort() *Error {
	return newError(applicationServer, "no_f_port", codeInvalidArgument, "no FPort")
}

// NoPayload says that there is neither frm_payload nor decoded_payload.
func NoPayload() *Error {
	return newError(applicationServer, "no_payload", codeInvalidArgument, "no payload")
}

// FormatterNotConfigured says that an item has only decoded_payload, and the device
// has no formatter to encode it.
func FormatterNotConfigured(formatter string) *Error {
	return newError(messageProcessors, "formatter_not_configured", codeFailedPrecondition,
		"formatter `{formatter}` is not configured",
		attribute("formatter", formatter))
}

// NoFormatter says that an item has only decoded_payload, and why no formatter can
// encode it.
func NoFormatter(reason string) *Error {
	return newError(ours, "no_formatter", codeFailedPrecondition, "decoded_payload cannot be encoded: {reason}",
		attribute("reason", reason))
}

// ApplicationDownlinkTooLong says that a payload is longer than the band, or the
// receive window in turn, allows. The lengths are in bytes.
func ApplicationDownlinkTooLong(length, most int) *Error {
	return newError(networkServer, "application_downlink_too_long", codeInvalidArgument,
		"application downlink payload length `{length}` exceeds maximum '{max}'",
		numeric("length", length), attribute("max", strconv.Itoa(most)))
}

// DownlinkExpired says that the absolute time has passed, or is too close.
func DownlinkExpired() *Error {
	return newError(networkServer, "downlink_expired", codeFailedPrecondition, "queued downlink is expired")
}

// InvalidAbsoluteTime says that no gateway can send at the absolute time.
func InvalidAbsoluteTime() *Error {
	return newError(networkServer, "absolute_time", codeInvalidArgument,
		"invalid absolute time set in application downlink")
}

// InvalidFixedPaths says that none of the requested gateways can send.
func InvalidFixedPaths() *Error {
	return newError(networkServer, "fixed_paths", codeInvalidArgument, "invalid fixed paths set in application downlink")
}

// NoFreeSlot says that an item for a device of Class C could not be sent in time.
func NoFreeSlot(within time.Duration, reason string) *Error {
	return newError(ours, "no_free_slot", codeUnavailable, "no free slot within {within}: {reason}",
		attribute("reason", reason), attribute("within", within.String()))
}

// NoGPSTime says that an item for a device of Class B could not be sent: its ping slots go by
// GPS time.
func NoGPSTime() *Error {
	return newError(ours, "no_gps_time", codeUnavailable,
		"no gateway that can reach the device has GPS time, by which its ping slots are reckoned")
}

// NoDownlinkPath says that nobody has said by which gateways a group is to be sent to.
func NoDownlinkPath() *Error {
	return newError(networkServer, "no_downlink_path", codeNotFound, "no downlink path available")
}

// ConfirmedMulticast says that a group cannot acknowledge.
func ConfirmedMulticast() *Error {
	return newError(networkServer, "confirmed_multicast_downlink", codeInvalidArgument,
		"confirmed downlink queued for multicast device")
}

// TransmissionFailed says that the gateway has refused the frame.
func TransmissionFailed(result radio.TxResult) *Error {
	return newError(networkServer, "transmission", codeUnknown, "downlink transmission failed with result `{result}`",
		attribute("result", result.String()))
}

// MaxRetriesReached says that a confirmed downlink was sent as often as allowed and
// never acknowledged.
func MaxRetriesReached(most uint32) *Error {
	return newError(applicationServer, "max_retries_reached", codeAborted,
		"maximum number of retries ({max_retries}) reached",
		attribute("max_retries", strconv.FormatUint(uint64(most), 10)))
}

// TooManyRetries says that the application asks for more attempts than the network
// makes.
func TooManyRetries() *Error {
	return newError(applicationServer, "downlink_max_retries_invalid", codeInvalidArgument,
		"downlink maximum retries exceed configured maximum of {max}", attribute("max", strconv.Itoa(MaxRetries)))
}

// QueueFull says that the queue of the device has no room for more items.
func QueueFull() *Error {
	return newError(networkServer, "downlink_queue_capacity", codeResourceExhausted, "downlink queue capacity exceeded")
}

// QueueTooLong says that the items in the queue of the device are too long
// together, in bytes.
func QueueTooLong(most int) *Error {
	return newError(ours, "downlink_queue_size", codeResourceExhausted,
		"downlink queue of the device is longer than {max} bytes", attribute("max", strconv.Itoa(most)))
}

// QueuesTooLong says that the items in the queues of an application are too long
// together: longer than what those of all leave free of a limit, in bytes.
func QueuesTooLong(most int) *Error {
	return newError(ours, "downlink_queues_size", codeResourceExhausted,
		"downlink queues of the application take more than is free of {max} bytes for all",
		attribute("max", strconv.Itoa(most)))
}

// Invalid says that a field, such as "downlinks[0].f_port", has a forbidden value.
func Invalid(field, reason string) *Error {
	return newError(stackErrors, "validation", codeInvalidArgument, "invalid `{field}`: {reason}",
		attribute("field", field), attribute("reason", reason))
}

// NotDecoded says that the payload of a push is not JSON, or has another form than
// a push.
func NotDecoded(reason string) *Error {
	return newError(ours, "decode_downlinks", codeInvalidArgument, "decode downlink messages: {reason}",
		attribute("reason", reason))
}

// NotServed says that the device has a class or version that lorawand does not
// serve. reason is an error of session.ErrUnserved.
func NotServed(reason error) *Error {
	return newError(ours, "not_served", codeUnimplemented, "no downlinks for this device: {reason}",
		attribute("reason", reason.Error()))
}

// AppendStatus appends the Error as the HTTP API tells it: the status of gRPC with the
// Error as its only detail.
func (e *Error) AppendStatus(dst []byte) []byte {
	w := writer{b: append(dst, '{')}
	w.int("code", int64(e.Code))
	w.text("message", "error:"+e.Namespace+":"+e.Name+" ("+e.message()+")")
	w.open("details", '[')
	w.b = append(w.b, `{"@type":"type.googleapis.com/ttn.lorawan.v3.ErrorDetails"`...)
	w.errorFields(e)
	w.b = append(w.b, "}]}"...)
	return w.b
}

func (w *writer) attribute(a *Attribute) {
	switch {
	case a.Numeric:
		w.b = strconv.AppendInt(w.b, a.Number, 10)
	case a.List != nil:
		w.b = append(w.b, '[')
		for i, text := range a.List {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.b = jsontext.AppendString(w.b, text)
		}
		w.b = append(w.b, ']')
	default:
		w.b = jsontext.AppendString(w.b, a.Text)
	}
}

// error writes an Error in the form of the protobuf JSON mapping.
func (w *writer) error(n string, e *Error) {
	w.open(n, '{')
	w.errorFields(e)
	w.close('}')
}

func (w *writer) errorFields(e *Error) {
	w.text("namespace", e.Namespace)
	w.text("name", e.Name)
	w.text("message_format", e.MessageFormat)
	if len(e.Attributes) > 0 {
		w.open("attributes", '{')
		for _, a := range e.Attributes {
			w.name(a.Name)
			w.attribute(&a)
		}
		w.close('}')
	}
	w.text("correlation_id", e.CorrelationID)
	if e.Cause != nil {
		w.error("cause", e.Cause)
	}
	w.int("code", int64(e.Code))
}
