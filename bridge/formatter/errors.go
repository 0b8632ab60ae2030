package formatter

import "strings"

// Error is why a formatter gave nothing, in the form that The Things Stack
// gives it: its package, name and words where it has such an error, those of
// namespace "lorawand" where it has none.
type Error struct {
	Namespace     string
	Name          string
	MessageFormat string // attributes stand in it as {name}
	Attributes    []Attribute
	Code          int // of gRPC
	Cause         *Error
}

// Attribute is a value that belongs to an Error.
type Attribute struct{ Name, Text string }

// Namespaces: packages of The Things Stack.
const (
	inJavaScript = "pkg/messageprocessors/javascript"
	inScripting  = "pkg/scripting/javascript"
	inCayenneLPP = "pkg/messageprocessors/cayennelpp"
	inNormalized = "pkg/messageprocessors/normalizedpayload"
)

// Codes of gRPC (google.golang.org/grpc/codes).
const (
	codeUnknown            = 2
	codeInvalidArgument    = 3
	codeDeadlineExceeded   = 4
	codeResourceExhausted  = 8
	codeFailedPrecondition = 9
	codeAborted            = 10
	codeUnavailable        = 14
)

// Errors of Submit.
var (
	// ErrBusy says that as many requests wait as may.
	ErrBusy error = ours("formatter_busy", codeResourceExhausted, "payload formatters are busy")
	// ErrLate says that a request has waited for as long as it may, for others, for
	// a child to start, or for its script.
	ErrLate error = ours("formatter_late", codeDeadlineExceeded, "payload formatter was not ready in time")
	// ErrClosed says that the pool has ended.
	ErrClosed error = ours("formatter_closed", codeUnavailable, "payload formatters have ended")
	// ErrNoJavaScript says that scripts are not run here.
	ErrNoJavaScript error = ours("no_javascript", codeFailedPrecondition, noJavaScript)
)

// Error returns the message in one line, and the cause behind it.
func (e *Error) Error() string {
	msg := e.MessageFormat
	for _, a := range e.Attributes {
		msg = strings.ReplaceAll(msg, "{"+a.Name+"}", a.Text)
	}
	if e.Cause != nil {
		msg += ": " + e.Cause.Error()
	}
	return msg
}

// Is reports whether two errors have the same name, whatever their attributes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && e.Namespace == t.Namespace && e.Name == t.Name
}

func ours(name string, code int, format string) *Error {
	return &Error{Namespace: "lorawand", Name: name, Code: code, MessageFormat: format}
}

// outputErrors are the errors that the script itself gave.
func outputErrors(texts []string) *Error {
	return &Error{
		Namespace: inJavaScript, Name: "output_errors", Code: codeAborted, MessageFormat: "{errors}",
		Attributes: []Attribute{{"errors", strings.Join(texts, ", ")}},
	}
}

// outputEncoding is a value that JSON has no form for.
func outputEncoding(path, value string) *Error {
	return &Error{
		Namespace: inJavaScript, Name: "output_encoding", Code: codeInvalidArgument, MessageFormat: "{errors}",
		Attributes: []Attribute{{"errors", path + ": invalid " + value + " value"}},
	}
}

// output is a result of a form that is not allowed.
func output(cause *Error) *Error {
	e := &Error{Namespace: inJavaScript, Name: "output", Code: codeUnknown, MessageFormat: "invalid output", Cause: cause}
	if cause != nil {
		e.Code = cause.Code
	}
	return e
}

// runtimeError is a value that cannot be taken for what is wanted.
func runtimeError(message string) *Error { return scripting("runtime", message) }

// scriptError is what the script has thrown.
func scriptError(message string) *Error { return scripting("script", message) }

func scripting(name, message string) *Error {
	return &Error{
		Namespace: inScripting, Name: name, Code: codeAborted, MessageFormat: "{message}",
		Attributes: []Attribute{{"message", message}},
	}
}

// scriptTimeout says that the script was ended at its deadline.
func scriptTimeout() *Error {
	return &Error{
		Namespace: inScripting, Name: "script_timeout", Code: codeDeadlineExceeded, MessageFormat: "script timeout",
		Cause: &Error{
			Namespace: "pkg/errors", Name: "context_deadline_exceeded", Code: codeDeadlineExceeded,
			MessageFormat: "context deadline exceeded",
		},
	}
}

// scriptMemory says that the script was ended because of its memory.
func scriptMemory() *Error {
	return ours("script_memory", codeResourceExhausted, "script needs more memory than it may have")
}

// tooLarge says that the output has more bytes than may be published.
func tooLarge() *Error {
	return output(ours("output_size", codeResourceExhausted, "more than 64 kB"))
}
