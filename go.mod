module lorawand

go 1.26

require github.com/brocaar/lorawan v0.0.0-20240507141140-a18a1037da07

require (
	github.com/jacobsa/crypto v0.0.0-20190317225127-9f44e2d11115 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	golang.org/x/sys v0.36.0 // indirect
)
