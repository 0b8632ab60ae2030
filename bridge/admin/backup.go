package admin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"

	"lorawand/bridge/state"
	"lorawand/bridge/store"
)

// backupPart is the size of a part of the answer at most, in bytes of the backup.
const backupPart = 32 << 10

// BackupPart is a piece of a backup's text.
type BackupPart struct {
	Text []byte `json:"text"`
}

// backup answers with the text in parts, which keeps lines short.
func (a *Admin) backup(_ context.Context, _ struct{}, r reply) error {
	w := bufio.NewWriterSize(replyWriter(r), backupPart)
	if err := a.o.Store.Backup(w); err != nil {
		return err
	}
	return w.Flush()
}

// replyWriter sends what is written as parts of an answer.
type replyWriter reply

// Write implements io.Writer.
func (w replyWriter) Write(b []byte) (int, error) {
	for part := range slices.Chunk(b, backupPart) {
		if err := w(BackupPart{part}); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

var errNoRestore = errors.New("nothing can be restored here")

// restore answers with a bridge.Restored when the backup is in the store. Then the
// daemon starts anew, and this socket with it.
func (a *Admin) restore(ctx context.Context, p BackupPart, r reply) error {
	did, err := a.RestoreFrom(ctx, bytes.NewReader(p.Text))
	if err != nil {
		return err
	}
	return r(did)
}

// RestoreFrom is the operation "restore" for who has the backup as a stream.
func (a *Admin) RestoreFrom(ctx context.Context, text io.Reader) (state.Restored, error) {
	if a.o.Restore == nil {
		return state.Restored{}, errNoRestore
	}
	b, err := store.ReadBackup(text)
	if err != nil {
		return state.Restored{}, err
	}
	if err := a.o.Load(b); err != nil {
		return state.Restored{}, err
	}
	return a.o.Restore(ctx, b)
}
