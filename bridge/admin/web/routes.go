//go:build !small

package web

import "net/http"

// route is an entry of the table. A name that ends in "/" is followed by a parameter.
type route struct {
	method string
	name   string
	open   bool // also for who has not logged in
	handle func(c *call, param string) error
	takes  string // type of what is posted; "": JSON
}

// routes is the table of all.
var routes []route

func init() { // the handlers refer to the table by find
	routes = []route{
		{http.MethodGet, "session", true, (*call).tellSession, ""},
		{http.MethodPost, "login", true, (*call).login, ""},
		{http.MethodPost, "logout", false, (*call).logout, ""},

		{http.MethodGet, "status", false, (*call).status, ""},
		{http.MethodGet, "devices", false, (*call).devices, ""},
		{http.MethodGet, "device", false, (*call).device, ""},
		{http.MethodGet, "gateways", false, (*call).gateways, ""},
		{http.MethodGet, "strangers", false, (*call).strangers, ""},
		{http.MethodGet, "keys", false, (*call).keys, ""},
		{http.MethodGet, "clients", false, (*call).clients, ""},
		{http.MethodGet, "applications", false, (*call).applications, ""},
		{http.MethodGet, "formatter", false, (*call).formatter, ""},
		{http.MethodGet, "formatters", false, (*call).formatters, ""},
		{http.MethodGet, "plans", false, (*call).plans, ""},
		{http.MethodGet, "log", false, (*call).logTail, ""},
		{http.MethodGet, "live", false, (*call).live, ""},
		{http.MethodGet, "events", false, (*call).events, ""},

		{http.MethodPost, "op/", false, (*call).operate, ""},
		{http.MethodPost, "import", false, (*call).importDevices, ""},
		{http.MethodPost, "backup", false, (*call).backup, ""},
		{http.MethodPost, "restore", false, (*call).restore, "application/octet-stream"},
	}
}

// find returns the route of a request, and its parameter.
func find(method, name string) (*route, string, error) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	known := false
	for i := range routes {
		r := &routes[i]
		param := ""
		if n := len(r.name); r.name[n-1] == '/' && len(name) > n && name[:n] == r.name {
			param = name[n:]
		} else if r.name != name {
			continue
		}
		if r.method == method {
			return r, param, nil
		}
		known = true
	}
	if known {
		return nil, "", errMethod
	}
	return nil, "", errNotFound
}
