// Package live serves the site of a results folder over HTTP while campaigns of
// other processes run. It looks at the folder once a second and tells browsers
// with server-sent events which campaigns have changed.
//
// It is meant for the machine it runs on: requests that name another host than
// an address, localhost or a name allowed by the user are refused, so that a
// web page of somebody else cannot read the results through the user's browser.
package live
