//go:build !small

package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/conns"
	"lorawand/bridge/event"
	"lorawand/bridge/v3"
)

// call is a request on its way.
type call struct {
	api    *API
	w      http.ResponseWriter
	r      *http.Request
	route  *route
	params map[string]string
	who    access.Login
	known  bool // who is somebody
}

func (c *call) application() error { return c.answer(map[string]any{"ids": c.applicationIDs()}) }

func (c *call) applicationIDs() map[string]any {
	return map[string]any{"application_id": c.params["a"]}
}

// permit authenticates the client and returns an error where it may not call the
// route.
func (c *call) permit() error {
	if err := c.authenticate(); err != nil {
		c.holdBack(err)
		return err
	}
	app, named := c.params["a"]
	if c.route.op == "" {
		return nil
	}
	if named && app != c.who.Application || !c.known {
		return noRights(c.scope())
	}
	if c.route.op == anyRight {
		return nil
	}
	if need, _ := admin.RightOf(c.route.op); !c.who.Rights.Has(need.Rights) {
		kind, id := c.scope()
		return insufficient(kind, id, need.Rights&^c.who.Rights)
	}
	return nil
}

// scope is what the rights are on: kind and id.
func (c *call) scope() (kind, id string) {
	if g, ok := c.params["g"]; ok {
		return "gateway", g
	}
	if a, ok := c.params["a"]; ok {
		return "application", a
	}
	return "application", c.who.Application
}

// authenticate finds out who the client is. Without an Authorization it is nobody.
func (c *call) authenticate() error {
	header := c.r.Header.Get("Authorization")
	if token := c.r.URL.Query().Get("access_token"); header == "" && token != "" && c.route.isSource() {
		header = "Bearer " + token
	}
	if header == "" {
		return nil
	}
	scheme, key, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return unsupportedAuthorization()
	}
	keys, now := c.api.o.Keys, c.api.o.Calendar()
	who, err := keys.Authenticate(strings.TrimSpace(key), now)
	var why access.Refusal
	switch {
	case err == nil:
		c.who, c.known = who, true
		if day, news := keys.Use(who.KeyID, now); news && c.api.o.Used != nil {
			c.api.o.Used(who.KeyID, day)
		}
		return nil
	case !errors.As(err, &why):
		return err
	}
	c.report(why, key)
	switch why {
	case access.NoKey:
		return invalidToken()
	case access.UnknownKey, access.Revoked:
		return keyNotFound(keyID(key))
	case access.Expired:
		return keyExpired()
	}
	return invalidAuthorization()
}

// isSource reports whether a browser asks for the route by an EventSource, which can send
// no header of its own: there the key may stand in the query (RFC 6750, 2.3).
func (r *route) isSource() bool { return r.method == http.MethodGet && r.path == "/events" }

// keyID is the part of an API key that is no secret.
func keyID(key string) string {
	parts := strings.Split(key, ".")
	if len(parts) != 3 {
		return ""
	}
	return parts[1]
}

// report makes an event of a wrong key.
func (c *call) report(why access.Refusal, key string) {
	now := c.api.o.Bridge.Now()
	e := event.Event{
		Kind: event.APIRefused, Host: now.Host, Address: c.r.RemoteAddr, Word: string(why),
		Client: event.Client{ID: keyID(key), Application: c.params["a"]},
	}
	if now.Wall.Known() {
		e.At = now.Wall.Time
	}
	c.api.o.Bridge.Events().Write(&e)
}

// holdBack keeps who guesses keys waiting for the answer.
func (c *call) holdBack(err error) {
	var e *v3.Error
	if !errors.As(err, &e) || e.Code != codeUnauthenticated && e.Code != codeInvalidArgument {
		return
	}
	c.wait(c.api.backoff.Failed(conns.SourceOf(c.r.RemoteAddr), time.Now()))
}

// rightNames are those of The Things Stack that a right of ours stands for.
var rightNames = []struct {
	right access.Rights
	names []string
}{
	{access.TrafficRead, []string{"RIGHT_APPLICATION_TRAFFIC_READ"}},
	{access.TrafficDownWrite, []string{"RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"}},
	{access.TrafficUpWrite, []string{"RIGHT_APPLICATION_TRAFFIC_UP_WRITE"}},
	{access.DevicesRead, []string{"RIGHT_APPLICATION_DEVICES_READ", "RIGHT_APPLICATION_INFO"}},
	{access.DevicesWrite, []string{"RIGHT_APPLICATION_DEVICES_WRITE", "RIGHT_APPLICATION_DEVICES_WRITE_KEYS"}},
	{access.GatewaysRead, []string{"RIGHT_GATEWAY_STATUS_READ"}},
	{access.All, []string{
		"RIGHT_APPLICATION_ALL", "RIGHT_APPLICATION_DEVICES_READ_KEYS", "RIGHT_APPLICATION_LINK",
		"RIGHT_APPLICATION_SETTINGS_API_KEYS", "RIGHT_APPLICATION_SETTINGS_BASIC", "RIGHT_APPLICATION_DELETE",
	}},
}

// ttsRights returns the names of the rights of a key.
func ttsRights(r access.Rights) []string {
	out := []string{}
	for _, n := range rightNames {
		if r.Has(n.right) {
			out = append(out, n.names...)
		}
	}
	return out
}

// missingNames returns a name for each right that lacks.
func missingNames(missing access.Rights) []string {
	out := []string{}
	for _, n := range rightNames {
		if n.right != access.All && missing&n.right != 0 {
			out = append(out, n.names[0])
		}
	}
	return out
}

// authInfo tells a client what its key is good for.
func (c *call) authInfo() error {
	if !c.known {
		return c.answer(map[string]any{})
	}
	key, _ := c.api.o.Keys.Key(c.who.KeyID)
	info := map[string]any{"id": key.ID, "rights": ttsRights(key.Rights)}
	if key.Name != "" {
		info["name"] = key.Name
	}
	if !key.Expires.IsZero() {
		info["expires_at"] = key.Expires
	}
	return c.answer(map[string]any{"api_key": map[string]any{
		"api_key": info, "entity_ids": map[string]any{"application_ids": map[string]any{"application_id": c.who.Application}},
	}})
}

// rights tells the rights of the client on its application.
func (c *call) rights() error { return c.answer(map[string]any{"rights": ttsRights(c.who.Rights)}) }
