package access

import (
	"cmp"
	"encoding/json"
	"fmt"
	"sync"

	"lorawand/bridge/order"
)

// Formatter is a payload formatter by its name in The Things Stack, such as
// "FORMATTER_JAVASCRIPT". The zero value is none.
type Formatter struct {
	Kind      string `json:"formatter,omitempty"`
	Parameter string `json:"formatter_parameter,omitempty"` // the script of a FORMATTER_JAVASCRIPT
}

// Application holds the settings of an application. An application needs none: it
// exists as soon as a key or a device names it.
type Application struct {
	ID string
	// Up and Down are the formatters for devices without formatters of their own.
	Up, Down Formatter
	Webhook  Webhook
	// HomeAssistant says that Home Assistant is told of the devices.
	HomeAssistant bool `json:",omitempty"`
}

// MarshalApplication returns an application as the bytes that the store keeps.
func MarshalApplication(a Application) ([]byte, error) { return json.Marshal(a) }

// UnmarshalApplication reads what MarshalApplication wrote.
func UnmarshalApplication(b []byte) (Application, error) {
	var a Application
	if err := json.Unmarshal(b, &a); err != nil {
		return Application{}, fmt.Errorf("access: application in the store: %w", err)
	}
	return a, nil
}

// Applications holds the settings of the applications. It may be used by several
// goroutines.
type Applications struct {
	mu   sync.RWMutex
	byID map[string]Application
}

// NewApplications returns an empty registry.
func NewApplications() *Applications { return &Applications{byID: map[string]Application{}} }

// Application returns the settings of an application, if it has any.
func (r *Applications) Application(id string) (Application, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	a, ok := r.byID[id]
	return a, ok
}

// Put stores the settings of an application. They replace those with the same id.
func (r *Applications) Put(a Application) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID[a.ID] = a
}

// Remove removes the settings of an application.
func (r *Applications) Remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, id)
}

// All returns the applications, sorted by id.
func (r *Applications) All() []Application {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]Application, 0, len(r.byID))
	for _, a := range r.byID {
		out = append(out, a)
	}
	order.By(out, func(a, b Application) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
