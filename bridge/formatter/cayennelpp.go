package formatter

import (
	"lorawand/bridge/formatter/cayennelpp"
	"lorawand/bridge/jsontext"
)

func runCayenneLPP(r Request) Result {
	switch r.Task {
	case DecodeUplink:
		data, err := cayennelpp.Decode(r.Bytes, r.Formatter.strict)
		if err == nil {
			return Result{Data: jsontext.Append(nil, data)}
		}
		e := cayenneLPPError("output", "invalid output", err)
		if len(data) == 0 {
			return failed(r.Task, e)
		}
		return Result{Data: jsontext.Append(nil, data), Warnings: []string{e.Error()}}
	case DecodeDownlink:
		data, err := cayennelpp.DecodeDownlink(r.Bytes)
		if err != nil {
			return failed(r.Task, cayenneLPPError("output", "invalid output", err))
		}
		return Result{Data: jsontext.Append(nil, data)}
	default:
		b, err := cayennelpp.Encode(r.Data)
		if err != nil {
			return failed(r.Task, cayenneLPPError("input", "invalid input", err))
		}
		return Result{Bytes: b, FPort: max(r.FPort, 1)}
	}
}

func cayenneLPPError(name, format string, cause error) *Error {
	return &Error{
		Namespace: inCayenneLPP, Name: name, Code: codeInvalidArgument, MessageFormat: format,
		Cause: ours("cayenne_lpp", codeInvalidArgument, cause.Error()),
	}
}
