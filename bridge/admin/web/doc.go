// Package web serves the web page: its files, which are in the folder static, and the
// answers to its requests below /api/page. It is a door to the operations of
// bridge/admin, as the control socket and the HTTP API are: what changes something goes
// through their table. README.md has what the page gets.
//
// The page is off until a password is set or an API key has all rights. A browser that
// has logged in has a session, which is in memory only. Whatever a client can make
// large is bounded: sessions, streams, bodies, tries of a password.
package web
