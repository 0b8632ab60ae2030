//go:build !small

package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin/web/door"
	"lorawand/bridge/admin/web/password"
	"lorawand/bridge/event"
)

// cookieName is that of the session's token.
const cookieName = "lorawand_session"

// hashPatience is how long a try waits for another one that is being looked at.
const hashPatience = 5 * time.Second

var errOff = &fault{
	status: http.StatusForbidden, off: true,
	text: "This page is off until its password is set: lorawand web password, on the gateway, as root.",
}

// session returns the session of a request; nil: it has none.
func (s *Site) session(r *http.Request) *door.Browser {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	found := s.sessions.Find(cookie.Value, time.Now())
	if found != nil && !s.stillMay(found) {
		s.sessions.End(func(o *door.Browser) bool { return o == found })
		return nil
	}
	return found
}

// stillMay reports whether the API key of a session is still there: a browser must not
// outlive it.
func (s *Site) stillMay(o *door.Browser) bool {
	if o.ByPassword() {
		return true
	}
	key, ok := s.o.Keys.Key(o.Key.KeyID)
	return ok && key.Rights.Has(access.All) && !key.Expired(s.o.Calendar())
}

// isOff reports whether nobody can log in: there is no password, and no API key that
// has all rights.
func (s *Site) isOff() bool {
	if s.o.Passwords.stored() != "" {
		return false
	}
	for _, k := range s.o.Keys.Keys("") {
		if k.Rights.Has(access.All) {
			return false
		}
	}
	return true
}

// sessionAnswer is what everybody may know.
type sessionAnswer struct {
	In   bool   `json:"in"`
	Off  bool   `json:"off"` // nobody can log in
	TLS  bool   `json:"tls"` // the connection is encrypted
	Host string `json:"host"`

	Application string  `json:"application_id,omitempty"` // of the API key, if one was shown; only its devices are seen
	Address     string  `json:"address,omitempty"`        // of the browser
	Since       float64 `json:"since_s,omitempty"`        // the login
	Sessions    int     `json:"sessions,omitempty"`
}

// tellSession answers whether the browser has logged in.
func (c *call) tellSession(string) error {
	out := sessionAnswer{Off: c.site.isOff(), TLS: c.r.TLS != nil}
	out.Host, _ = os.Hostname()
	if s := c.session; s != nil {
		out.In, out.Application, out.Address = true, s.Key.Application, s.Address
		out.Since, out.Sessions = time.Since(s.Since).Round(time.Second).Seconds(), c.site.sessions.Len()
	}
	return c.answer(out)
}

// login looks at a password or an API key, and begins a session.
func (c *call) login(string) error {
	body, release, err := c.body(maxLoginBody)
	defer release()
	if err != nil {
		return err
	}
	var args struct {
		Password string `json:"password"`
	}
	if err := json.Unmarshal(body, &args); err != nil {
		return refused(http.StatusBadRequest, "The request must be {\"password\": …}.")
	}
	if c.site.isOff() {
		return errOff
	}
	address := c.address()
	if wait := c.site.tries.Begin(address, time.Now()); wait > 0 {
		return &fault{status: http.StatusTooManyRequests, text: "Wait before the next try.", wait: wait}
	}
	token, err := c.begin(args.Password)
	good := token != ""
	if err := c.judge(address, good, err, http.StatusUnauthorized); err != nil {
		return err
	}
	http.SetCookie(c.w, c.cookie(token, 0))
	return c.answer(struct{}{})
}

// begin begins a session for who shows the password or an API key that has all rights.
// The token is "" where the text is neither; the error says that it was not looked at.
func (c *call) begin(text string) (token string, err error) {
	site := c.site
	begin := func(who access.Login) {
		token = site.sessions.Begin(who, c.address().String(), time.Now())
		c.tell(event.PageLoggedIn, "", event.Client{Application: who.Application, LoggedIn: true})
		site.log.Info("a browser has logged in to the web page", "address", c.address(), "key_id", who.KeyID)
	}
	if who, good, err := c.showsKey(text); good || err != nil {
		if good {
			begin(who)
		}
		return token, err
	}
	hash := site.o.Passwords.stored()
	if hash == "" || text == "" {
		return "", nil
	}
	good, err := c.matches(hash, text)
	if good {
		// No session begins with a password that another has replaced meanwhile.
		site.o.Passwords.whileStill(hash, func() { begin(access.Login{}) })
	}
	return token, err
}

// matches compares a password with what is stored, when no other one is looked at.
func (c *call) matches(hash, text string) (good bool, err error) {
	ctx, cancel := context.WithTimeout(c.r.Context(), hashPatience)
	defer cancel()
	release, err := c.site.o.Passwords.turn(ctx)
	if err != nil {
		return false, &fault{http.StatusServiceUnavailable, "Others log in just now; try again.", time.Second, false}
	}
	defer release()
	return password.Matches(hash, text)
}

// confirm looks at the secret that the browser has logged in with, once more: a browser
// that its owner has left alone must not give keys away.
func (c *call) confirm(text string) error {
	hash := c.site.o.Passwords.stored()
	if c.session.ByPassword() && hash == "" {
		return nil
	}
	address := c.address()
	if wait := c.site.tries.Begin(address, time.Now()); wait > 0 {
		return &fault{status: http.StatusTooManyRequests, text: "Wait before the next try.", wait: wait}
	}
	var good bool
	var err error
	if c.session.ByPassword() {
		good, err = c.matches(hash, text)
	} else {
		who, wrong := c.site.o.Keys.Authenticate(strings.TrimSpace(text), c.site.o.Calendar())
		good = wrong == nil && who.KeyID == c.session.Key.KeyID
	}
	return c.judge(address, good, err, http.StatusForbidden)
}

// judge ends a try: it refuses a secret that is not good with a status and the time to wait.
// err says that the secret could not be looked at.
func (c *call) judge(address netip.Addr, good bool, err error, status int) error {
	wait := c.site.tries.End(address, good, err == nil, time.Now())
	if err == nil && !good {
		c.report()
		return &fault{status: status, text: "That is not the password.", wait: wait}
	}
	return err
}

// cookie returns that of a token; a negative age takes it away.
func (c *call) cookie(token string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: token, Path: prefix, MaxAge: age,
		HttpOnly: true, Secure: c.r.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
}

// showsKey reports whether a text is an API key that has all rights; an error says that
// it is one that has not.
func (c *call) showsKey(text string) (who access.Login, good bool, err error) {
	keys, now := c.site.o.Keys, c.site.o.Calendar()
	who, err = keys.Authenticate(strings.TrimSpace(text), now)
	if err != nil {
		return access.Login{}, false, nil // it may be a password
	}
	if !who.Rights.Has(access.All) {
		return who, false, refused(http.StatusForbidden, "This API key does not have all rights.")
	}
	if day, news := keys.Use(who.KeyID, now); news && c.site.o.Used != nil {
		c.site.o.Used(who.KeyID, day)
	}
	return who, true, nil
}

// wrongPagePassword is the word of its event.
const wrongPagePassword = "wrong_page_password"

// report makes an event of a wrong password.
func (c *call) report() { c.tell(event.APIRefused, wrongPagePassword, event.Client{}) }

// tell makes an event of a login.
func (c *call) tell(kind event.Kind, word string, of event.Client) {
	now := c.site.o.Bridge.Now()
	e := event.Event{Kind: kind, Host: now.Host, Address: c.r.RemoteAddr, Word: word, Client: of}
	if now.Wall.Known() {
		e.At = now.Wall.Time
	}
	c.site.o.Bridge.Events().Write(&e)
}

// logout ends the session, or all with {"all":true}.
func (c *call) logout(string) error {
	body, release, err := c.body(maxLoginBody)
	defer release()
	if err != nil {
		return err
	}
	var args struct {
		All bool `json:"all"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &args); err != nil {
			return refused(http.StatusBadRequest, err.Error())
		}
	}
	c.site.sessions.End(func(o *door.Browser) bool { return o == c.session || args.All && c.session.MayEnd(o) })
	http.SetCookie(c.w, c.cookie("", -1))
	return c.answer(struct{}{})
}
